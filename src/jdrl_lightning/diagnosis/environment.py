"""Installed packages, optional extras and devices."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from jdrl_lightning import __version__

__all__ = ["EXTRAS", "devices", "extras", "versions"]

PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "hydra-core", "omegaconf", "kornia", "timm", "lpips")

# Extra: its package, and the setting that needs it.
EXTRAS = {
    "docs": ("mkdocs-material", "make docs"),
    "app": ("gradio", "python -m jdrl_lightning.app"),
    "export": ("onnx", "formats=[onnx] of python -m jdrl_lightning.export"),
    "formats": ("pillow-heif", "HEIC and raw files of cameras"),
    "joblib": ("hydra-joblib-launcher", "hydra/launcher=joblib"),
    "keras": ("h5py", "DPDNet's published weights"),
    "litdata": ("litdata", "data.store=litdata"),
    "opencv": ("opencv-python-headless", "flow=dis"),
    "optuna": ("optuna", "sweep=optuna"),
    "ptlflow": ("ptlflow", "flow=ptlflow"),
    "spandrel": ("spandrel", "backbone=spandrel"),
    "submitit": ("hydra-submitit-launcher", "hydra/launcher=submitit_slurm"),
    "tensorboard": ("tensorboard", "logger=tensorboard"),
    "workspaces": ("wandb-workspaces", "docs/dashboards/workspace.py"),
}


def versions() -> dict[str, str]:
    """The version of each package, or ``missing``."""
    found = {"jdrl_lightning": __version__, "python": platform.python_version()}
    return found | {name: _version(name) or "missing" for name in PACKAGES}


def extras() -> list[tuple[str, str, str]]:
    """For each extra: its name, its package's version or the command to install it, and what needs it."""
    rows = []
    for name, (package, purpose) in EXTRAS.items():
        found = _version(package)
        remedy = f"missing: pip install 'jdrl_lightning[{name}]'"
        rows.append((name, f"{package} {found}" if found else remedy, purpose))
    return rows


def devices() -> list[str]:
    """One line for the CPU and one for each accelerator."""
    import torch

    lines = [f"cpu: {os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads"]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        lines.append(f"cuda:{index}: {properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    if torch.backends.mps.is_available():
        lines.append("mps: Apple GPU")
    return lines


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
