"""Checkpoints: all that a run needs to go on as if it had not been stopped. Tensors and JSON only."""

import errno
import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn

from harness.system.corruption import UNREADABLE, is_out_of_memory
from harness.system.files import replacing

ADVICE = "free space or choose another --work"


class DamagedWeights(Exception):
    """Weights that a run had kept are gone or not what was written."""


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


def load_checkpoint(
    path: Path, say: Callable[[str], None] = lambda line: None
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The (tensors, values) of the latest checkpoint that can be read; none if there is none.

    Args:
        path: as it was saved.
        say: called with a line on each file that is damaged, and what is used instead.
    """
    stored, damaged = None, list[str]()
    for one in (path, previous(path)):
        if not one.exists():
            continue
        try:
            _check_sums(one)
            content = torch.load(one, map_location="cpu", weights_only=True)
            stored = dict(content["tensors"]), dict(json.loads(content["values"]))
            break
        except UNREADABLE as error:
            if is_out_of_memory(error):  # the sums are right: it is whole, and worth keeping
                raise
            damaged.append(f"{one}: damaged checkpoint ({type(error).__name__})")
    for line in damaged:
        say(f"{line}; {'the previous one is used' if stored else 'starting from the beginning'}")
    return stored


def _check_sums(path: Path) -> None:
    """zipfile.BadZipFile, or another of UNREADABLE, for a damaged archive. torch itself does not look."""
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except MemoryError as error:  # its table names absurd sizes
        raise zipfile.BadZipFile("its table is damaged") from error
    if bad is not None:
        raise zipfile.BadZipFile(f"{bad} is damaged")


def are_finite(model: nn.Module) -> bool:
    """Whether all of a network's parameters and batch-norm statistics are; other buffers may hold masks of -inf."""
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._NormBase)]
    statistics = [buffer for norm in norms for buffer in norm.buffers(recurse=False)]
    found = [torch.isfinite(tensor).all() for tensor in (*model.parameters(), *statistics)]
    return not found or bool(torch.stack(found).all())  # one look: a GPU is waited for once


def save_weights(path: Path, model: nn.Module) -> str:
    """Write a network's weights and buffers as safetensors, atomically; the file's SHA-256.

    Those that share memory are written once each, as the file has no shared ones.

    Raises:
        UserError: the disk is full or the folder can't be written.
        ValueError: a tensor of a kind that the file can't hold.
    """
    state = _apart(model.state_dict())
    with replacing(path, ADVICE, "weights") as temporary:
        try:
            save_file(state, temporary)
        except SafetensorError as error:  # how it reports a full disk
            raise OSError(errno.EIO, str(error)) from error
        except KeyError as error:  # how it reports a type
            raise ValueError(f"its state_dict holds {error}: no file of weights can hold it") from error
        with temporary.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _apart(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the host, dense, each in memory of its own."""
    apart: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor) or tensor.layout != torch.strided:
            kind = "sparse" if isinstance(tensor, Tensor) else f"no tensor, but {type(tensor).__name__}"
            raise ValueError(f"{name} in its state_dict is {kind}: no file of weights can hold it")
        dense = tensor.detach().cpu().contiguous()
        if (place := dense.untyped_storage().data_ptr()) in places:
            dense = dense.clone()
        places.add(place)
        apart[name] = dense
    return apart


def load_weights(path: Path, model: nn.Module, sha256: str | None) -> None:
    """Put weights written by `save_weights` back into a network of the same kind.

    Args:
        path: the file.
        model: the network.
        sha256: of the file as it was written; none: not known.

    Raises:
        DamagedWeights: the file is gone, or not what was written.
        RuntimeError: it is what was written, but the network does not take it.
    """
    advice = f"remove {path.parent.name} from the runs in the work folder, and the run starts anew"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DamagedWeights(f"{path.name}: {error.strerror}; {advice}") from error
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise DamagedWeights(f"{path.name}: damaged weights; {advice}")
    try:
        model.load_state_dict(load(data))
    except (*UNREADABLE, SafetensorError) as error:
        if sha256 is not None or is_out_of_memory(error):
            raise
        raise DamagedWeights(f"{path.name}: damaged weights; {advice}") from error
