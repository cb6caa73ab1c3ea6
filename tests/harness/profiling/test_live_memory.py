"""Peaks of live memory by hand, and of fake steps against real ones."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import architectures
from architectures.base import Architecture
from architectures.pooling import STORAGES, Storage, set_storage
from harness.config.run_spec import Precision
from harness.profiling.flops import decoder_storage
from harness.profiling.live_memory import live_inference, live_training
from harness.profiling.workload import Build, for_inference
from harness.records.measurement import Optimizer
from harness.records.measurement_values import Live
from harness.system.environment import resident_bytes
from tests.architectures.networks import build as build_narrow

MIB = 2**20


def train_small(build: Build, precision: Precision, fake: bool = True, optimizer: Optimizer = "sgd") -> Live:
    size = (36, 48)
    return live_training(
        build, batch=4, size=size, label_size=size, num_classes=4, precision=precision, optimizer=optimizer, fake=fake
    )


def test_counts_do_not_depend_on_the_threads_of_the_machine() -> None:
    def build() -> nn.Module:
        return architectures.build("segnet-basic", 11, (120, 160))

    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 16):
            torch.set_num_threads(threads)
            found.append(live_inference(build, batch=1, size=(120, 160), precision="fp32"))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]
    assert (found[0].threads, found[0].torch) == (1, torch.__version__)


def test_inference_by_hand() -> None:
    def build() -> nn.Module:
        return nn.Conv2d(3, 5, 1, bias=False)

    live = live_inference(build, batch=2, size=(8, 10), precision="fp32")
    weights, images, logits = 4 * 15, 4 * 2 * 3 * 80, 4 * 2 * 5 * 80
    assert live.peak_bytes == weights + images + logits
    assert live.weights_bytes == weights
    assert (live.batch_size, live.input_bytes, live.rest_bytes) == (2, images, logits)
    assert live.gradients_bytes == live.kept_for_backward_bytes == live.decoder_storage_bytes == 0


def test_training_by_hand() -> None:
    """One convolution's peak is the backward pass of log_softmax."""

    def build() -> nn.Module:
        return nn.Conv2d(3, 5, 1, bias=False)

    live = live_training(build, batch=1, size=(8, 10), label_size=(8, 10), num_classes=5, precision="fp32")
    weights, images, logits, labels = 4 * 15, 4 * 3 * 80, 4 * 5 * 80, 8 * 80
    loss, its_gradient = 4, 4
    steady = weights + weights + images + labels  # weights and momentum
    # four maps of the logits' size: logits, log-probabilities, and the gradient of either
    assert live.peak_bytes == steady + 4 * logits + loss + its_gradient
    assert live.gradients_bytes == 0
    assert live.optimizer_state_bytes == weights
    # the convolution has saved the images, log_softmax its result, the loss its total weight and the labels
    assert live.kept_for_backward_bytes == images + logits
    assert live.input_bytes == labels
    assert live.rest_bytes == 3 * logits + loss + its_gradient


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_fake_inference_equals_a_real_one(small: Callable[[], nn.Module], precision: Precision) -> None:
    fake, real = (
        live_inference(small, batch=1, size=(36, 48), precision=precision, fake=fake) for fake in (True, False)
    )
    assert fake == real
    model = for_inference(small(), precision)
    assert fake.weights_bytes == sum(parameter.nbytes for parameter in model.parameters())


def test_converted_weights_leave_no_copy_in_float32(small: Callable[[], nn.Module]) -> None:
    """Half the bytes of convolutions; batch norm keeps its 4 times 8 parameters."""
    full, half = (
        live_inference(small, batch=1, size=(36, 48), precision=one).weights_bytes for one in ("fp32", "bf16")
    )
    assert half == (full - 4 * 32) / 2 + 4 * 32


@pytest.mark.parametrize("fake", [True, False])
def test_adamw_keeps_twice_what_momentum_keeps(small: Callable[[], nn.Module], fake: bool) -> None:
    sgd, adamw = (train_small(small, "fp32", fake, one) for one in ("sgd", "adamw"))
    steps = 4 * sum(1 for parameter in small().parameters() if parameter.requires_grad)  # a number of each
    assert adamw.optimizer_state_bytes == 2 * sgd.optimizer_state_bytes + steps


def test_a_fake_training_step_equals_a_real_one(small: Callable[[], nn.Module]) -> None:
    fake, real = (train_small(small, "fp32", fake) for fake in (True, False))
    assert fake == real
    trainable = 4 * sum(parameter.numel() for parameter in small().parameters() if parameter.requires_grad)
    assert fake.optimizer_state_bytes == trainable
    assert fake.kept_for_backward_bytes > 10 * fake.weights_bytes


