"""Published TensorFlow weights: Keras HDF5 and TensorLayer npz. Files are not trusted.

Neither format has our tensor names, so arrays are matched by order and their shapes are checked. Kernels are stored as
height, width, in, out (transposed convolutions: height, width, out, in); the same permutation gives PyTorch's layout
for both.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile, ZipFile
from zlib import error as ZlibError

import numpy as np
import torch
from torch import Tensor, nn

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.weights import DAMAGED

__all__ = ["read_keras", "read_tensorlayer"]

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNREADABLE = (*DAMAGED, MemoryError, BadZipFile, ZlibError)
ARRAYS_ONLY = {  # all that unpickling an object array needs, under the module names of NumPy 1 and 2
    (module, name)
    for module, name in (
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    )
}


def read_keras(file: Path, network: nn.Module) -> dict[str, Tensor] | None:
    """A network's state dict from a Keras HDF5 file, of weights or of a whole model.

    Args:
        file: any existing path.
        network: registers its layers in the order in which the file's were created.

    Returns:
        ``{key of network: tensor}``, or None if ``file`` is not HDF5.

    Raises:
        UserError: h5py is not installed; the file is damaged, not written by Keras, or does not fit.
    """
    if not file.is_file() or not _starts_with(file, HDF5_SIGNATURE):
        return None
    try:
        import h5py
    except ImportError as error:
        raise UserError(f"weights {file} need the h5py package: pip install 'jdrl_lightning[keras]'") from error
    try:
        with h5py.File(file) as content:
            root = content.get("model_weights", content)
            if "layer_names" not in root.attrs:
                raise UserError(f"weights {file} are HDF5 but not written by Keras: no attribute layer_names")
            arrays = []
            for group in (root[_text(layer)] for layer in root.attrs["layer_names"]):
                for name in map(_text, group.attrs["weight_names"]):
                    array = group[name]
                    if array.file.filename != content.filename or array.external or array.is_virtual:
                        raise UserError(f"weights {file} keep {name} in another file, which is not opened")
                    arrays.append((name, array))
            return _in_order(arrays, network, file)
    except UNREADABLE as error:
        raise UserError(f"weights {file} cannot be read as Keras HDF5: damaged, or not weights") from error


def read_tensorlayer(file: Path, network: nn.Module) -> dict[str, Tensor] | None:
    """A network's state dict from an npz file: TensorLayer's one object array ``params``, or ``arr_0``, ``arr_1``, ….

    An object array is a pickle; it is read by an unpickler restricted to NumPy arrays.

    Args:
        file: any existing path.
        network: registers its layers in the order in which the file's were created.

    Returns:
        ``{key of network: tensor}``, or None unless the suffix is ``.npz``.

    Raises:
        UserError: the file is damaged, has pickled code or other array names, or does not fit.
    """
    if not file.is_file() or file.suffix != ".npz":
        return None
    try:
        with np.load(file, allow_pickle=False) as content:
            numbered = [f"arr_{i}" for i in range(len(content.files))]
            if content.files == ["params"]:
                arrays = [(f"params[{i}]", array) for i, array in enumerate(_object_array(file, "params.npy"))]
            elif set(content.files) == set(numbered):
                arrays = [(name, content[name]) for name in numbered]
            else:
                raise UserError(
                    f"weights {file} have other arrays than params or arr_0, arr_1, …: not a TensorLayer npz"
                )
            return _in_order(arrays, network, file)
    except UNREADABLE as error:
        raise UserError(f"weights {file} cannot be read as npz: damaged, or not weights") from error


class _ArrayUnpickler(pickle.Unpickler):
    """Refuses every function and class except those that build NumPy arrays."""

    def __init__(self, stream: IO[bytes], file: Path) -> None:
        super().__init__(stream, encoding="latin1")  # as NumPy does, for files written under Python 2
        self.file = file

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ARRAYS_ONLY:
            raise UserError(f"weights {self.file} hold pickled code ({module}.{name}), which is not run")
        return super().find_class(module, name)


def _object_array(file: Path, member: str) -> list[Any]:
    with ZipFile(file) as archive, archive.open(member) as stream:
        np.lib.format.read_magic(stream)
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        if not dtype.hasobject:
            raise UserError(
                f"weights {file} have one array of numbers, {_shape(shape)}, not TensorLayer's list of arrays"
            )
        content = _ArrayUnpickler(stream, file).load()
    if not isinstance(content, np.ndarray) or content.ndim != 1 or not all(isinstance(a, np.ndarray) for a in content):
        raise UserError(f"weights {file} have no list of arrays")
    return list(content)


def _in_order(arrays: Sequence[tuple[str, Any]], network: nn.Module, file: Path) -> dict[str, Tensor]:
    """Match named arrays with the network's tensors in order; HDF5 arrays are read only after their shapes match."""
    wanted = [(key, _as_stored(value.shape)) for key, value in network.state_dict().items()]
    given = [(name, tuple(array.shape)) for name, array in arrays]
    for (name, found), (key, expected) in zip_longest(given, wanted, fillvalue=("nothing", None)):
        if found != expected:
            pair = f"{name} ({_shape(found)}) in the file, {key} ({_shape(expected)}) in the network"
            counts = f"the file has {len(given)} arrays, the network {len(wanted)}"
            raise UserError(
                f"weights {file} do not fit the backbone with these settings; first mismatch: {pair}; {counts}"
            )
    return {key: _tensor(array) for (key, _), (_, array) in zip(wanted, arrays, strict=True)}


def _as_stored(shape: Sequence[int]) -> tuple[int, ...]:
    return (shape[2], shape[3], shape[1], shape[0]) if len(shape) == 4 else tuple(shape)


def _tensor(array: Any) -> Tensor:
    values = np.asarray(array, dtype=np.float32)
    return torch.from_numpy(np.array(values.transpose(3, 2, 0, 1) if values.ndim == 4 else values, order="C"))


def _starts_with(file: Path, signature: bytes) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(signature)) == signature


def _shape(shape: Sequence[int] | None) -> str:
    return "none" if shape is None else "×".join(map(str, shape)) or "scalar"


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
