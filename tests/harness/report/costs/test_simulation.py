"""The simulated schedule: cases by hand, Graham's bound, and losses against the known expectation."""

import math
import statistics
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.costs.simulation import Losses, simulate

LOSSES = Losses(every_s=1200.0, back_s=100.0, checkpoint_every_s=600.0)


def optimum(durations_s: list[float], devices: int) -> float:
    """The shortest time of all assignments, tried one by one."""
    best = math.inf
    for places in product(range(devices), repeat=len(durations_s)):
        loads = [0.0] * devices
        for place, duration_s in zip(places, durations_s, strict=True):
            loads[place] += duration_s
        best = min(best, max(loads))
    return best


@pytest.mark.parametrize(
    ("durations_s", "devices", "makespan_s"),
    [
        ([3, 3, 2, 2, 2], 2, 7),  # 3 2 2 and 3 2; the best is 3 3 and 2 2 2: Graham's worst case for 2
        ([5, 5, 4, 4, 3, 3, 3], 3, 11),  # 5 3 3, 5 3 and 4 4; the best is 9: his worst case for 3
        ([3, 4, 5], 1, 12),
        ([3, 4, 5], 3, 5),
        ([3, 4, 5], 64, 5),
    ],
)
def test_the_longest_run_goes_to_the_next_free_device(
    durations_s: list[float], devices: int, makespan_s: float
) -> None:
    schedule = simulate(durations_s, devices)
    assert schedule.makespan_s == makespan_s
    assert schedule.busy_s == sum(durations_s)
    assert (schedule.lost_s, schedule.losses) == (0, 0)


def test_worst_cases_reach_the_bound() -> None:
    for devices, durations_s in ((2, [3.0, 3, 2, 2, 2]), (3, [5.0, 5, 4, 4, 3, 3, 3])):
        ratio = simulate(durations_s, devices).makespan_s / optimum(durations_s, devices)
        assert ratio == pytest.approx(4 / 3 - 1 / (3 * devices))


def test_each_start_takes_its_time() -> None:
    schedule = simulate([10, 6, 5], 2, start_s=2)
    assert schedule.makespan_s == 15  # 12, and 8 + 7
    assert schedule.busy_s == 27


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 3))
def test_never_shorter_than_possible_nor_beyond_the_bound(durations: list[int], devices: int) -> None:
    durations_s = [float(duration) for duration in durations]
    best = optimum(durations_s, devices)
    makespan_s = simulate(durations_s, devices).makespan_s
    assert max(sum(durations_s) / devices, *durations_s) - 1e-9 <= makespan_s
    assert best - 1e-9 <= makespan_s <= (4 / 3 - 1 / (3 * devices)) * best + 1e-9


@given(
    st.lists(st.floats(1, 5e4), min_size=1, max_size=20),
    st.integers(1, 8),
    st.integers(0, 2**31),
    st.booleans(),
)
def test_with_losses_all_work_is_done_and_what_was_lost_is_done_twice(
    durations_s: list[float], devices: int, seed: int, starting: bool
) -> None:
    start_s = 30.0 if starting else 0.0
    schedule = simulate(durations_s, devices, start_s=start_s, losses=LOSSES, seed=seed)
    started_s = schedule.busy_s - sum(durations_s) - schedule.lost_s
    attempts = len(durations_s) + schedule.losses
    assert started_s - len(durations_s) * start_s >= -1e-3
    assert started_s <= attempts * start_s + 1e-3
    assert 0 <= schedule.lost_s <= schedule.losses * LOSSES.checkpoint_every_s
    assert schedule.makespan_s >= max(sum(durations_s) / devices, *durations_s) - 1e-3
    assert schedule == simulate(durations_s, devices, start_s=start_s, losses=LOSSES, seed=seed)


@pytest.mark.parametrize("checkpoint_every_s", [600.0, 6000.0])
def test_time_with_losses_is_what_the_theory_expects(checkpoint_every_s: float) -> None:
    # A stretch of c seconds that begins anew at each loss, rate l, takes (exp(l c) - 1) / l on average.
    rate, duration_s, back_s = 1 / 2000, 6000.0, 50.0
    losses = Losses(every_s=1 / rate, back_s=back_s, checkpoint_every_s=checkpoint_every_s)
    draws = [simulate([duration_s], 1, losses=losses, seed=seed) for seed in range(4000)]
    expected_s = duration_s / checkpoint_every_s * math.expm1(rate * checkpoint_every_s) / rate
    assert statistics.fmean(one.busy_s for one in draws) == pytest.approx(expected_s, rel=0.05)
    expected_losses = expected_s * rate
    assert statistics.fmean(one.losses for one in draws) == pytest.approx(expected_losses, rel=0.05)
    for one in draws[:50]:
        assert one.makespan_s == pytest.approx(one.busy_s + one.losses * back_s)


def test_another_device_takes_over_at_once_where_one_is_free() -> None:
    never_back = Losses(every_s=3000.0, back_s=1e9, checkpoint_every_s=600.0)
    alone = [simulate([6000.0], 100, losses=never_back, seed=seed) for seed in range(20)]
    assert any(one.losses for one in alone)
    for one in alone:
        assert one.makespan_s == pytest.approx(one.busy_s)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="0 devices"):
        simulate([1.0], 0)
    with pytest.raises(ValueError, match="positive"):
        simulate([1.0, 0.0], 1)
    assert simulate([], 3).makespan_s == 0
