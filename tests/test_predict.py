"""Restoring files: bit depth, alpha, grey and sizes kept, nothing overwritten, no seams."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kornia.color import linear_rgb_to_rgb, rgb_to_linear_rgb
from PIL import Image

from jdrl_lightning import UserError, backbones
from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.backbones.guided import DISC, REACH_PX
from jdrl_lightning.build import from_checkpoint
from jdrl_lightning.build import module as module_of
from jdrl_lightning.data.synthetic.defocus_psf import blur_by_discs
from jdrl_lightning.inference.planned import planned
from jdrl_lightning.inference.tiles import restore
from jdrl_lightning.io import png_chunks
from jdrl_lightning.io.image import Metadata, read_picture, write_image
from jdrl_lightning.predict import MAP_LEVELS, predict
from jdrl_lightning.types import to_float, to_uint
from processes import forked, fresh

PREDICT = ("-m", "jdrl_lightning.predict")


@pytest.fixture(scope="module")
def checkpoint_holder() -> dict[str, Path]:
    return {}


@pytest.fixture
def checkpoint(
    checkpoint_holder: dict[str, Path], train: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    if "path" not in checkpoint_holder:
        run = train(tmp_path_factory.mktemp("trained") / "run", "trainer.max_epochs=1", "optim.optimizer.lr=1e-3")
        checkpoint_holder["path"] = run / "checkpoints" / "last.ckpt"
    return checkpoint_holder["path"]


def test_outputs_are_of_the_inputs_kind(checkpoint: Path, photo: torch.Tensor, tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    part = photo[:, 100:150, 100:163]
    deep = (part.int() * 257 + 3).clamp_max(65535).to(torch.uint16)
    alpha = torch.arange(50 * 63, dtype=torch.int32).reshape(1, 50, 63) % 256
    icc = b"a colour profile"
    write_image(source / "rgb.png", part, icc=icc)
    write_image(source / "deep.png", deep)
    write_image(source / "deep.tif", deep)
    write_image(source / "alpha.png", part, alpha=alpha.byte())
    write_image(source / "grey.png", part[:1].expand(3, -1, -1), grey=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(part.permute(1, 2, 0).numpy()).save(source / "turned.jpg", exif=exif, quality=95)

    predict(from_checkpoint(checkpoint).backbone, planned(source, output, overwrite=False), tile=48, overlap=16)

    for name in ("rgb.png", "deep.png", "deep.tif", "alpha.png", "grey.png", "turned.jpg"):
        before, after = read_picture(source / name), read_picture(output / name)
        assert after.image.shape == before.image.shape, name
        assert after.depth == before.depth, name
        assert after.grey == before.grey, name
        assert not torch.equal(after.image, before.image), name
    assert read_picture(output / "turned.jpg").image.shape == (3, 63, 50)
    assert read_picture(output / "rgb.png").icc == icc
    kept = read_picture(output / "alpha.png").alpha
    assert kept is not None
    assert torch.equal(kept, alpha.byte().reshape(kept.shape))


def unchanging() -> Backbone:
    network = torch.nn.Identity()
    network.register_parameter("unused", torch.nn.Parameter(torch.zeros(1)))  # which tells the device
    return Backbone(network, divisor=1, licence="", name="identity")


def camera(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "A camera"
    return exif


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_nothing_else_is_changed(suffix: str, depth: int, photo: torch.Tensor, tmp_path: Path) -> None:
    """A network that returns its input returns every pixel, channel and mark."""
    if suffix == ".jpg" and depth == 16:
        pytest.skip("a JPEG has 8 bits")
    pixels = photo[:, 100:150, 100:163]
    image = pixels if depth == 8 else (pixels.int() * 257 + 3).clamp_max(65535).to(torch.uint16)
    colour = png_chunks.chunk(b"gAMA", (100_000).to_bytes(4, "big")) if suffix == ".png" else b""
    metadata = Metadata(camera(6).tobytes()[6:], b"<x:xmpmeta/>", (300.0, 240.0), colour)
    more: dict[str, Any] = {"icc": b"a profile", "metadata": metadata}
    if suffix != ".jpg":
        more["alpha"] = image[:1] // 2 if depth == 8 else (image[:1].int() // 2).to(torch.uint16)
    if suffix == ".tif":
        more["others"] = image[1:]
    source, target = tmp_path / f"a{suffix}", tmp_path / "out" / f"a{suffix}"
    write_image(source, image, **more)
    predict(unchanging(), planned(source, tmp_path / "out", overwrite=False), tile=64, overlap=16)
    before, after = read_picture(source), read_picture(target)
    assert before.image.shape == after.image.shape
    assert (after.image.int() - before.image.int()).abs().max() <= (8 if suffix == ".jpg" else 0)
    for one, other in zip(before[1:], after[1:], strict=True):
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    found = Image.Exif()
    found.load(after.metadata.exif or b"")
    assert (found.get(0x0112, 1), found[0x010F]) == (1, "A camera")
    assert after.metadata.xmp == b"<x:xmpmeta/>"
    assert after.metadata.dpi == pytest.approx((240.0, 300.0), abs=0.01)
    assert after.metadata.colour == colour


def test_formats_that_are_not_written_become_png(photo: torch.Tensor, tmp_path: Path) -> None:
    image = Image.fromarray(photo[:, 100:150, 100:163].permute(1, 2, 0).numpy())
    names = ["a.avif", "b.webp", "c.bmp", "d.jfif", "e" * 250 + ".jpg"]
    for name in names:
        image.save(
            tmp_path / name, "JPEG" if name[0] in "de" else None, **({} if name == "c.bmp" else {"exif": camera(6)})
        )
    predict(unchanging(), planned(tmp_path, tmp_path / "out", overwrite=False), tile=64, overlap=16)
    made = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in made] == ["a.png", "b.png", "c.png", "d.jfif", names[-1]]
    for path, source in zip(made, names, strict=True):
        before, after = read_picture(tmp_path / source), read_picture(path)
        assert (after.image.int() - before.image.int()).abs().max() <= (0 if path.suffix == ".png" else 8)
        assert after.metadata.exif == before.metadata.exif


def test_a_batch_killed_half_way_is_resumed_without_repeating(photo: torch.Tensor, tmp_path: Path) -> None:
    for name in "abcdef":
        write_image(tmp_path / "in" / f"{name}.png", photo[:, :20, :20])
    code = f"""
