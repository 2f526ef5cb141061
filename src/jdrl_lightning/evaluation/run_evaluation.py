"""One evaluation, from a plain configuration to the files in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jdrl_lightning import build, flow
from jdrl_lightning.errors import UserError, check_choice
from jdrl_lightning.evaluation import evaluate_dataset, methods
from jdrl_lightning.evaluation import save_results as results
from jdrl_lightning.evaluation.deformed_gt_flow import chosen_flow, flow_note, identified, trained_with
from jdrl_lightning.metrics.perceptual import lpips_weights
from jdrl_lightning.metrics.protocols import Protocol

__all__ = ["evaluate"]


def evaluate(config: Mapping[str, Any], output: Path) -> str:
    """Measure what the plain ``config`` describes and leave everything under ``output``; returns the table.

    Raises:
        UserError: a setting, the data, the method or the output folder does not allow it.
    """
    check_choice("split", config["split"], ("val", "test"))
    protocol = Protocol(**{key: config[key] for key in ("crop", "warp", "ssim", "round")})
    name = methods.chosen(config)
    results.claim(output, config["overwrite"])
    device = build.device(config["device"])
    method = methods.create(name, config, device)
    trained = trained_with(method.training)
    judge = chosen_flow(config.get("flow"), trained)
    estimator = flow.create(**judge)
    trunk = lpips_weights(config["lpips_weights"])
    source = _data(config, method.training)
    pairs: Any = build.datamodule(source).pairs(config["split"])
    has_sharp = getattr(pairs, "has_sharp", True)
    images, digest = evaluate_dataset.look(pairs, protocol)
    if method.check is not None:
        method.check(images)

    aligned = has_sharp and "aligned" in pairs[0].extras
    data = f"{config['split']} split of data={source['data']['name']}"
    notes = [
        *method.notes,
        f"{len(images)} images, {data}; means of values of each image, crop={protocol.crop}, SSIM with the "
        f"{protocol.ssim} window, " + ("rounded to 8 bits." if protocol.round else "not rounded."),
    ]
    if has_sharp:
        notes.append(flow_note(judge["name"], trained, protocol.warp))
        if trunk is None:
            notes.append("LPIPS is left out: AlexNet's weights are missing (lpips_weights=<alexnet-owt-7be5be79.pth>).")
    else:
        notes.append("These data have no sharp images: there is nothing to take PSNR, SSIM, MAE or LPIPS against.")
    if not aligned:
        notes.append(
            "Placement is taken against the blurry input, since the truth is not known: less precise than against a "
            "sharp image, and 0 for the input itself by definition."
        )
    saves = config["save_images"] and method.makes_images
    folder = output / results.RESTORED if saves else None
    figures = evaluate_dataset.evaluate(method, pairs, protocol, estimator, trunk, device, folder)
    title = config["title"] or (output.absolute().name if config["output"] else method.title)
    facts = {
        "title": str(title),
        "method": name,
        "data": data,
        "images": len(images),
        "digest": digest,
        "protocol": asdict(protocol) | {"flow": identified(judge) if has_sharp else None},
        "trained_with_flow": trained,
        "placement_against": "aligned" if aligned else "blurry",
    }
    return results.write(output, f"{title}: {data}", figures, facts, notes)


def _data(config: Mapping[str, Any], training: Mapping[str, Any] | None) -> dict[str, Any]:
    """The data that ``config`` names, else those of the training; with the seed that rendered pairs are drawn from."""
    known = training or {}
    data = config.get("data") or known.get("data")
    if not data:
        raise UserError("which pairs? give data=folder data.root=<folder>, or another data=…; see --help")
    seed = known.get("seed", 0) if config["seed"] is None else config["seed"]
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UserError(f"seed={seed!r} is not a whole number from 0 to {2**32 - 1}; give seed=0")
    return {"data": data, "seed": seed}
