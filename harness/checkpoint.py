"""Checkpoints: all that a run needs to go on as if it had not been stopped. Tensors and JSON only."""

import errno
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from harness.atomic import replacing

ADVICE = "free space or choose another --work"
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile)


def save_checkpoint(path: Path, *, tensors: dict[str, Any], values: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all; the one before it is kept as the previous one.

    Args:
        path: where to.
        tensors: nested state dicts and tensors.
        values: anything JSON can hold.

    Raises:
        UserError: the disk is full or the folder can't be written; earlier checkpoints stay as they were.
    """
    with replacing(path, ADVICE, "checkpoint") as temporary:
        torch.save({"tensors": tensors, "values": json.dumps(values)}, temporary)
        if path.exists():  # between the two moves there is the previous one alone, which is read then
            path.replace(previous(path))


def previous(path: Path) -> Path:
    """Where the checkpoint before this one lies."""
    return path.with_stem(f"{path.stem}-previous")


def remove_checkpoints(path: Path) -> None:
    """Drop a checkpoint and the previous one."""
    for one in (path, previous(path)):
        one.unlink(missing_ok=True)


def load_checkpoint(
    path: Path, on_damage: Callable[[str], None] = lambda line: None
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The (tensors, values) of the latest checkpoint that can be read; none if there is none.

    Args:
        path: as it was saved.
        on_damage: called with a line on each file that is damaged.
    """
    for one in (path, previous(path)):
        if not one.exists():
            continue
        try:
            return _read(one)
        except _DAMAGE as error:
            on_damage(f"{one}: damaged checkpoint ({type(error).__name__})")
    return None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        if (bad := archive.testzip()) is not None:  # torch itself does not look at the checksums
            raise zipfile.BadZipFile(f"{bad} is damaged")
    content = torch.load(path, map_location="cpu", weights_only=True)
    return content["tensors"], json.loads(content["values"])


def save_weights(path: Path, model: nn.Module) -> None:
    """Write a network's weights and buffers as safetensors, atomically.

    Raises:
        UserError: the disk is full or the folder can't be written.
    """
    state: dict[str, Tensor] = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    with replacing(path, ADVICE, "weights") as temporary:
        try:
            save_file(state, temporary)
        except SafetensorError as error:  # how it reports a full disk
            raise OSError(errno.EIO, str(error)) from error


def load_weights(path: Path, model: nn.Module) -> None:
    """Put weights written by `save_weights` back into a network of the same kind."""
    model.load_state_dict(load_file(path))
