"""Checkpoints: all that a run needs to go on as if it had not been stopped. Tensors and JSON only."""

import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from harness.errors import UserError


class CheckpointError(Exception):
    """A checkpoint that can't be read: one line, naming the file."""


def save_checkpoint(path: Path, *, tensors: dict[str, Any], values: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all.

    Args:
        path: where to.
        tensors: nested state dicts and tensors.
        values: anything JSON can hold.

    Raises:
        UserError: the disk is full or the folder can't be written; an earlier checkpoint stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            torch.save({"tensors": tensors, "values": json.dumps(values)}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch's writer reports a full disk as RuntimeError
        temporary.unlink(missing_ok=True)
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise UserError(
            f"can't write checkpoint {path}: {reason}; free space or choose another --work"
        ) from error


def load_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The (tensors, values) of a checkpoint; none if there is no such file.

    Raises:
        CheckpointError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return content["tensors"], json.loads(content["values"])
    except (
        OSError,
        RuntimeError,
        KeyError,
        ValueError,
        EOFError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
    ) as error:
        raise CheckpointError(f"{path}: damaged checkpoint ({type(error).__name__})") from error


def save_weights(path: Path, model: nn.Module) -> None:
    """Write a network's weights and buffers as safetensors, atomically.

    Raises:
        UserError: the disk is full or the folder can't be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    state: dict[str, Tensor] = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(state, temporary)
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise UserError(
            f"can't write weights {path}: {error}; free space or choose another --work"
        ) from error


def load_weights(path: Path, model: nn.Module) -> None:
    """Put weights written by `save_weights` back into a network of the same kind."""
    model.load_state_dict(load_file(path))