def test_a_fake_bf16_step_differs_by_no_more_than_the_batch_norm_statistics(small: Callable[[], nn.Module]) -> None:
    """Batch norm's saved statistics are bf16 in torch's shape function and float32 in its kernel."""
    fake, real = (train_small(small, "bf16", fake) for fake in (True, False))
    statistics = 2 * (8 + 8)  # mean and deviation of two layers, 2 bytes more each
    assert real.peak_bytes - fake.peak_bytes == 2 * statistics
    assert real.peak_bytes < train_small(small, "fp32").peak_bytes


def test_gradients_count_where_they_are_alive_at_the_peak() -> None:
    """A wide last layer: its own backward pass is the peak, and makes its gradient."""

    def build() -> nn.Module:
        return nn.Conv2d(3, 64, 5, padding=2)

    live = live_training(build, batch=1, size=(4, 4), label_size=(4, 4), num_classes=64, precision="fp32")
    trainable = 4 * (64 * 75 + 64)
    assert live.gradients_bytes == live.weights_bytes == live.optimizer_state_bytes == trainable


def test_a_step_that_no_machine_could_hold_takes_no_memory(small: Callable[[], nn.Module]) -> None:
    size = (3600, 4800)
    live = live_training(small, batch=4, size=size, label_size=size, num_classes=4, precision="fp32")
    assert live.peak_bytes > 10_000 * MIB
    resident = resident_bytes("VmHWM").value
    assert resident is not None and resident < live.peak_bytes / 4


class Encoder(nn.Module):
    """Maps at full size, which are kept, and at half the size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1, bias=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.conv(images)
        return F.avg_pool2d(maps, 2), maps


class Handing(Architecture):
    """An encoder that hands its maps to a decoder, which puts them beside what it has doubled."""

    def __init__(self) -> None:
        super().__init__(architectures.info("segnet-basic"), 8, (16, 24))
        self.encoder = Encoder()

    def logits(self, images: Tensor) -> Tensor:
        pooled, maps = self.encoder(images)
        return torch.cat([F.interpolate(pooled, scale_factor=2.0), maps], dim=1)

    def kept_for_decoder(self, images: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        return self.kept_of(self.encoder(images))

    def kept_of(self, encoded: tuple[Tensor, Tensor]) -> tuple[tuple[Tensor, ...], ...]:
        return ((encoded[1],),)

    def encoder_layers(self) -> dict[str, nn.Conv2d]:
        return {}


@pytest.mark.parametrize("fake", [True, False])
def test_what_is_handed_to_the_decoder_by_hand(fake: bool) -> None:
    """The peak is the concatenation at the end."""
    live = live_inference(Handing, batch=2, size=(16, 24), precision="fp32", fake=fake)
    one_map = 4 * 2 * 16 * 24
    assert live.decoder_storage_bytes == 4 * one_map
    assert live.input_bytes == 3 * one_map
    assert live.rest_bytes == 1 * one_map + 4 * one_map + 8 * one_map  # pooled, doubled, logits


def train(name: str, storage: Storage = "uint8") -> tuple[Live, tuple[int, ...]]:
    """Two images so large that the peak comes early in the backward pass, and bytes kept of one image."""
    size = (96, 144)

    def build() -> nn.Module:
        network = architectures.build(name, 3, size)
        set_storage(network, storage)
        return network

    live = live_training(build, batch=2, size=size, label_size=size, num_classes=3, precision="fp32")
    return live, decoder_storage(build, size)[storage]


@pytest.mark.parametrize("storage", STORAGES)
def test_indices_are_decoder_storage_though_autograd_saves_them_too(storage: Storage) -> None:
    live, kept = train("segnet-basic", storage)
    assert live.decoder_storage_bytes == 2 * sum(kept) > 0


def test_encoder_maps_are_decoder_storage_where_they_are_added() -> None:
    live, kept = train("fcn-basic-no-dim-reduction")
    assert live.decoder_storage_bytes == 2 * sum(kept) > 0
    assert train("fcn-basic-no-addition-no-dim-reduction")[0].decoder_storage_bytes == 0


def test_a_network_that_says_nothing_of_its_decoder_has_no_storage(small: Callable[[], nn.Module]) -> None:
    assert train_small(small, "fp32").decoder_storage_bytes == 0


LARGE = ("segnet", "fcn8s", "fcn8s-bilinear", "deconvnet")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in architectures.names()]
)
def test_every_architectures_fake_step_equals_a_real_one(name: str) -> None:
    size = (32, 48)

    def build() -> Architecture:
        return build_narrow(name, 3, size)

    inference, training = [], []
    for fake in (True, False):
        inference.append(live_inference(build, batch=1, size=size, precision="fp32", fake=fake))
        training.append(
            live_training(
                build,
                batch=2,
                size=size,
                label_size=build().output_size(*size),
                num_classes=3,
                precision="fp32",
                fake=fake,
            )
        )
    assert inference[0] == inference[1]
    assert training[0] == training[1]
    assert training[0].kept_for_backward_bytes > 0
