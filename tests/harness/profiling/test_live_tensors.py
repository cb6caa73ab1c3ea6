"""Tensors that live at a moment: views, what is freed, what autograd has saved."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode

from harness.profiling.live_memory import LiveTensors


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


class Doubling(torch.autograd.Function):
    """Saves a tensor of its own, as `architectures.pooling` does."""

    @staticmethod
    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        return 2 * x, torch.ones(len(x), dtype=torch.uint8)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * 2 * ctx.saved_tensors[0]


@pytest.mark.parametrize("mode", [nullcontext, FakeTensorMode])
def test_what_autograd_has_saved_at_the_peak(mode: Callable[[], AbstractContextManager[object]]) -> None:
    with mode():
        weight = torch.ones(1024, requires_grad=True)
        with LiveTensors() as live, live.watch_saving():
            live.hold([weight])
            doubled, own = Doubling.apply(weight)
            of_function = live.keys([own])
            exponential = doubled.exp()
            of_exponential = live.keys([exponential])
            del own, doubled  # its values are saved nowhere: exp has its own result
            peak = tensor(64)
            assert live.saved_at_peak() == of_function | of_exponential
            alive = live.alive_at_peak()
            assert [alive[key] for key in sorted(of_function | of_exponential)] == [1024, 4096]
            del peak
            exponential.sum().backward()  # type: ignore[no-untyped-call]
            tensor(256)
            assert live.saved_at_peak() == set()
    assert weight.grad is not None


def test_saving_is_watched_without_keeping_anything_alive() -> None:
    weight = torch.ones(1024, requires_grad=True)
    with LiveTensors() as live, live.watch_saving():
        live.hold([weight])
        result = weight.exp()
        del result  # its node saves it, and nobody holds the node
        assert live.live_bytes == 4096
