"""A simulated schedule: runs on identical devices, longest first, some of which are lost on the way.

List scheduling by longest processing time (Graham 1969): a device that is free takes the run with most left
to do. Without losses it ends no later than 4/3 - 1/(3 N) of the shortest possible time on N devices.
"""

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Losses:
    """How devices are lost: at moments without memory, each by itself, while they compute.

    every_s: mean time of computing of one device between two losses.
    back_s: until another device stands in for the lost one.
    checkpoint_every_s: what was computed since the last whole one is computed again.
    """

    every_s: float
    back_s: float
    checkpoint_every_s: float


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """What became of the runs.

    makespan_s: from the start to the end of the last run.
    busy_s: of all devices together, starts and what was lost included.
    lost_s: computed twice.
    losses: of a device in the middle of a run.
    """

    makespan_s: float
    busy_s: float
    lost_s: float
    losses: int


def simulate(
    durations_s: Sequence[float],
    devices: int,
    *,
    start_s: float = 0.0,
    losses: Losses | None = None,
    seed: int = 0,
) -> Schedule:
    """Carry out all runs.

    Args:
        durations_s: of each run, undisturbed and without its start.
        devices: how many compute.
        start_s: before a run computes, each time that a device takes it up.
        losses: of devices; none: nothing is ever lost.
        seed: of the moments at which devices are lost.

    Raises:
        ValueError: no device, or a run that takes no time.
    """
    if devices < 1:
        raise ValueError(f"{devices} devices: there must be at least 1")
    if min(durations_s, default=1.0) <= 0:
        raise ValueError(f"durations must be positive, the shortest is {min(durations_s)} s")
    return _Simulation(durations_s, devices, start_s, losses, random.Random(seed)).execute()


class _Simulation:
    """Waiting runs, free devices, and what happens next."""

    def __init__(
        self,
        durations_s: Sequence[float],
        devices: int,
        start_s: float,
        losses: Losses | None,
        chance: random.Random,
    ) -> None:
        self._waiting = [(-left_s, number) for number, left_s in enumerate(durations_s)]
        heapq.heapify(self._waiting)
        self._free = devices
        self._start_s = start_s
        self._losses = losses
        self._chance = chance
        # (moment, order of entry, the run that waits again or ends then, what is left of it); a negative
        # number stands for a device that comes back
        self._events: list[tuple[float, int, int, float]] = []
        self._entered = 0
        self._busy_s = self._lost_s = self._end_s = 0.0
        self._lost = 0

    def execute(self) -> Schedule:
        now_s = 0.0
        self._hand_out(now_s)
        while self._events:
            now_s, _, number, left_s = heapq.heappop(self._events)
            if number < 0:
                self._free += 1
            elif left_s > 0:
                heapq.heappush(self._waiting, (-left_s, number))
            else:
                self._free += 1
                self._end_s = now_s
            self._hand_out(now_s)
        return Schedule(makespan_s=self._end_s, busy_s=self._busy_s, lost_s=self._lost_s, losses=self._lost)

    def _hand_out(self, now_s: float) -> None:
        while self._free and self._waiting:
            negative, number = heapq.heappop(self._waiting)
            self._free -= 1
            self._attempt(now_s, number, -negative)

    def _attempt(self, now_s: float, number: int, left_s: float) -> None:
        whole_s = self._start_s + left_s
        losses = self._losses
        until_loss_s = whole_s if losses is None else self._chance.expovariate(1 / losses.every_s)
        if losses is None or until_loss_s >= whole_s:
            self._busy_s += whole_s
            self._enter(now_s + whole_s, number, 0.0)
            return
        computed_s = max(0.0, until_loss_s - self._start_s)
        kept_s = computed_s // losses.checkpoint_every_s * losses.checkpoint_every_s
        self._busy_s += until_loss_s
        self._lost_s += computed_s - kept_s
        self._lost += 1
        self._enter(now_s + until_loss_s, number, left_s - kept_s)
        self._enter(now_s + until_loss_s + losses.back_s, -1, 0.0)

    def _enter(self, moment_s: float, number: int, left_s: float) -> None:
        self._entered += 1
        heapq.heappush(self._events, (moment_s, self._entered, number, left_s))
