"""Energy of a pass on a GPU, by NVML's total-energy counter over windows of seconds.

The counter moves about ten times a second, so that a window has to be long: a step of it at either end is 2 %
of 10 s. It is the board's, not that of the wall. Idle power is watched twice: in deep idle, before any context
exists, and with the context of the process that is measured. The power that NVML gives is an average over up
to a second and is sampled, for which reason it serves as a cross-check alone.
"""

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.profiling.presets import PLANS, TimingPlan
from harness.profiling.sampling import Sampler
from harness.records.measurement import MeasureSpec
from harness.records.measurement_values import Energy
from harness.system.nvml import Card, Unavailable, baseline, card
from harness.system.quantities import NotMeasured, Quantity

SETTLE_S = 1.0  # after the last pass, before idle power with a context is watched
LEAD_S = 1.0  # of work before a window, so that averaged power is of that work alone
OFFSET_S = 0.1  # at most, on top of it: windows begin at different moments of the counter's period
SHORTEST_S = 5.0
CROSS_CHECK_SHARE = 0.1
COOLED_C = 2.0  # above the temperature before the first window, from which the cool-down may end


@dataclass(frozen=True, kw_only=True)
class Timer:
    """Clock, waiting and chance; tests have one of their own.

    offset_s: the next random offset, 0 to OFFSET_S.
    """

    now: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep
    offset_s: Callable[[], float] = lambda: random.uniform(0.0, OFFSET_S)


_REAL = Timer()


@dataclass(frozen=True, kw_only=True)
class BaselinePower:
    """GPUs by UUID before anything of ours runs on them: power in deep idle, and what others do there, if so."""

    idle_w: Mapping[str, Quantity] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)


def baseline_power(spec: MeasureSpec) -> BaselinePower:
    """Watch every GPU by NVML, without touching CUDA, as long as the preset says; nothing for a CPU."""
    if spec.device == "cpu":
        return BaselinePower()
    found, seconds = baseline(), PLANS[spec.preset].idle_s
    idle = {uuid: idle_power(uuid, seconds) for uuid in found.used_bytes} if seconds else {}
    return BaselinePower(idle_w=idle, others=found.others)


def idle_power(uuid: str, seconds: float, timer: Timer = _REAL) -> Quantity:
    """Watts of the card of that UUID over some seconds, by the same counter; to be called before CUDA is touched."""
    try:
        with card(uuid) as found:
            return _idle_power(found, seconds, timer)
    except Unavailable as error:
        return Quantity(reason=str(error))


def _idle_power(found: Card, seconds: float, timer: Timer) -> Quantity:
    before, began = found.energy_mj(), timer.now()
    timer.sleep(seconds)
    spent_mj, elapsed_s = found.energy_mj() - before, timer.now() - began
    if spent_mj <= 0:
        return Quantity(reason=f"NVML's energy counter did not move in {elapsed_s:.1f} s")
    return Quantity(value=round(spent_mj / 1000 / elapsed_s, 2))


def measure_energy(
    run: Callable[[], None],
    synchronize: Callable[[], None],
    *,
    uuid: str,
    idle_w: Quantity,
    plan: TimingPlan,
    others: str | None = None,
    timer: Timer = _REAL,
) -> tuple[Energy | NotMeasured, list[str]]:
    """Repeat a pass for windows of time and divide the energy spent.

    Args:
        run: one pass, whose work may still wait on the device when it returns.
        synchronize: waits for that work.
        uuid: the card's, as NVML writes it.
        idle_w: its power before this process touched it.
        plan: how many windows of what length, how long to cool down between them at most (it ends when the card
            is as cool again), and how long to watch idle power with this process's context.
        others: how others use the card, if they do.
        timer: clock, waiting and chance.

    Returns:
        The energy, or why there is none, and warnings about it.
    """
    if others is not None:
        return NotMeasured(reason=f"not this process's alone: {others}"), []
    try:
        with card(uuid) as found:
            found.energy_mj()  # before any work, for a card without that counter
            synchronize()
            timer.sleep(SETTLE_S)
            context_idle_w = _idle_power(found, plan.idle_s, timer)
            cool_c = found.temperature_c()
            taken: list[_Window] = []
            for number in range(plan.energy_windows):
                if number:
                    _cool_down(found, cool_c, plan.cool_down_s, timer)
                taken.append(_window(found, uuid, run, synchronize, plan.energy_window_s, timer))
    except Unavailable as error:
        return NotMeasured(reason=str(error)), []
    if min(one.spent_mj for one in taken) <= 0:
        return NotMeasured(reason=f"NVML's energy counter did not move in {taken[0].seconds:.1f} s"), []
    energy = _energy(taken, idle_w, context_idle_w)
    return energy, _warnings(energy)


