"""What cannot be restored, or would be overwritten, is found before the first file is restored."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from jdrl_lightning import UserError
from jdrl_lightning.inference.planned import planned
from jdrl_lightning.io.image import write_image


def test_what_cannot_be_restored_is_found_before_the_first_is(tmp_path: Path, photo: torch.Tensor) -> None:
    write_image(tmp_path / "a.png", photo[:, :20, :20])
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"b\.png: the file is empty"):
        planned(tmp_path / "b.png", tmp_path / "out", overwrite=False)
    write_image(tmp_path / "b.png", photo[:, :20, :20].to(torch.int32).mul(257).to(torch.uint16))
    (tmp_path / "b.png").rename(tmp_path / "b.jpg")
    with pytest.raises(UserError, match=r"b\.jpg: a 16-bit image, which .*out/b\.jpg cannot hold; name it \.png or"):
        planned(tmp_path / "b.jpg", tmp_path / "out", overwrite=False)


def test_what_its_output_cannot_hold_comes_first_and_stops_no_other(tmp_path: Path, photo: torch.Tensor) -> None:
    batch(tmp_path, photo, ["a.png", "b.jpg"])
    write_image(tmp_path / "in" / "c.png", photo[:, :20, :20].to(torch.int32).mul(257).to(torch.uint16))
    (tmp_path / "in" / "c.png").rename(tmp_path / "in" / "c.jpg")
    jobs = planned(tmp_path / "in", tmp_path / "out", overwrite=False)
    assert [file.name for file, _ in jobs] == ["c.jpg", "a.png", "b.jpg"]


def test_the_output_of_a_single_picture_may_be_a_file(tmp_path: Path, photo: torch.Tensor) -> None:
    (file,), out = batch(tmp_path, photo, ["a.png"]), tmp_path / "out"
    for name in ("b.jpg", "b.tif", "b.png"):
        assert planned(file, out / name, overwrite=False) == [(file, out / name)]
    write_image(out / "b.jpg", photo[:, :20, :20])
    with pytest.raises(UserError, match=r"b\.jpg: exists; give another output"):
        planned(file, out / "b.jpg", overwrite=False)
    assert planned(file, out / "b.jpg", overwrite=True) == [(file, out / "b.jpg")]
    with pytest.raises(UserError, match=r"a\.png: an 8-bit image, which .*b\.webp cannot hold; name it \.png or \.tif"):
        planned(file, out / "b.webp", overwrite=False)
    with pytest.raises(UserError, match=r"b\.jpg: is a file; give output=<folder>"):
        planned(tmp_path / "in", out / "b.jpg", overwrite=True)
    (out / "c.png").mkdir()
    assert planned(file, out / "c.png", overwrite=False) == [(file, out / "c.png" / "a.png")]
    write_image(file, photo[:, :20, :20].to(torch.int32).mul(257).to(torch.uint16))
    with pytest.raises(UserError, match=r"a\.png: a 16-bit image, which .*d\.jpg cannot hold; name it \.png or \.tif"):
        planned(file, out / "d.jpg", overwrite=False)


def test_nothing_is_overwritten_without_overwrite(tmp_path: Path, photo: torch.Tensor) -> None:
    write_image(tmp_path / "a.png", photo[:, :20, :20])
    (tmp_path / "out").mkdir()
    assert planned(tmp_path / "a.png", tmp_path / "out", overwrite=False) == [
        (tmp_path / "a.png", tmp_path / "out" / "a.png")
    ]
    (tmp_path / "out" / "a.png").write_bytes(b"mine")
    with pytest.raises(UserError, match="overwrite=true"):
        planned(tmp_path / "a.png", tmp_path / "out", overwrite=False)
    assert planned(tmp_path / "a.png", tmp_path / "out", overwrite=True)
    for source in ("absent.png", "out2"):
        (tmp_path / "out2").mkdir(exist_ok=True)
        with pytest.raises(UserError, match=source):
            planned(tmp_path / source, tmp_path / "out", overwrite=False)


def batch(folder: Path, photo: torch.Tensor, names: list[str]) -> list[Path]:
    for name in names:
        write_image(folder / "in" / name, photo[:, :20, :20])
    return [folder / "in" / name for name in names]


def test_resume_leaves_out_what_is_there(tmp_path: Path, photo: torch.Tensor, caplog: pytest.LogCaptureFixture) -> None:
    files, out = batch(tmp_path, photo, ["a.png", "b.png", "c.png"]), tmp_path / "out"
    write_image(out / "b.png", photo[:, :20, :20])
    with pytest.raises(UserError, match=r"b\.png: exists; give another output=…, overwrite=true, or resume=true"):
        planned(tmp_path / "in", out, overwrite=False)
    with caplog.at_level(logging.INFO):
        jobs = planned(tmp_path / "in", out, overwrite=False, resume=True)
    assert jobs == [(file, out / file.name) for file in (files[0], files[2])]
    assert "1 of 3 are there already and left out" in caplog.text
    with pytest.raises(UserError, match="exclude each other"):
        planned(tmp_path / "in", out, overwrite=True, resume=True)


def test_resume_with_blur_maps(tmp_path: Path, photo: torch.Tensor) -> None:
    """The map is written first: a map alone is of an interrupted run, a picture alone of a run without maps."""
    (file,), out = batch(tmp_path, photo, ["a.png"]), tmp_path / "out"
    write_image(out / "a_blur.png", photo[:, :20, :20])
    assert planned(file, out, overwrite=False, blur_map=True, resume=True) == [(file, out / "a.png")]
    write_image(out / "a.png", photo[:, :20, :20])
    assert planned(file, out, overwrite=False, blur_map=True, resume=True) == []
    (out / "a_blur.png").unlink()
    with pytest.raises(UserError, match=r"a\.png: exists without its blur map"):
        planned(file, out, overwrite=False, blur_map=True, resume=True)


def test_names_up_to_the_longest(tmp_path: Path, photo: torch.Tensor) -> None:
    (file,), out = batch(tmp_path, photo, ["a" * 251 + ".png"]), tmp_path / "out"
    assert planned(file, out, overwrite=False) == [(file, out / file.name)]
    with pytest.raises(UserError, match=r"_blur\.png: the file name is too long; shorten"):
        planned(file, out, overwrite=False, blur_map=True)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_five_thousand_files_take_a_second(suffix: str, tmp_path: Path, photo: torch.Tensor) -> None:
    """Of CPU time; without decoding."""
    (tmp_path / "in").mkdir()
    Image.fromarray(photo.permute(1, 2, 0).numpy()).save(tmp_path / f"one{suffix}")
    for number in range(5000):
        (tmp_path / "in" / f"{number}{suffix}").hardlink_to(tmp_path / f"one{suffix}")
    start = time.process_time()
    assert len(planned(tmp_path / "in", tmp_path / "out", overwrite=False)) == 5000
    assert time.process_time() - start < 1.5  # 0.2 to 0.6 s measured


def test_damaged_files_of_a_folder_come_first(tmp_path: Path, photo: torch.Tensor) -> None:
    batch(tmp_path, photo, ["a.png", "c.png"])
    for name in ("b.png", "d.jpg"):
        (tmp_path / "in" / name).write_bytes(b"damaged")
    jobs = planned(tmp_path / "in", tmp_path / "out", overwrite=False)
    assert [file.name for file, _ in jobs] == ["b.png", "d.jpg", "a.png", "c.png"]


def test_subfolders_keep_their_structure(tmp_path: Path, photo: torch.Tensor) -> None:
    names = ["b.png", "one/a.png", "one/two/a.png", ".hidden/a.png", "restored/a.png"]
    files, out = batch(tmp_path, photo, names), tmp_path / "in" / "restored"
    (tmp_path / "in" / "empty").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "in" / "one")
    jobs = planned(tmp_path / "in", out, overwrite=False, recursive=True)
    assert jobs == [(file, out / name) for file, name in zip(files[:3], names, strict=False)]
    write_image(out / "one" / "a.png", photo[:, :20, :20])
    jobs = planned(tmp_path / "in", out, overwrite=False, resume=True, recursive=True)
    assert [file for file, _ in jobs] == [files[0], files[2]]


def test_pictures_in_subfolders_name_the_setting(
    tmp_path: Path, photo: torch.Tensor, caplog: pytest.LogCaptureFixture
) -> None:
    batch(tmp_path, photo, ["one/a.png"])
    with pytest.raises(UserError, match=r"holds no images .*; its subfolders do: give recursive=true"):
        planned(tmp_path / "in", tmp_path / "out", overwrite=False)
    batch(tmp_path, photo, ["b.png"])
    assert len(planned(tmp_path / "in", tmp_path / "out", overwrite=False)) == 1
    assert "the pictures in its subfolders are left out; recursive=true restores them too" in caplog.text
    caplog.clear()
    assert len(planned(tmp_path / "in", tmp_path / "in" / "one", overwrite=False)) == 1
    assert not caplog.records


def test_two_pictures_of_one_name(tmp_path: Path, photo: torch.Tensor) -> None:
    """Each has its own output, whether or not the other is finished."""
    files, out = batch(tmp_path, photo, ["a.png", "one/b.png"]), tmp_path / "out"
    for name in ("a.bmp", "one/a.bmp"):
        Image.fromarray(photo[:, :20, :20].permute(1, 2, 0).numpy()).save(tmp_path / "in" / name)
    made = {tmp_path / "in" / "a.bmp": out / "a.bmp.png", files[0]: out / "a.png"}
    made |= {tmp_path / "in" / "one" / "a.bmp": out / "one" / "a.png", files[1]: out / "one" / "b.png"}
    assert dict(planned(tmp_path / "in", out, overwrite=False, recursive=True)) == made
    write_image(out / "a.png", photo[:, :20, :20])
    del made[files[0]]
    assert dict(planned(tmp_path / "in", out, overwrite=False, resume=True, recursive=True)) == made
