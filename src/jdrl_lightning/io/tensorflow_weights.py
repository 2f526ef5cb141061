"""Weights that TensorFlow programs publish: Keras HDF5 and TensorLayer npz. Files are not trusted.

Neither format knows our names, so arrays are matched by order and each one's shape is checked. Kernels are stored as
height, width, in, out (transposed convolutions: height, width, out, in); both become PyTorch's layout by the same
permutation.
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
ARRAYS_ONLY = {  # what an object array's pickle needs to be put together again, and where NumPy 1 and 2 keep it
    (module, name)
    for module, name in (
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    )
}


def read_keras(file: Path, network: nn.Module) -> dict[str, Tensor] | None:
    """A network's state dict from Keras' HDF5, a weights file or a whole model.

    Args:
        file: any existing path.
        network: its layers must have been registered in the order in which the file's were made.

    Returns:
        ``{key of network: tensor}``, or None if ``file`` is not HDF5.

    Raises:
        UserError: h5py is not installed; the file is damaged, is not Keras', or does not fit.
    """
    if not file.is_file() or not _begins_with(file, HDF5_SIGNATURE):
        return None
    try:
        import h5py
    except ImportError as error:
        raise UserError(f"weights {file} need the h5py package: pip install 'jdrl_lightning[keras]'") from error
    try:
        with h5py.File(file) as content:
            root = content.get("model_weights", content)
            if "layer_names" not in root.attrs:
                raise UserError(f"weights {file} are HDF5 but not in Keras' layout: no attribute layer_names")
            arrays = []
            for group in (root[_text(layer)] for layer in root.attrs["layer_names"]):
                for name in map(_text, group.attrs["weight_names"]):
                    array = group[name]
                    if array.file.filename != content.filename or array.external or array.is_virtual:
                        raise UserError(f"weights {file} take {name} from another file, which is not opened")
                    arrays.append((name, array))
            return _in_order(arrays, network, file)
    except UNREADABLE as error:
        raise UserError(f"weights {file} cannot be read as Keras' HDF5: damaged, or not weights at all") from error


def read_tensorlayer(file: Path, network: nn.Module) -> dict[str, Tensor] | None:
    """A network's state dict from an npz file: TensorLayer's one object array ``params``, or ``arr_0``, ``arr_1``, ….

    An object array is a pickle; it is read by an unpickler that can make arrays and nothing else.

    Args:
        file: any existing path.
        network: its layers must have been registered in the order in which the file's were made.

    Returns:
        ``{key of network: tensor}``, or None if ``file`` is not called ``.npz``.

    Raises:
        UserError: the file is damaged, holds other code or arrays of other names, or does not fit.
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
                raise UserError(f"weights {file} hold neither params alone nor arr_0, arr_1, …: not TensorLayer's npz")
            return _in_order(arrays, network, file)
    except UNREADABLE as error:
        raise UserError(f"weights {file} cannot be read as npz: damaged, or not weights at all") from error


class _ArrayUnpickler(pickle.Unpickler):
    """Refuses every function and class but those that put NumPy arrays together."""

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
            raise UserError(f"weights {file} hold one array of numbers, {_shape(shape)}: not TensorLayer's list")
        content = _ArrayUnpickler(stream, file).load()
    if not isinstance(content, np.ndarray) or content.ndim != 1 or not all(isinstance(a, np.ndarray) for a in content):
        raise UserError(f"weights {file} hold something else than a list of arrays")
    return list(content)


def _in_order(arrays: Sequence[tuple[str, Any]], network: nn.Module, file: Path) -> dict[str, Tensor]:
    """Match named arrays (NumPy's or HDF5's, read only once their shape fits) with the network's tensors."""
    wanted = [(key, _as_stored(value.shape)) for key, value in network.state_dict().items()]
    given = [(name, tuple(array.shape)) for name, array in arrays]
    for (name, there), (key, here) in zip_longest(given, wanted, fillvalue=("nothing", None)):
        if there != here:
            pair = f"{name} ({_shape(there)}) in the file, {key} ({_shape(here)}) here"
            counts = f"{len(given)} arrays there, {len(wanted)} here"
            raise UserError(f"weights {file} do not fit the backbone with these settings, first at {pair}; {counts}")
    return {key: _tensor(array) for (key, _), (_, array) in zip(wanted, arrays, strict=True)}


def _as_stored(shape: Sequence[int]) -> tuple[int, ...]:
    return (shape[2], shape[3], shape[1], shape[0]) if len(shape) == 4 else tuple(shape)


def _tensor(array: Any) -> Tensor:
    values = np.asarray(array, dtype=np.float32)
    return torch.from_numpy(np.array(values.transpose(3, 2, 0, 1) if values.ndim == 4 else values, order="C"))


def _begins_with(file: Path, signature: bytes) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(signature)) == signature


def _shape(shape: Sequence[int] | None) -> str:
    return "none" if shape is None else "×".join(map(str, shape)) or "scalar"


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
