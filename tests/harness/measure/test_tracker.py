from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from harness.measure.memory import resident_bytes
from harness.measure.tracker import LiveFigures, LiveTensors, live_inference, live_training
from harness.measure.workload import Build
from harness.spec import Precision

MIB = 2**20


def train_small(build: Build, precision: Precision, fake: bool = True) -> LiveFigures:
    size = (36, 48)
    return live_training(
        build, batch=4, size=size, label_size=size, num_classes=4, precision=precision, fake=fake
    )


def tensor(kilobytes: int) -> Tensor:
    return torch.ones(kilobytes * 256)


def test_views_and_work_in_place_add_nothing() -> None:
    with LiveTensors() as live:
        one = tensor(4)
        kept = [one.view(2, -1), one[:10], one.detach(), one.add_(1), one.relu_()]
        assert live.live_bytes == live.peak_bytes == 4096
        assert len(live.keys(kept)) == 1


@pytest.mark.parametrize("mode", [nullcontext, FakeTensorMode])
def test_freed_tensors_are_seen_freed(mode: Callable[[], AbstractContextManager[object]]) -> None:
    with mode(), LiveTensors() as live:
        one = tensor(4)
        two = one + one
        view = two[:1]
        del two
        assert live.live_bytes == 8192  # the view keeps its storage
        del view
        assert live.live_bytes == 4096
        assert live.peak_bytes == 8192


def test_tensors_made_before_count_once_when_held() -> None:
    one, buffer = tensor(4), tensor(2)
    with LiveTensors() as live:
        live.hold([one, one.view(2, -1), buffer])
        assert live.live_bytes == 6144
        one.mul(2)  # its result is dropped at once
    assert (live.live_bytes, live.peak_bytes) == (6144, 6144 + 4096)


def test_tensors_saved_by_autograd_count_until_backward() -> None:
    weight = torch.ones(1024, requires_grad=True)
    with LiveTensors() as live:
        live.hold([weight])
        loss = weight.exp().sum()  # only autograd holds exp's result, 4096 bytes, and the sum is 4
        assert live.live_bytes == 4096 + 4096 + 4
        loss.backward()  # type: ignore[no-untyped-call]
        assert live.live_bytes == 4096 + 4 + 4096  # weight, loss, gradient


def test_what_was_resized_counts_with_its_new_size() -> None:
    with LiveTensors() as live:
        one = tensor(4)
        one.resize_(2048)
        assert live.live_bytes == 8192


def test_composition_at_the_peak_and_reset() -> None:
    with LiveTensors() as live:
        first = tensor(4)
        second = tensor(8)
        del second
        assert sorted(live.alive_at_peak().values()) == [4096, 8192]
        live.reset_peak()
        assert live.peak_bytes == 4096
        third = tensor(1)
        assert live.keys([third]) < live.keys([first, third]) == set(live.alive_at_peak())


def test_storages_that_outlive_the_tracker_change_it_no_more() -> None:
    with LiveTensors() as live:
        one = tensor(4)
    del one
    assert live.live_bytes == 4096


def test_inference_by_hand() -> None:
    def build() -> nn.Module:
        return nn.Conv2d(3, 5, 1, bias=False)

    live = live_inference(build, batch=2, size=(8, 10), precision="fp32")
    weights, images, logits = 4 * 15, 4 * 2 * 3 * 80, 4 * 2 * 5 * 80
    assert live.peak_bytes == weights + images + logits
    assert live.weights_bytes == weights
    assert live.rest_bytes == images + logits


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
    assert live.optimiser_state_bytes == weights


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_fake_inference_equals_a_real_one(small: Callable[[], nn.Module], precision: Precision) -> None:
    fake, real = (
        live_inference(small, batch=1, size=(36, 48), precision=precision, fake=fake)
        for fake in (True, False)
    )
    assert fake == real
    assert fake.weights_bytes == 4 * sum(parameter.numel() for parameter in small().parameters())


def test_a_fake_training_step_equals_a_real_one(small: Callable[[], nn.Module]) -> None:
    fake, real = (train_small(small, "fp32", fake) for fake in (True, False))
    assert fake == real
    trainable = 4 * sum(parameter.numel() for parameter in small().parameters() if parameter.requires_grad)
    assert fake.optimiser_state_bytes == trainable
    assert fake.rest_bytes > 10 * fake.weights_bytes


def test_a_fake_bf16_step_differs_by_no_more_than_the_batch_norm_statistics(
    small: Callable[[], nn.Module],
) -> None:
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
    assert live.gradients_bytes == live.weights_bytes == live.optimiser_state_bytes == trainable


def test_a_step_that_no_machine_could_hold_takes_no_memory(small: Callable[[], nn.Module]) -> None:
    size = (3600, 4800)
    live = live_training(small, batch=4, size=size, label_size=size, num_classes=4, precision="fp32")
    assert live.peak_bytes > 10_000 * MIB
    resident = resident_bytes("VmHWM").value
    assert resident is not None and resident < live.peak_bytes / 4
