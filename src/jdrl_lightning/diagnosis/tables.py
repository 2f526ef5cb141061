"""The tables that the doctor command prints; the ``show_*`` functions that find problems return them, a line each."""

from __future__ import annotations

from typing import Any

from jdrl_lightning.errors import UserError

__all__ = ["show_environment", "show_loading", "show_pairs", "show_parts", "show_plugins", "table"]


def show_environment(console: Any) -> None:
    """Versions, devices, and the extras with the command that installs each."""
    from jdrl_lightning.diagnosis import environment

    console.print(table("installed", ("package", "version"), environment.versions().items()))
    console.print(table("devices", ("device",), [(line,) for line in environment.devices()]))
    console.print(table("extras", ("extra", "package", "needed by"), environment.extras()))


def show_plugins(console: Any) -> list[str]:
    """What other packages have registered, if anything."""
    from jdrl_lightning.diagnosis import plugins

    found = plugins.found()
    if found:
        rows = [(package, entry, problem or "loads") for package, entry, problem in found]
        console.print(table("plug-ins", ("package", "registers", "state"), rows))
    return [f"plug-in {package}, {entry}: {problem}" for package, entry, problem in found if problem]


def show_parts(console: Any, config: dict[str, Any]) -> list[str]:
    """The weight files, what can be built from them, and which configuration options do not compose."""
    from jdrl_lightning.diagnosis import components, options, weights

    named = weights.settings({key: config[key] for key in ("backbone", "flow")})
    trunk, wrong_trunk = weights.perceptual(config["lpips_weights"])
    files = [(name, *weights.described(value)) for name, value in named] + [("lpips_weights", *trunk)]
    console.print(table("weights", ("setting", "file", "bytes", "sha256"), files))
    rows: list[tuple[str, Any]] = list(components.tried(config).items())
    if wrong_trunk is not None:
        rows.append(("lpips_weights", wrong_trunk))
    rows += [(option, UserError(f"does not compose: {why}")) for option, why in options.broken().items()]
    shown = [(name, f"error: {found}" if isinstance(found, UserError) else found) for name, found in rows]
    console.print(table("configuration", ("part", "what it is"), shown))
    return [f"{name}: {found}" for name, found in rows if isinstance(found, UserError)]


def show_pairs(console: Any, config: dict[str, Any]) -> Any:
    """How far the images of the data set's pairs are apart, and what to do about it.

    Returns:
        The :class:`~jdrl_lightning.metrics.misalignment.Summary`; None: there are no sharp partners.
    """
    from rich.progress import track

    from jdrl_lightning import build, flow
    from jdrl_lightning.diagnosis import pairs
    from jdrl_lightning.metrics import misalignment

    module = build.datamodule(config)
    data = module.pairs(config["split"])
    if not getattr(data, "has_sharp", True):
        console.print(
            f"data={config['data']['name']}: {len(data)} images without sharp partners, so nothing to compare"
        )
        return None
    estimator, device = flow.create("gauss_newton"), build.device(config["device"])
    chosen = misalignment.evenly_spaced(len(data), int(config["pairs"]))
    looking = track(chosen, description="measuring pairs", console=console, transient=True)
    found = misalignment.summary([misalignment.motion(data[index], estimator, device) for index in looking])
    rows = [
        ("pairs looked at", f"{found.pairs} of {len(data)}, split {config['split']}"),
        ("displacement, median", f"{found.median_px:.2f} px"),
        ("displacement, 95th percentile", f"{found.p95_px:.2f} px"),
        ("the same beyond each pair's affine map", f"{found.rest_p95_px:.2f} px"),
        ("pairs above 1 px on average", f"{found.above_1px:.0%}"),
        ("largest zoom", f"{found.zoom:+.2%}"),
        ("largest shift", f"{found.shift_px:.2f} px"),
        ("pairs that seem to show different scenes", ", ".join(found.unlike[:5]) or "none"),
    ]
    console.print(pairs.recommendation(found), highlight=False)
    console.print(table(f"data={config['data']['name']}", ("measure (gauss_newton)", "value"), rows))
    if config["split"] == "train":
        show_loading(console, config, module, chosen, device)
    return found


def show_loading(console: Any, config: dict[str, Any], module: Any, items: list[int], device: Any) -> None:
    """How fast training pairs are read that the system has cached, and whether training has to wait for them."""
    import time

    import torch

    from jdrl_lightning.diagnosis import loading

    with console.status("timing loading and training"):
        crops = module.crops()
        batch = [crops[0, item] for item in range(module.batch_size)]
        packable = config["data"].get("store") == "files"
        try:
            trained = loading.trained(config, batch, device)
        except UserError:  # show_parts has reported it
            return
        except torch.OutOfMemoryError:
            console.print(f"a step of data.batch_size={module.batch_size} does not fit {device}: nothing was timed")
            return
        started = time.perf_counter()
        found = loading.Rates(loading.loaded(crops, items), trained, module.num_workers, packable)
        seconds = time.perf_counter() - started
    rows = [
        ("one process loads (files read before)", f"{found.loaded:.3g} crops per second"),
        (f"training on {device} (float32, forward and backward)", f"{found.trained:.3g} crops per second"),
        ("data.num_workers", found.workers),
    ]
    console.print(table("loading", ("measure", "value"), rows))
    console.print(loading.bottleneck(found), highlight=False)
    if (rough := loading.rough(device, seconds)) is not None:
        console.print(rough, highlight=False)


def table(title: str, columns: tuple[str, ...], rows: Any) -> Any:
    """A rich table; cells are shown as they are, without markup."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=title, title_justify="left")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(str(cell)) for cell in row))  # Text: brackets in a path are not markup
    return shown