import os, signal, torch
from pathlib import Path
from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.inference.planned import planned
from jdrl_lightning.predict import predict
class Killed(torch.nn.Module):
    seen = 0
    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))
    def forward(self, x):
        Killed.seen += 1
        if Killed.seen == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return x
jobs = planned(Path({str(tmp_path / "in")!r}), Path({str(tmp_path / "out")!r}), overwrite=False)
predict(Backbone(Killed(), divisor=1, licence="", name="killed"), jobs, 64, 16)
"""
    killed = forked(tmp_path, "-c", code)
    assert killed.returncode == -9
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert [path.name for path in sorted(done)] == ["a.png", "b.png", "c.png"]
    jobs = planned(tmp_path / "in", tmp_path / "out", overwrite=False, resume=True)
    assert [source.name for source, _ in jobs] == ["d.png", "e.png", "f.png"]
    predict(unchanging(), jobs, 64, 16)
    assert len(list((tmp_path / "out").iterdir())) == 6
    assert {path: path.stat().st_mtime_ns for path in done} == done


def damage(path: Path) -> None:
    """Half a file: its header can be read, its pixels cannot."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_damaged_file_does_not_end_a_batch(
    photo: torch.Tensor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its header, its pixels, or where it would be written."""
    source, out = tmp_path / "in", tmp_path / "out"
    for name in "abcde":
        write_image(source / f"{name}.png", photo[:, :20, :20])
    damage(source / "b.png")
    (source / "c.png").write_bytes(b"")
    jobs = planned(source, out, overwrite=False)
    (out / "d.png").mkdir(parents=True)
    with pytest.raises(
        UserError, match=r"^3 of 5 files were not restored, .*resume=true .*The first: .*c\.png: .*empty"
    ):
        predict(unchanging(), jobs, 64, 16)
    assert sorted(path.name for path in out.iterdir() if path.is_file()) == ["a.png", "e.png"]
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 6
    assert lines[3:] == [f"not restored: {line}" for line in lines[:3]]
    assert [line.partition(".png")[0][-1] for line in lines[:3]] == ["c", "b", "d"]
    (out / "d.png").rmdir()
    for name in "bc":
        write_image(source / f"{name}.png", photo[:, :20, :20])
    jobs = planned(source, out, overwrite=False, resume=True)
    assert [file.name for file, _ in jobs] == ["b.png", "c.png", "d.png"]
    predict(unchanging(), jobs, 64, 16)
    assert len(list(out.iterdir())) == 5


def test_a_single_damaged_file_is_one_line(
    photo: torch.Tensor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_image(tmp_path / "a.png", photo[:, :20, :20])
    damage(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png: cannot be read .*; replace or remove it$"):
        predict(unchanging(), planned(tmp_path / "a.png", tmp_path / "out", overwrite=False), 64, 16)
    assert not caplog.records


def wrong_suffix(folder: Path, photo: torch.Tensor) -> dict[str, str]:
    """Files named .jpg that a JPEG cannot hold, and what each is."""
    part = photo[:, :20, :20]
    write_image(folder / "b.png", part.to(torch.int32).mul(257).to(torch.uint16))
    write_image(folder / "c.png", part, alpha=part[:1])
    write_image(folder / "d.tif", part, others=part[:2])
    for name in ("b.png", "c.png", "d.tif"):
        (folder / name).rename(folder / f"{name[0]}.jpg")
    kinds = ("a 16-bit image", "an 8-bit image with alpha", "an 8-bit image with 2 channels of unspecified meaning")
    return dict(zip(("b.jpg", "c.jpg", "d.jpg"), kinds, strict=True))


def test_files_that_their_output_cannot_hold_stop_no_other(
    photo: torch.Tensor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    for name in ("a.png", "e.jpg"):
        write_image(source / name, photo[:, :20, :20])
    kinds = wrong_suffix(source, photo)
    with pytest.raises(UserError, match=r"^3 of 5 files were not restored"):
        predict(unchanging(), planned(source, out, overwrite=False), 64, 16)
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "e.jpg"]
    for name, kind in kinds.items():
        assert f"{name}: {kind}, which {out / name} cannot hold; name it" in caplog.text


def test_a_single_file_that_its_output_cannot_hold_is_refused_before_the_work(
    photo: torch.Tensor, tmp_path: Path
) -> None:
    kinds = wrong_suffix(tmp_path, photo)
    network = unchanging()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "forward", lambda blurry: pytest.fail("restored"))
        for name, kind in kinds.items():
            with pytest.raises(UserError, match=rf"{name}: {kind}, which .* cannot hold; name it "):
                predict(network, planned(tmp_path / name, tmp_path / "out", overwrite=False), 64, 16)


def test_the_command_restores_the_rest_of_a_folder_and_exits_with_1(photo: torch.Tensor, tmp_path: Path) -> None:
    for name in ("a.png", "one/a.png", "one/b.png"):
        write_image(tmp_path / "in" / name, photo[:, :20, :20])
    damage(tmp_path / "in" / "one" / "a.png")
    done = forked(tmp_path, *PREDICT, "input=in", "recursive=true", "device=cpu")
    assert done.returncode == 1
    assert done.stderr.count("error: 1 of 3 files were not restored") == 1
    assert "Traceback" not in done.stderr
    (output,) = (tmp_path / "outputs" / "predict").glob("*/restored")
    assert sorted(str(path.relative_to(output)) for path in output.rglob("*.png")) == ["a.png", "one/b.png"]


def test_tiles_show_no_seam(checkpoint: Path, photo: torch.Tensor) -> None:
    module = from_checkpoint(checkpoint)
    blurry = photo[None, :, :320, :400].float() / 255
    with torch.no_grad():
        whole = module(blurry)
    tiled = restore(module, blurry, tile=192, overlap=96, divisor=16)
    assert (tiled - whole).abs().max() <= 1 / 255


def test_a_randomly_drawn_unet_shows_no_seam_with_the_command_s_tiles(photo: torch.Tensor) -> None:
    """The published form except for its width: a sigmoid after weights with the widest possible view."""
    torch.manual_seed(0)
    backbone = backbones.create("unet", width=8, init="official").eval()
    blurry = photo[None, :, :, :].float() / 255
    with torch.no_grad():
        whole = backbone(blurry).images[0]
        tiled = restore(lambda x: backbone(x).images[0], blurry, tile=336, overlap=208, divisor=16)
    assert (tiled - whole).abs().max() <= 0.5 / 255


@pytest.mark.parametrize(
    ("tile", "overlap", "words"),
    [(64, 192, "tile=64 .* raise tile or lower overlap"), ("abc", 192, "tile='abc'"), (768, -1, "overlap=-1")],
)
def test_tiles_that_do_not_get_on_are_found_first(tile: Any, overlap: int, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        predict(
            backbones.create("unet", width=4),
            [(tmp_path / "absent.png", tmp_path / "out" / "absent.png")],
            tile,
            overlap,
        )


@pytest.mark.parametrize(
    ("settings", "words"), [({"tile_batch": 0}, "tile_batch=0"), ({"precision": "16"}, "bf16-mixed")]
)
def test_settings_that_cannot_be_are_found_first(settings: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        predict(backbones.create("unet", width=4), [(tmp_path / "absent.png", tmp_path)], 320, 192, **settings)


@pytest.mark.parametrize("settings", [{"tile_batch": 3}, {"precision": "bf16-mixed"}, {"compile": True}])
def test_fast_settings_restore_the_same(settings: dict[str, Any], photo: torch.Tensor, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 5, padding=2), torch.nn.Sigmoid())
    backbone = Backbone(network, divisor=16, licence="", name="small")
    write_image(tmp_path / "photo.png", photo[:, :150, :140])
    for folder, chosen in (("plain", {}), ("fast", settings)):
        predict(backbone, planned(tmp_path / "photo.png", tmp_path / folder, False), 64, 16, **chosen)
    plain, fast = (read_picture(tmp_path / folder / "photo.png").image.int() for folder in ("plain", "fast"))
    assert (plain - fast).abs().max() <= (2 if "precision" in settings else 1)
    assert torch.equal(plain, fast) != ("precision" in settings)


def test_memory_that_does_not_suffice_is_reported_in_one_line(photo: torch.Tensor, tmp_path: Path) -> None:
    backbone = backbones.create("unet", width=4)
    write_image(tmp_path / "photo.png", photo[:, :64, :64])

    def full(blurry: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("no more")

    backbone.network.forward = full
    with pytest.raises(UserError, match=r"photo\.png: out of GPU memory; lower tile_batch=2 or tile=64"):
        predict(backbone, planned(tmp_path / "photo.png", tmp_path / "out", False), 64, 16, tile_batch=2)
    write_image(tmp_path / "second.png", photo[:, :64, :64])
    with pytest.raises(UserError, match=r"photo\.png: out of GPU memory"):  # which ends a batch
        predict(backbone, planned(tmp_path, tmp_path / "out", False), 64, 16)


def test_compile_without_a_compiler_is_reported_in_one_line(tmp_path: Path, photo: torch.Tensor) -> None:
    write_image(tmp_path / "photo.png", photo[:, :64, :64])
    code = f"""
