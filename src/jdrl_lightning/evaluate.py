"""Measure a checkpoint: ``python -m jdrl_lightning.evaluate ckpt_path=run/checkpoints/best.ckpt split=test``."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from jdrl_lightning.errors import UserError
from jdrl_lightning.launch import command

__all__ = ["evaluate", "main"]

log = logging.getLogger(__name__)

WRITTEN = ("per_image.csv", "summary.json", "table.md", "contact_sheet.png")


def evaluate(
    module: Any,
    pairs: Any,
    flow: Any,
    lpips_weights: Path | None,
    tile: int,
    overlap: int,
    rule: str = "none",
    mode: str = "bicubic",
    grid: str = "exact",
) -> Any:
    """Rows of measures, one for the blurry input and one for the restored image of each pair, and the images shown.

    ``rule`` cuts restored and given images alike before they are measured, see :func:`.protocols.crop`; ``mode`` and
    ``grid`` are those of :func:`.protocols.deformed`.

    Returns:
        (rows, pictures): ``rows`` has ``method``, ``name`` and the measures; ``pictures`` is, for the first pairs,
        a dict of ``(3, H, W)`` images by title.
    """
    import torch
    from rich.progress import track

    from jdrl_lightning.data.augment import collate
    from jdrl_lightning.inference.tiles import check_tiles, restore
    from jdrl_lightning.metrics.protocols import crop, measure

    check_tiles(tile, overlap, module.backbone.divisor)
    rows: list[dict[str, Any]] = []
    pictures: list[dict[str, torch.Tensor]] = []
    for index in track(range(len(pairs)), description="evaluating"):
        pair = module.on_after_batch_transfer(collate([pairs[index]]), 0)
        blurry = pair.blurry.to(module.device)
        with torch.inference_mode():
            restored = restore(module, blurry, tile=tile, overlap=overlap, divisor=module.backbone.divisor).cpu()
            extras = {name: crop(value, rule) for name, value in pair.extras.items()}
            cropped = pair._replace(blurry=crop(pair.blurry, rule), sharp=crop(pair.sharp, rule), extras=extras)
            for method, image in (("input", pair.blurry), ("restored", restored)):
                values = measure(crop(image, rule), cropped, flow, lpips_weights, mode, grid)
                rows.append({"method": method, "name": pair.name[0], **{k: float(v[0]) for k, v in values.items()}})
        if len(pictures) < 6:
            shown = {"blurry": pair.blurry, "restored": restored, "sharp": pair.sharp} | (
                {"aligned": pair.extras["aligned"]} if "aligned" in pair.extras else {}
            )
            pictures.append({title: image[0] for title, image in shown.items()})
    return rows, pictures


def write_report(rows: list[dict[str, Any]], pictures: list[Any], output: Path, title: str, notes: list[str]) -> str:
    """Write per_image.csv, summary.json, table.md and contact_sheet.png under ``output``; returns the table."""
    from PIL import Image

    from jdrl_lightning.callbacks.panels import panel
    from jdrl_lightning.files import atomic_write
    from jdrl_lightning.metrics import report

    report.write_csv(output / "per_image.csv", rows)
    summary = {m: report.summary([r for r in rows if r["method"] == m]) for m in ("input", "restored")}
    with atomic_write(output / "summary.json", "w") as file:
        json.dump({"title": title, "images": len(rows) // 2, **summary, "notes": notes}, file, indent=2)
    table = report.markdown_table([{"method": method, **means} for method, means in summary.items()])
    with atomic_write(output / "table.md", "w") as file:
        file.write("\n".join([f"# {title}", "", table, "", *notes, ""]))
    sheets = [panel({name: image[:, :256, :256] for name, image in shown.items()}) for shown in pictures]
    width, height = max(s.width for s in sheets), sum(s.height for s in sheets)
    sheet = Image.new("RGB", (width, height), "white")
    top = 0
    for row in sheets:
        sheet.paste(row, (0, top))
        top += row.height
    with atomic_write(output / "contact_sheet.png") as file:
        sheet.save(file, "PNG")
    return table


@command("evaluate")
def main(cfg: DictConfig) -> None:
    """Compose, measure, report."""
    from hydra.core.hydra_config import HydraConfig

    if cfg.ckpt_path is None:
        raise UserError("give ckpt_path=<run folder>/checkpoints/best.ckpt; see --help")
    for key, known in (
        ("split", ("val", "test")),
        ("crop", ("none", "top_left_16", "top_left_8", "center_8")),
        ("warp_mode", ("bicubic", "bilinear")),
        ("warp_grid", ("exact", "legacy")),
    ):
        if cfg[key] not in known:
            raise UserError(f"{key}={cfg[key]!r} is none of {', '.join(known)}")

    from jdrl_lightning import build, flow
    from jdrl_lightning.config import plain
    from jdrl_lightning.metrics.perceptual import lpips_weights

    output = Path(cfg.output or HydraConfig.get().runtime.output_dir)
    there = [name for name in WRITTEN if (output / name).exists()]
    if there and not cfg.overwrite:
        raise UserError(f"{output / there[0]}: exists already; give another output=… or overwrite=true")
    config = plain(cfg)
    module = build.from_checkpoint(cfg.ckpt_path).to(build.device(cfg.device))
    stored = module.config | ({"data": config["data"]} if config.get("data") else {})
    pairs = build.datamodule(stored).pairs(cfg.split)
    weights = lpips_weights(cfg.lpips_weights)
    notes = [
        f"Checkpoint: {cfg.ckpt_path}; {len(pairs)} images of the {cfg.split} split; means of per-image values.",
        f"deformed_gt: the sharp image warped onto the output, flow from {config['flow']['name']}, {cfg.warp_mode}, "
        f"{cfg.warp_grid} grid. It can "
        "reward displacement: read it with the placement error.",
    ]
    if weights is None:
        notes.append("LPIPS is left out: no AlexNet trunk on this machine (lpips_weights=<alexnet-owt-7be5be79.pth>).")
    estimator = flow.create(**config["flow"])
    if len(pairs) and "aligned" not in pairs[0].extras:
        notes.append(
            "Placement is taken against the blurry input, since the truth is not known: less precise than against a "
            "sharp image, and 0 for the input itself by definition."
        )
    rows, pictures = evaluate(
        module, pairs, estimator, weights, cfg.tile, cfg.overlap, cfg.crop, cfg.warp_mode, cfg.warp_grid
    )
    title = f"{cfg.split} split of data={stored['data']['name']}"
    print(write_report(rows, pictures, output, title, notes))
    log.info("written: %s", output)


if __name__ == "__main__":
    main()
