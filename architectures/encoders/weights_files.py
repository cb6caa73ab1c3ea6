"""Read files of weights: .safetensors, and .pth with a state dict, whose pickled code is never run."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from architectures.architecture_info import WeightsError

Channels = tuple[float, float, float]  # R, G, B

# What torch's unpickler raises for damaged files and for pickled code
_UNREADABLE = (
    pickle.UnpicklingError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def read_tensors(path: Path, keys: Collection[str] | None = None) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """Tensors of a file by name, and its metadata, which is empty for .pth.

    keys  the names of those to read, of which the file may lack some; all by default

    Raises WeightsError: no such file, one of another kind, one that cannot be read, or pickled code.
    """
    if _is_safetensors(path):
        with _opened(path) as file:
            found = [key for key in file.keys() if keys is None or key in keys]  # noqa: SIM118
            return {key: file.get_tensor(key) for key in found}, file.metadata() or {}
    state = _state_dict(path, "cpu")
    return {key: value for key, value in state.items() if keys is None or key in keys}, {}


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of a file's tensors by name; values stay unread.

    Raises WeightsError as `read_tensors` does.
    """
    if _is_safetensors(path):
        with _opened(path) as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    return {key: tuple(value.shape) for key, value in _state_dict(path, "meta").items()}


def check_tensor(path: Path, key: str, tensor: Tensor, shape: tuple[int, ...], what: str) -> None:
    """Raise WeightsError unless a file's tensor is of floats, of this shape, and finite.

    what  whose it is, for the message
    """
    if tuple(tensor.shape) != shape or not tensor.is_floating_point():
        raise WeightsError(f"{path}: {key} is {tensor.dtype} {tuple(tensor.shape)}, but {what} needs floats {shape}")
    if not bool(torch.isfinite(tensor).all()):
        raise WeightsError(f"{path}: {key} holds values that are not finite")


def first_line(error: Exception) -> str:
    """First line of an error's message, or its class where it has none."""
    return (str(error) or type(error).__name__).splitlines()[0]


def _is_safetensors(path: Path) -> bool:
    if path.suffix not in (".safetensors", ".pth"):
        raise WeightsError(f"{path}: weights must be a .safetensors or .pth file")
    return path.suffix == ".safetensors"


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A safetensors file; what goes wrong while it is open names it."""
    with _named(path):
        try:
            with safe_open(path, framework="pt") as file:
                yield file
        except SafetensorError as error:
            raise WeightsError(f"{path}: is no safetensors file ({first_line(error)})") from error


def _state_dict(path: Path, device: str) -> dict[str, Tensor]:
    """What a .pth file holds; on the device "meta" without values."""
    with _named(path):
        try:
            state = torch.load(path, map_location=device, weights_only=True)
        except _UNREADABLE as error:
            raise WeightsError(
                f"{path}: is damaged or holds pickled code, which is not run; expected a state dict of tensors"
            ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path}: is not a state dict (name -> tensor)")
    return state


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such weights file") from error
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({first_line(error)})") from error