from pathlib import Path
from torch.nn import Conv2d, Sequential, Sigmoid
from jdrl_lightning import UserError
from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.predict import predict
network = Backbone(Sequential(Conv2d(3, 3, 5, padding=2), Sigmoid()), divisor=16, licence="", name="small")
try:
    job = (Path({str(tmp_path / "photo.png")!r}), Path({str(tmp_path / "out.png")!r}))
    predict(network, [job], 64, 16, compile=True)
except UserError as error:
    print(error)
"""
    # Fresh, since torch._inductor reads CXX when it is imported.
    done = fresh(tmp_path, "-c", code, CXX="absent", TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "cache"))
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("compile")]
    assert line.startswith("compile=true: ")
    assert line.endswith("set compile=false")


def test_without_a_checkpoint_the_shipped_network_restores_and_maps_the_blur(
    photo: torch.Tensor, tmp_path: Path
) -> None:
    sharp = photo[:, 90:250, 90:250]
    blurry = linear_rgb_to_rgb(
        blur_by_discs(rgb_to_linear_rgb(to_float(sharp)), torch.full(sharp.shape[-2:], 3.0)).clamp(0, 1)
    )
    write_image(tmp_path / "photo.png", to_uint(blurry))
    call = (*PREDICT, "input=photo.png", "output=restored", "blur_map=true")
    done = forked(tmp_path, *call)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("restoring with the shipped network compact") == 1
    restored = read_picture(tmp_path / "restored" / "photo.png").image
    inside = (..., slice(16, -16), slice(16, -16))

    def error(image: torch.Tensor) -> torch.Tensor:
        return (image.float() / 255 - sharp.float() / 255)[inside].square().mean()

    assert error(restored) < 0.8 * error(to_uint(blurry))
    radius = read_picture(tmp_path / "restored" / "photo_blur.png")
    assert (radius.depth, radius.grey) == (16, True)
    assert float(radius.image[0].int()[16:-16, 16:-16].float().median()) / MAP_LEVELS == pytest.approx(3, abs=1)
    again = forked(tmp_path, *call)
    assert again.returncode == 1


def test_a_guided_checkpoint_maps_the_blur(photo: torch.Tensor, tmp_path: Path) -> None:
    network = {"name": "guided", "of": {"name": "unet", "width": 4}, "width": 4}
    module = module_of({"backbone": network, "objective": {"name": "l1"}, "seed": 0})
    torch.save({"state_dict": module.state_dict(), "jdrl_lightning": {"config": module.config}}, tmp_path / "a.ckpt")
    write_image(tmp_path / "photo.png", photo[:, :40, :50])
    done = forked(tmp_path, *PREDICT, "input=photo.png", "output=out", "ckpt_path=a.ckpt", "blur_map=true")
    assert done.returncode == 0, done.stderr
    radius = read_picture(tmp_path / "out" / "photo_blur.png")
    assert (radius.depth, radius.grey, radius.image.shape[1:]) == (16, True, (40, 50))
    assert (radius.image.int() - 0.1 * DISC * REACH_PX * MAP_LEVELS).abs().max() <= 1  # where an untrained map starts


def test_a_blur_map_is_overwritten_only_on_request(tmp_path: Path, photo: torch.Tensor) -> None:
    write_image(tmp_path / "a.png", photo[:, :20, :20])
    write_image(tmp_path / "out" / "a_blur.png", photo[:, :20, :20])
    with pytest.raises(UserError, match=r"a_blur\.png: exists"):
        planned(tmp_path / "a.png", tmp_path / "out", overwrite=False, blur_map=True)
    assert planned(tmp_path / "a.png", tmp_path / "out", overwrite=False)


def test_a_network_without_a_map_is_an_error(tmp_path: Path, photo: torch.Tensor) -> None:
    write_image(tmp_path / "a.png", photo[:, :20, :20])
    with pytest.raises(UserError, match="unet predicts no blur map"):
        predict(backbones.create("unet", width=4), [(tmp_path / "a.png", tmp_path / "out.png")], 64, 16, blur_map=True)


def test_an_output_that_is_a_file(photo: torch.Tensor, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", photo[:, :20, :20])
    with pytest.raises(UserError, match=r"a\.png: is a file; give output=<folder>"):
        planned(tmp_path / "a.png", tmp_path / "a.png", overwrite=True)


def test_the_command(checkpoint: Path, photo: torch.Tensor, tmp_path: Path) -> None:
    write_image(tmp_path / "photo.png", photo[:, :70, :90])
    call = (*PREDICT, f"ckpt_path={checkpoint}", "input=photo.png", "output=restored", "device=cpu")
    first = fresh(tmp_path, *call)
    assert first.returncode == 0, first.stderr
    assert np.asarray(Image.open(tmp_path / "restored" / "photo.png")).shape == (70, 90, 3)
    again = forked(tmp_path, *call)
    assert again.returncode == 1
    assert "exists" in again.stderr
    assert "Traceback" not in again.stderr
