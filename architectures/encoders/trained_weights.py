"""Start an encoder from a whole model of this package that was trained before, as a folder of weights holds it.

The file is a state dict by this package's own names (safetensors); what lies in it beside the encoder is left
out. Batch norm comes with the convolutions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from architectures.architecture_info import ArchitectureInfo, EncoderMismatch
from architectures.base import Architecture
from architectures.encoders.weights_files import check_tensor, read_shapes, read_tensors
from architectures.external.wrapper import ForeignNetwork, layer_names
from architectures.registry import build

_CONVERSION = ("input_scale", "input_shift")  # of a network from elsewhere, which its encoder then needs


def check_trained_file(path: Path | str, info: ArchitectureInfo) -> None:
    """Refuse a file whose model has another encoder than the architecture; no value is read.

    Raises EncoderMismatch for such a file, WeightsError for one that is missing or unreadable.
    """
    with torch.device("meta"):
        model = build(info.name, 2, (info.min_size, info.min_size))
    _matched(Path(path), model, read_shapes(Path(path)))


def load_trained_encoder(model: Architecture, path: Path | str) -> tuple[str, ...]:
    """Copy the encoder's tensors of a file into a model; names of the layers set. On an error it stays as it is.

    Raises EncoderMismatch for another encoder, WeightsError for an unreadable file or values that are not finite.
    """
    path = Path(path)
    tensors, _ = read_tensors(path)
    encoder = _matched(path, model, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    state = model.state_dict()
    wanted = {name: tensors[name] for name in state if name.startswith(f"{encoder}.")}
    for name, tensor in wanted.items():
        if state[name].is_floating_point():
            check_tensor(path, name, tensor, tuple(state[name].shape), model.info.name)
    model.load_state_dict({**wanted, **{name: tensors[name] for name in _CONVERSION if name in tensors}}, strict=False)
    own = {id(layer) for layer in model.get_submodule(encoder).modules()}
    named = tuple(name for name, layer in model.encoder_layers().items() if id(layer) in own)
    return named or layer_names(model.get_submodule(encoder))


def _matched(path: Path, model: Architecture, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The name of the model's encoder module, if the file has all of its tensors in their shapes."""
    encoder: nn.Module | None = getattr(model, "encoder", None)
    if isinstance(model, ForeignNetwork):
        encoder = model.encoder_module()
    name = next((name for name, module in model.named_modules() if module is encoder), "")
    if not name or encoder is model:
        raise EncoderMismatch(f"{path}: {model.info.name} has no encoder that it could start")
    needed = {f"{name}.{key}": tuple(tensor.shape) for key, tensor in encoder.state_dict().items()}  # type: ignore[union-attr]
    wrong = [key for key, shape in needed.items() if shapes.get(key) != shape]
    if wrong:
        raise EncoderMismatch(
            f"{path}: holds another encoder than {model.info.name}'s: {len(wrong)} of its {len(needed)} tensors are "
            f"missing or of another shape, such as {wrong[0]}"
        )
    return name
