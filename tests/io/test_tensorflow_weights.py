from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from jdrl_lightning import backbones
from jdrl_lightning.backbones import Backbone, load_weights
from jdrl_lightning.errors import UserError


def _dpdnet(seed: int, width: int = 3) -> Backbone:
    torch.manual_seed(seed)
    return backbones.create("dpdnet", width=width).eval()


def _kpac(seed: int, levels: int = 2, tf_padding: bool = True) -> Backbone:
    torch.manual_seed(seed)
    backbone = backbones.create("kpac", levels=levels, width=4, tf_padding=tf_padding).eval()
    for parameter in backbone.parameters():
        nn.init.normal_(parameter, std=0.1)  # biases and last layer too
    return backbone


def _restored(backbone: Backbone) -> Tensor:
    return backbone(torch.linspace(0, 1, 3 * 20 * 33).reshape(1, 3, 20, 33)).images[0].detach()


def _as_tensorflow(backbone: Backbone) -> list[np.ndarray]:
    """The tensors in TensorFlow's layout: height, width, then the other two axes swapped."""
    values = [value.numpy() for value in backbone.network.state_dict().values()]
    return [np.einsum("oihw->hwio", value) if value.ndim == 4 else value for value in values]


# Keras HDF5


def _write_keras(file: Path, arrays: list[np.ndarray], whole_model: bool) -> None:
    """One group per layer, also those without weights; ``conv2d_10`` sorts before ``conv2d_2``."""
    with h5py.File(file, "w") as content:
        root: Any = content
        if whole_model:
            content.attrs["model_config"] = '{"class_name": "Model"}'
            content.create_group("optimizer_weights").attrs["weight_names"] = [b"Adam/iterations:0"]
            root = content.create_group("model_weights")
        layers = ["input_1"]
        root.create_group("input_1").attrs["weight_names"] = np.zeros(0, "S1")
        for number in range(len(arrays) // 2):
            layer = f"conv2d_{number + 1}"
            names = [f"{layer}/kernel:0", f"{layer}/bias:0"]
            group = root.create_group(layer)
            group.attrs["weight_names"] = names if whole_model else [name.encode() for name in names]
            for name, array in zip(names, arrays[2 * number : 2 * number + 2], strict=True):
                group[name] = array
            layers.append(layer)
        root.attrs["layer_names"] = layers if whole_model else [layer.encode() for layer in layers]


@pytest.mark.parametrize("whole_model", [False, True])
def test_keras_layouts(whole_model: bool, tmp_path: Path) -> None:
    source, target = _dpdnet(1), _dpdnet(2)
    _write_keras(tmp_path / "w.hdf5", _as_tensorflow(source), whole_model)
    assert not torch.equal(_restored(source), _restored(target))
    loaded = load_weights(target, tmp_path / "w.hdf5")
    assert torch.equal(_restored(source), _restored(target))
    assert (loaded.layout, loaded.n_tensors) == ("foreign", 48)
    assert "MIT" in str(loaded.licence)


def test_pytorch_files_still_load(tmp_path: Path) -> None:
    for source, target in ((_dpdnet(1), _dpdnet(2)), (_kpac(1), _kpac(2))):
        torch.save(source.network.state_dict(), tmp_path / "w.pth")
        assert load_weights(target, tmp_path / "w.pth").layout == "bare"
        assert torch.equal(_restored(source), _restored(target))


def test_keras_files_that_do_not_fit_name_the_first_mismatch(tmp_path: Path) -> None:
    target = _dpdnet(2)
    before = _restored(target)
    arrays = _as_tensorflow(_dpdnet(1))
    dual_pixel = [np.zeros((3, 3, 6, 3), np.float32), *arrays[1:]]
    for wrong, message in (
        (
            dual_pixel,
            r"conv2d_1/kernel:0 \(3×3×6×3\) in the file, encoder\.block1\.0\.weight \(3×3×3×3\) in the network",
        ),
        (
            arrays[:-2],
            r"nothing \(none\) in the file, out\.2\.weight \(1×1×3×3\) in the network; the file has 46 arrays.* 48",
        ),
        (
            [*arrays, arrays[0], arrays[1]],
            r"conv2d_25/kernel:0 \(3×3×3×3\) in the file, nothing \(none\) in the network; .* 50",
        ),
        (_as_tensorflow(_dpdnet(1, width=4)), r"conv2d_1/kernel:0 \(3×3×3×4\)"),
    ):
        _write_keras(tmp_path / "w.hdf5", wrong, whole_model=False)
        with pytest.raises(UserError, match=message) as error:
            load_weights(target, tmp_path / "w.hdf5")
        assert "w.hdf5" in str(error.value)
        assert "\n" not in str(error.value)
    assert torch.equal(_restored(target), before)


def test_without_h5py(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _write_keras(tmp_path / "w.hdf5", _as_tensorflow(_dpdnet(1)), whole_model=False)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"w\.hdf5 need .* pip install 'jdrl_lightning\[keras\]'"):
        load_weights(_dpdnet(2), tmp_path / "w.hdf5")


def test_damaged_and_other_hdf5(tmp_path: Path) -> None:
    target = _dpdnet(2)
    file = tmp_path / "w.hdf5"
    _write_keras(file, _as_tensorflow(_dpdnet(1)), whole_model=False)
    whole = file.read_bytes()
    for share in (0.001, 0.3, 0.9):
        file.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(UserError, match=r"w\.hdf5 cannot be read as Keras HDF5"):
            load_weights(target, file)
    _write_keras(file, _as_tensorflow(_dpdnet(1)), whole_model=False)
    with h5py.File(file, "r+") as content:
        del content["conv2d_2/conv2d_2/kernel:0"]
    with pytest.raises(UserError, match=r"w\.hdf5 cannot be read as Keras HDF5"):
        load_weights(target, file)
    with h5py.File(file, "w") as content:
        content["layers/conv2d/vars/0"] = np.zeros(3)
    with pytest.raises(UserError, match=r"w\.hdf5 are HDF5 but not written by Keras"):
        load_weights(target, file)


@pytest.mark.parametrize("kind", ["link", "storage", "virtual"])
def test_hdf5_that_refers_to_other_files(kind: str, tmp_path: Path) -> None:
    arrays = _as_tensorflow(_dpdnet(1))
    _write_keras(tmp_path / "w.hdf5", arrays, whole_model=False)
    _write_keras(tmp_path / "other.hdf5", arrays, whole_model=False)
    (tmp_path / "raw").write_bytes(bytes(99 * 4))
    path = "conv2d_1/conv2d_1/bias:0"
    with h5py.File(tmp_path / "w.hdf5", "r+") as content:
        del content[path]
        if kind == "link":
            content[path] = h5py.ExternalLink(str(tmp_path / "other.hdf5"), path)
        elif kind == "storage":
            content.create_dataset(path, (3,), "f4", external=[(str(tmp_path / "raw"), 0, 12)])
        else:
            layout = h5py.VirtualLayout((3,), "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.hdf5"), path, (3,))
            content.create_virtual_dataset(path, layout)
        assert content[path].shape == (3,)
    with pytest.raises(UserError, match="bias:0 in another file"):
        load_weights(_dpdnet(2), tmp_path / "w.hdf5")


