"""Losses on their way to the host: none lost, none out of order, and a bad one named by its iteration."""

import math

import pytest
import torch

from harness.training.train_state import Diverged, PendingLosses, TrainState


def noted(losses: PendingLosses, *values: float, start: int = 1) -> None:
    for number, value in enumerate(values, start=start):
        losses.add(number, torch.tensor(value), 0.1)


def test_the_latest_stretch_is_left_to_the_device_unless_it_is_the_last() -> None:
    losses = PendingLosses()
    noted(losses, 3.0, 2.5)
    losses.send()
    assert losses.arrived(last=False) == []
    noted(losses, 2.0, start=3)
    losses.send()
    assert losses.arrived(last=False) == [(1, 3.0, 0.1), (2, 2.5, 0.1)]
    noted(losses, 1.5, start=4)
    losses.send()
    losses.send()  # nothing is pending: no stretch of its own
    assert losses.arrived(last=True) == [(3, 2.0, 0.1), (4, 1.5, 0.1)]
    assert losses.arrived(last=True) == []


def test_what_was_not_sent_has_not_arrived() -> None:
    losses = PendingLosses()
    noted(losses, 1.0)
    assert losses.arrived(last=True) == []


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_named_by_its_iteration(bad: float) -> None:
    losses = PendingLosses()
    noted(losses, 1.0, 2.0, bad, 3.0, start=11)
    losses.send()
    with pytest.raises(Diverged, match="iteration 13") as caught:
        losses.arrived(last=True)
    assert caught.value.iteration == 13


def test_a_fall_is_the_share_that_the_mean_loss_lost() -> None:
    state = TrainState(history=[(i + 1, loss, 0.1) for i, loss in enumerate([9.0, 4.0, 2.0, 3.0, 1.5])])
    assert state.fall(2) == pytest.approx(1 - 4.5 / 6)
    assert state.fall(3) is None
    assert TrainState(history=[(1, 0.0, 1.0), (2, 0.0, 1.0)]).fall(1) == 0.0


def test_a_progression_comes_back_from_a_checkpoint() -> None:
    state = TrainState(iteration=7, history=[(7, 0.5, 0.1)], train_s=2.0, compile_s=31.5, segments=2)
    assert TrainState.restore(state.tensors(), state.values()) == state


def test_a_checkpoint_from_before_compiling_was_an_option_can_be_read() -> None:
    values = TrainState(iteration=7).values()
    del values["compile_s"]
    assert TrainState.restore({}, values).compile_s == 0.0
