"""Start the encoder of a segmentation_models.pytorch network from a file of timm's weights.

For encoders named tu-NAME. The file holds a state dict by timm's names, as
`timm.create_model(NAME).state_dict()` has it, batch-norm statistics included. All that the encoder needs must
be there; what the whole model has beside it (its classifier and the layers in front of that) is left out.

The weights want the input that timm names for them (`pretrained_cfg`: mean and std of 0..1), which need not
be the protocol's. The network then converts its images itself, image * a + b for each channel: one product
and one sum a value, and exact, also at the borders, where convolutions pad with the weights' own mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from architectures.architecture_info import ArchitectureInfo, EncoderMismatch, WeightsError
from architectures.encoders.weights_files import (
    Channels,
    check_tensor,
    read_shapes,
    read_tensors,
)
from architectures.external.wrapper import ForeignNetwork, layer_names
from architectures.registry import build

_COUNTER = "num_batches_tracked"  # torch's, of batches in training: nothing depends on it


def check_timm_file(path: Path | str, info: ArchitectureInfo) -> None:
    """Refuse a file that does not hold the encoder of a network, by names and shapes; no value is read.

    info  of the network, whose `timm_encoder` is set

    Raises EncoderMismatch for the file of another encoder, WeightsError for a missing or unreadable one.
    """
    with torch.device("meta"):
        network = build(info.name, 2, (info.min_size, info.min_size))
    assert isinstance(network, ForeignNetwork)
    _matched(Path(path), info, network.encoder_module(), read_shapes(Path(path)))


def load_timm_encoder(
    network: ForeignNetwork, path: Path | str, input_mean: Channels, input_std: Channels
) -> tuple[str, ...]:
    """Copy a file's tensors into the network's encoder; names of the layers set: all that it has.

    input_mean, input_std  the images given to the network are (RGB - mean) / std, in gray levels of 0..255

    On an error the network stays as it is.
    Raises WeightsError for a missing or unreadable file, one of another encoder, a tensor that is missing,
    has another shape or values that are not finite, a name that timm's model does not have.
    """
    path, info, encoder = Path(path), network.info, network.encoder_module()
    tensors, metadata = read_tensors(path)
    names = _matched(path, info, encoder, {key: tuple(value.shape) for key, value in tensors.items()})
    if "input" in metadata:
        raise WeightsError(
            f"{path}: metadata 'input' is {metadata['input']!r}, but weights by timm's names want the input "
            f"that timm names for {info.timm_encoder}; leave it out"
        )
    state = encoder.state_dict()
    for key, name in names.items():
        if state[key].is_floating_point():  # others are counters and indices
            check_tensor(path, name, tensors[name], tuple(state[key].shape), info.name)
    with torch.no_grad():
        for key, name in names.items():
            state[key].copy_(tensors[name])  # the encoder's own memory
    network.convert_input((input_mean, input_std), pretrained_input(info.timm_encoder))
    return layer_names(encoder)


def pretrained_input(encoder: str) -> tuple[Channels, Channels]:
    """Mean and standard deviation (R, G, B) of what timm's weights were trained on, in gray levels of 0..255.

    encoder  timm's name, with a tag or without. Nothing is downloaded: timm has a table.
    """
    import timm  # late: it takes seconds

    found = timm.get_pretrained_cfg(encoder)
    if found is None:
        raise WeightsError(f"timm does not say which input the weights of {encoder!r} want")
    mean, std = ([255 * float(value) for value in values] for values in (found.mean, found.std))
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])


def _matched(
    path: Path, info: ArchitectureInfo, encoder: nn.Module, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, str]:
    """Key of the encoder -> name in the file, for all that the encoder needs.

    Raises EncoderMismatch, which names every tensor that is missing, unexpected or of another shape.
    """
    needed = encoder.state_dict()
    names = _timm_names(info.timm_encoder, needed)
    needs = f"{info.name}, which needs timm's {info.timm_encoder} by timm's names"
    if not set(names.values()) & shapes.keys():
        raise EncoderMismatch(f"{path}: holds no encoder layer of {needs}, such as {next(iter(names.values()))}")
    wrong = {
        "missing": [name for name in names.values() if name not in shapes and not name.endswith(_COUNTER)],
        "unexpected": sorted(shapes.keys() - _model_state(info.timm_encoder).keys()),
        "of another shape": [
            f"{name} {shapes[name]}, not {tuple(needed[key].shape)}"
            for key, name in names.items()
            if name in shapes and shapes[name] != tuple(needed[key].shape)
        ],
    }
    found = [f"{what}: {', '.join(those)}" for what, those in wrong.items() if those]
    if found:
        raise EncoderMismatch(f"{path}: does not fit {needs}; {'; '.join(found)}")
    return {key: name for key, name in names.items() if name in shapes}


def _model_state(encoder: str) -> Mapping[str, Tensor]:
    """The state dict of timm's whole model, without values."""
    import timm

    with torch.device("meta"):
        model: nn.Module = timm.create_model(encoder, pretrained=False)
    return model.state_dict()


def _timm_names(encoder: str, keys: Mapping[str, Tensor]) -> dict[str, str]:
    """Key of the encoder -> timm's name of the same tensor in its whole model.

    The encoder wraps the model once or twice ("model.") and may flatten its blocks: "stages_0.blocks.0" is
    "stages.0.blocks.0".
    """
    flat: dict[str, str] = {}
    for name in _model_state(encoder):
        if flat.setdefault(_flat(name), name) != name:
            raise WeightsError(f"timm's {encoder}: {name} and {flat[_flat(name)]} cannot be told apart")
    names = {}
    for key in keys:
        bare = key
        while _flat(bare) not in flat and bare.startswith("model."):
            bare = bare.removeprefix("model.")
        if _flat(bare) not in flat:
            raise WeightsError(f"timm's {encoder} has no {bare}, so that it takes no weights from a file")
        names[key] = flat[_flat(bare)]
    return names


def _flat(name: str) -> str:
    return name.replace(".", "_")