# TensorLayer npz


def _object_array(arrays: list[Any]) -> np.ndarray:
    content = np.empty(len(arrays), object)
    content[:] = arrays
    return content


class _Python2Pickler(pickle._Pickler):
    """Writes byte strings like Python 2."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_bytes(self, obj: bytes) -> None:
        self.write(pickle.BINSTRING + struct.pack("<i", len(obj)) + obj)
        self.memoize(obj)

    dispatch[bytes] = save_bytes


def _pickle(content: Any, form: str) -> bytes:
    if form == "numpy2":
        return pickle.dumps(content, protocol=4)
    if form == "numpy1":
        return pickle.dumps(content, protocol=3).replace(b"numpy._core", b"numpy.core")
    stream = io.BytesIO()
    _Python2Pickler(stream, protocol=2).dump(content)
    return stream.getvalue().replace(b"numpy._core", b"numpy.core")


def _write_params(file: Path, pickled: bytes, length: int = 58) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (length,)})
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("params.npy", header.getvalue() + pickled)


def _savez_params(file: Path, arrays: list[np.ndarray]) -> None:
    np.savez(file, params=_object_array(arrays))


WRITERS: dict[str, Callable[[Path, list[np.ndarray]], None]] = {
    "savez": _savez_params,
    "compressed": lambda file, arrays: np.savez_compressed(file, params=_object_array(arrays)),
    "members": lambda file, arrays: np.savez(file, *arrays),
    "numpy1": lambda file, arrays: _write_params(file, _pickle(_object_array(arrays), "numpy1")),
    "python2": lambda file, arrays: _write_params(file, _pickle(_object_array(arrays), "python2")),
}


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("writer", WRITERS)
def test_npz_layouts(writer: str, levels: int, tmp_path: Path) -> None:
    source, target = _kpac(1, levels), _kpac(2, levels)
    WRITERS[writer](tmp_path / "w.npz", _as_tensorflow(source))
    assert not torch.equal(_restored(source), _restored(target))
    loaded = load_weights(target, tmp_path / "w.npz")
    assert torch.equal(_restored(source), _restored(target))
    assert (loaded.layout, loaded.n_tensors) == ("foreign", {2: 58, 3: 66}[levels])
    assert "AGPL" in str(loaded.licence)


def test_transposed_kernels_are_stored_out_before_in(tmp_path: Path) -> None:
    """The upsampling layers halve the channels: height, width, out, in."""
    source = _kpac(1)
    layer = source.network.decoder[0].up[0]
    assert layer.weight.shape == (8, 4, 4, 4)
    kernels = [array for array in _as_tensorflow(source) if array.shape == (4, 4, 4, 8)]
    assert len(kernels) == 1
    torch.testing.assert_close(torch.from_numpy(kernels[0][1, 2]), layer.weight.detach()[:, :, 1, 2].T)


def test_npz_needs_tensorflows_padding(tmp_path: Path) -> None:
    _savez_params(tmp_path / "w.npz", _as_tensorflow(_kpac(1)))
    with pytest.raises(UserError, match=r"w\.npz .* backbone\.tf_padding=true"):
        load_weights(_kpac(2, tf_padding=False), tmp_path / "w.npz")


def test_npz_that_does_not_fit_names_the_first_mismatch(tmp_path: Path) -> None:
    target = _kpac(2)
    before = _restored(target)
    arrays = _as_tensorflow(_kpac(1))
    swapped = [*arrays[:2], arrays[4], arrays[3], arrays[2], *arrays[5:]]
    for wrong, message in (
        (
            swapped[:-1],
            r"nothing \(none\) in the file, decoder\.1\.fuse\.bias \(3\) in the network; the file has 57 arrays.* 58",
        ),
        (_as_tensorflow(_kpac(1, levels=3)), r"params\[12\] .* the file has 66 arrays, the network 58"),
        ([*arrays[:4], arrays[0], *arrays[5:]], r"params\[4\] \(5×5×3×4\) in the file, encoder\.1\.0\.weight"),
    ):
        _savez_params(tmp_path / "w.npz", wrong)
        with pytest.raises(UserError, match=message):
            load_weights(target, tmp_path / "w.npz")
    assert torch.equal(_restored(target), before)


class _Hostile:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("form", ["numpy2", "numpy1", "python2"])
@pytest.mark.parametrize("place", ["element", "whole"])
@pytest.mark.parametrize("function", ["system", "exec"])
def test_hostile_pickles_do_not_run(form: str, place: str, function: str, tmp_path: Path) -> None:
    witness = tmp_path / "it_ran"
    code = f"open({str(witness)!r}, 'w').close()"
    bad = _Hostile(os.system, f"touch {witness}") if function == "system" else _Hostile(exec, code)
    content = _object_array([*_as_tensorflow(_kpac(1))[:-1], bad]) if place == "element" else bad
    pickled = _pickle(content, form)
    _write_params(tmp_path / "bad.npz", pickled)
    target = _kpac(2)
    before = _restored(target)
    with pytest.raises(UserError, match=rf"bad\.npz hold pickled code \(\w+\.{function}\), which is not run"):
        load_weights(target, tmp_path / "bad.npz")
    assert not witness.exists()
    assert torch.equal(_restored(target), before)
    pickle.loads(pickled, encoding="latin1")
    assert witness.exists()  # the pickle does run when it is trusted


@pytest.mark.parametrize("function", [np.load, np.frombuffer, getattr, __import__])
def test_other_functions_are_refused(function: Any, tmp_path: Path) -> None:
    _write_params(tmp_path / "bad.npz", pickle.dumps(_Hostile(function, "os"), protocol=4))
    with pytest.raises(UserError, match=rf"bad\.npz hold pickled code .*{function.__name__}"):
        load_weights(_kpac(2), tmp_path / "bad.npz")


def test_damaged_and_other_npz(tmp_path: Path) -> None:
    file, target = tmp_path / "w.npz", _kpac(2)
    for writer in ("savez", "compressed", "members"):
        WRITERS[writer](file, _as_tensorflow(_kpac(1)))
        whole = file.read_bytes()
        for content in (whole[: len(whole) // 2], whole[:-9], b"", b"no archive at all", bytes(99)):
            file.write_bytes(content)
            with pytest.raises(UserError, match=r"w\.npz cannot be read as npz"):
                load_weights(target, file)
        middle = len(whole) // 2
        file.write_bytes(whole[:middle] + bytes(64) + whole[middle + 64 :])
        with pytest.raises(UserError, match=r"w\.npz cannot be read as npz"):  # the archive's checksum
            load_weights(target, file)
    np.savez(file, kernel=np.zeros(3))
    with pytest.raises(UserError, match=r"w\.npz have other arrays than params or arr_0"):
        load_weights(target, file)
    np.savez(file, params=np.zeros((2, 3)))
    with pytest.raises(UserError, match=r"one array of numbers, 2×3"):
        load_weights(target, file)
    for content in ([1, 2], {"a": np.zeros(2)}, _object_array([np.zeros(2), "text"]), np.zeros(3)):
        _write_params(file, pickle.dumps(content, protocol=4))
        with pytest.raises(UserError, match=r"have no list of arrays"):
            load_weights(target, file)
    _write_params(file, pickle.dumps(_Hostile(np.ndarray, (1 << 60,)), protocol=4))
    with pytest.raises(UserError, match=r"w\.npz cannot be read as npz"):
        load_weights(target, file)
