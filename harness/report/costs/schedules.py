"""Simulated schedules of a set of runs on a number of devices, without losses and with them."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.costs.matrix import Assumptions
from harness.report.costs.plan import CostedRun
from harness.report.costs.rates import Machine
from harness.report.costs.simulation import Losses, Schedule, simulate
from harness.report.costs.work import CHECKPOINT_EVERY_S

DRAWS = 100  # simulations with losses, each with moments of its own


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Of the draws: median, and the tenth values from either end."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Runs on so many devices; times in seconds.

    mean_load_s: all runs and their starts, over the devices.
    longest_s: the longest run with its start.
    quiet: the schedule without losses.
    makespan, busy, lost, losses: of the schedules with losses.
    """

    devices: int
    runs: int
    mean_load_s: float
    longest_s: float
    quiet: Schedule
    makespan: Spread
    busy: Spread
    lost: Spread
    losses: Spread

    @property
    def least_s(self) -> float:
        """No schedule without losses is shorter."""
        return max(self.mean_load_s, self.longest_s)


def forecast(
    runs: Sequence[CostedRun], machine: Machine, devices: int, assumed: Assumptions, draws: int = DRAWS
) -> Forecast:
    """Simulate the runs on identical devices.

    Args:
        runs: at least one.
        machine: what they run on.
        devices: how many of it.
        assumed: start of a run, and losses.
        draws: how often losses are drawn.
    """
    durations_s = [run.duration_s(machine) for run in runs]
    start_s = assumed.start_s.value
    losses = Losses(
        every_s=assumed.device_loss_h.value * 3600,
        back_s=assumed.device_back_s.value,
        checkpoint_every_s=CHECKPOINT_EVERY_S,
    )
    disturbed = [simulate(durations_s, devices, start_s=start_s, losses=losses, seed=seed) for seed in range(draws)]
    with_start_s = [start_s + duration_s for duration_s in durations_s]
    return Forecast(
        devices=devices,
        runs=len(runs),
        mean_load_s=sum(with_start_s) / devices,
        longest_s=max(with_start_s),
        quiet=simulate(durations_s, devices, start_s=start_s),
        makespan=_spread([one.makespan_s for one in disturbed]),
        busy=_spread([one.busy_s for one in disturbed]),
        lost=_spread([one.lost_s for one in disturbed]),
        losses=_spread([float(one.losses) for one in disturbed]),
    )


def _spread(values: Sequence[float]) -> Spread:
    ordered = sorted(values)
    tenth = len(ordered) // 10
    return Spread(low=ordered[tenth], median=statistics.median(ordered), high=ordered[-1 - tenth])
