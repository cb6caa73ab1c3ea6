"""The network of a run, as training starts from it."""

import torch
from torch import nn

import architectures
from architectures.base import Architecture
from architectures.encoders.timm_weights import load_timm_encoder
from architectures.encoders.trained_weights import load_trained_encoder
from architectures.encoders.weights import load_encoder_weights
from architectures.external.wrapper import ForeignNetwork
from harness.config.initial_weights import (
    check_convertible,
    check_input,
    check_trained_input,
    takes_own,
    trained_input,
)
from harness.config.worker_job import WorkerJob
from harness.training.amp import memory_layout
from harness.training.distributed import SINGLE_PROCESS, Group
from harness.training.sync_batchnorm import synchronize


def build_network(
    job: WorkerJob, full_size: tuple[int, int], group: Group = SINGLE_PROCESS
) -> tuple[Architecture, tuple[str, ...]]:
    """The network on its device, and the names of the encoder layers that initial weights set.

    Other parameters are drawn from torch's global generator.

    Args:
        job: what to run, and on what.
        full_size: (height, width) of the dataset, which counts where the protocol names no size.
        group: the processes that train it together; its batch norm is then synchronized.

    Raises:
        architectures.ArchitectureError: weights that can't be read or don't fit.
        UserError: weights of a library, by timm's names or of a trained model, that the protocol's input does not fit.
        UserError: batch norm that can't be synchronized.
    """
    spec, protocol = job.spec, job.spec.protocol
    info = architectures.info(spec.architecture)
    own = takes_own(info, spec.initial_weights)
    network = architectures.build(spec.architecture, spec.num_classes, protocol.size or full_size, own_weights=own)
    if protocol.dropout is not None:
        for module in network.modules():
            if isinstance(module, nn.modules.dropout._DropoutNd):
                module.p = protocol.dropout
    layers_set: tuple[str, ...] = ()
    if isinstance(network, ForeignNetwork) and own:
        assert network.weights_input is not None
        check_input(spec.architecture, protocol, *network.weights_input)
        layers_set = network.layers_set
    elif job.weights is not None and trained_input(job.weights) is not None:
        check_trained_input(job.weights, protocol)
        layers_set = load_trained_encoder(network, job.weights)
    elif job.weights is not None and info.imagenet == "vgg16":
        layers_set = load_encoder_weights(network, job.weights, protocol.input_std)
    elif job.weights is not None and isinstance(network, ForeignNetwork) and info.timm_encoder:
        check_convertible(spec.architecture, protocol)
        layers_set = load_timm_encoder(network, job.weights, protocol.input_mean, protocol.input_std)
    if group.world_size > 1:
        synchronize(network, group)
    network.to(job.device)
    layout = memory_layout(spec.precision, job.device)
    if layout == torch.channels_last:  # a network's own layout is left to it otherwise
        network.to(memory_format=layout)
    return network, layers_set