@dataclass(frozen=True, kw_only=True)
class _Window:
    seconds: float
    passes: int
    spent_mj: int
    power_w: Quantity


def _window(
    found: Card,
    uuid: str,
    run: Callable[[], None],
    synchronize: Callable[[], None],
    window_s: float,
    timer: Timer,
) -> _Window:
    _repeat(run, synchronize, LEAD_S + timer.offset_s(), timer)
    with Sampler(uuid) as sampler:
        before, began = found.energy_mj(), timer.now()
        passes = _repeat(run, synchronize, window_s, timer)
        spent_mj, seconds = found.energy_mj() - before, timer.now() - began
    return _Window(seconds=seconds, passes=passes, spent_mj=spent_mj, power_w=sampler.mean_power_w)


def _repeat(run: Callable[[], None], synchronize: Callable[[], None], seconds: float, timer: Timer) -> int:
    """Passes begun within these seconds; all of them are done on return."""
    passes, end = 0, timer.now() + seconds
    while timer.now() < end or passes == 0:
        run()
        passes += 1
    synchronize()
    return passes


def _cool_down(found: Card, cool_c: Quantity, limit_s: float, timer: Timer) -> None:
    end = timer.now() + limit_s
    while (left_s := end - timer.now()) > 0:
        warm_c = found.temperature_c()
        if cool_c.value is not None and warm_c.value is not None and warm_c.value <= cool_c.value + COOLED_C:
            return
        timer.sleep(min(1.0, left_s))


def _energy(taken: list[_Window], idle_w: Quantity, context_idle_w: Quantity) -> Energy:
    raw_mj = statistics.median(one.spent_mj / one.passes for one in taken)
    above_idle, integrated = idle_w, next((one.power_w for one in taken if one.power_w.reason), None)
    if idle_w.value is not None:
        idle_mw = idle_w.value * 1000
        above_idle = _median([(one.spent_mj - idle_mw * one.seconds) / one.passes for one in taken])
    if integrated is None:
        powers_w = [(one.power_w.value or 0.0, one) for one in taken]
        integrated = _median([power_w * 1000 * one.seconds / one.passes for power_w, one in powers_w])
    return Energy(
        window_s=tuple(round(one.seconds, 3) for one in taken),
        passes=tuple(one.passes for one in taken),
        raw_mj=round(raw_mj, 3),
        above_idle_mj=above_idle,
        idle_w=idle_w,
        context_idle_w=context_idle_w,
        integrated_mj=integrated,
    )


def _median(values: list[float]) -> Quantity:
    return Quantity(value=round(statistics.median(values), 3))


def _warnings(energy: Energy) -> list[str]:
    warnings = []
    if min(energy.window_s) < SHORTEST_S:
        warnings.append(f"energy: a window of {min(energy.window_s):.1f} s (at least {SHORTEST_S:.0f} s wanted)")
    if energy.integrated_mj.value is not None:
        share = abs(energy.integrated_mj.value / energy.raw_mj - 1)
        if share > CROSS_CHECK_SHARE:
            warnings.append(
                f"energy: sampled power differs from the counter by {share:.0%} (limit {CROSS_CHECK_SHARE:.0%})"
            )
    return warnings
