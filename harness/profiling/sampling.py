"""What a GPU and the machine did while something was measured, and which of it is doubtful.

NVML is asked ten times a second. Others are noticed by the load average.
"""

import os
import statistics
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self, TypeVar

from harness.records.measurement_values import DeviceWindow, Range
from harness.system.nvml import CLOCK_REASONS, SLOWDOWNS, Card, Look, Unavailable, card
from harness.system.quantities import NotMeasured, Quantity

T = TypeVar("T")

INTERVAL_S = 0.1
BUSY_SAMPLES = 30  # at least, for the clocks to be known
CLOCK_LIMIT_PERCENT = 5.0  # spread of the SM clock within a window
FOREIGN_LOAD = 0.5  # runnable threads beside ours from which times are doubtful
HOST_SHARE = 0.25  # of the cores, where they only feed a GPU: as long as one is free, it does not wait


class Sampler:
    """Looks at a card from a thread while it is entered. NVML's errors become reasons, nothing raises."""

    def __init__(self, uuid: str, interval_s: float = INTERVAL_S) -> None:
        self._uuid = uuid
        self._interval_s = interval_s
        self._looks: list[Look] = []
        self._reason = "not sampled yet"
        self._open = ExitStack()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        try:
            found = self._open.enter_context(card(self._uuid))  # before the thread: opening takes a while
        except Unavailable as error:
            self._reason = str(error)
            return self
        self._thread = threading.Thread(target=self._sample, args=(found,), name="nvml", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
        self._open.close()

    @property
    def window(self) -> DeviceWindow | NotMeasured:
        """All looks, once it is left; clocks are those of busy samples, where there are any."""
        return window_of(self._looks) if self._looks else NotMeasured(reason=self._reason)

    @property
    def mean_power_w(self) -> Quantity:
        """Mean of the looks."""
        powers = [look.power_w.value for look in self._looks if look.power_w.value is not None]
        if powers:
            return Quantity(value=statistics.fmean(powers))
        return self._looks[0].power_w if self._looks else Quantity(reason=self._reason)

    def _sample(self, found: Card) -> None:
        due = time.monotonic()
        while True:
            self._looks.append(found.look())
            due = max(due + self._interval_s, time.monotonic())
            if self._stop.wait(due - time.monotonic()):
                return


def window_of(looks: Sequence[Look]) -> DeviceWindow:
    """The window that these looks, at least one, make."""
    return _joined(
        [
            DeviceWindow(
                samples=1,
                busy_samples=int(look.busy is True),
                sm_clock_mhz=_point(look.sm_clock_mhz),
                memory_clock_mhz=_point(look.memory_clock_mhz),
                temperature_c=_point(look.temperature_c),
                power_w=_point(look.power_w),
                throttle_reasons=look.clock_reasons,
            )
            for look in looks
        ]
    )


def joined_windows(windows: Sequence[DeviceWindow | NotMeasured]) -> DeviceWindow | NotMeasured:
    """One window over all: lowest and highest, and the median of the medians.

    NotMeasured if any window is, and what is missing in one of them, with the first one's reason; of none at all,
    since a CPU has none.
    """
    found = _found(windows, needs_all=True)
    if isinstance(found, NotMeasured):
        return found
    return _joined(found, needs_all=True) if found else NotMeasured(reason="measured on a CPU")


def _joined(parts: Sequence[DeviceWindow], *, needs_all: bool = False) -> DeviceWindow:
    """What is missing in some of the parts is missing if all are needed, or that of the others.

    Clocks fall where the card pauses, between rounds: they are those of the parts in which it was busy, where there are
    any.
    """
    at_work = [part for part in parts if part.busy_samples] or parts
    throttled = _found([part.throttle_reasons for part in parts], needs_all)
    return DeviceWindow(
        samples=sum(part.samples for part in parts),
        busy_samples=sum(part.busy_samples for part in parts),
        sm_clock_mhz=_range(_found([part.sm_clock_mhz for part in at_work], needs_all)),
        memory_clock_mhz=_range(_found([part.memory_clock_mhz for part in at_work], needs_all)),
        temperature_c=_range(_found([part.temperature_c for part in parts], needs_all)),
        power_w=_range(_found([part.power_w for part in parts], needs_all)),
        throttle_reasons=throttled
        if isinstance(throttled, NotMeasured)
        else tuple(name for name in CLOCK_REASONS.values() if any(name in one for one in throttled)),
    )


def _found(parts: Sequence[T | NotMeasured], needs_all: bool) -> Sequence[T] | NotMeasured:
    """Those that were measured; of none, or not of all where all are needed, the first reason why not."""
    found = [one for one in parts if not isinstance(one, NotMeasured)]
    missing = next((one for one in parts if isinstance(one, NotMeasured)), None)
    return missing if missing and (needs_all or not found) else found


def _point(quantity: Quantity) -> Range | NotMeasured:
    if quantity.value is None:
        return NotMeasured(reason=quantity.reason or "no sample")
    return Range(low=quantity.value, median=quantity.value, high=quantity.value)


def _range(found: Sequence[Range] | NotMeasured) -> Range | NotMeasured:
    if isinstance(found, NotMeasured):
        return found
    return Range(
        low=min(one.low for one in found),
        median=statistics.median(one.median for one in found),
        high=max(one.high for one in found),
    )


def window_warnings(window: DeviceWindow) -> list[str]:
    """What is doubtful about times taken in this window: clocks that are not known, changed, or were held back."""
    warnings = []
    if window.busy_samples < BUSY_SAMPLES:
        warnings.append(f"the GPU's clocks were sampled {window.busy_samples} times at work ({BUSY_SAMPLES} wanted)")
    clock = window.sm_clock_mhz
    if window.busy_samples and isinstance(clock, Range):
        spread = (clock.high - clock.low) / clock.median * 100 if clock.median else 0.0
        if spread > CLOCK_LIMIT_PERCENT:
            warnings.append(f"the SM clock spread by {spread:.1f} % (limit {CLOCK_LIMIT_PERCENT:.0f} %)")
    if not isinstance(window.throttle_reasons, NotMeasured):
        held = [reason for reason in window.throttle_reasons if reason in SLOWDOWNS]
        if held:
            warnings.append(f"the GPU's clocks were held back: {', '.join(held)}")
    return warnings


def load_average() -> Quantity:
    """The machine's load over the last minute, in runnable threads."""
    try:
        return Quantity(value=round(os.getloadavg()[0], 2))
    except (OSError, AttributeError):  # not on Windows
        return Quantity(reason="this system gives no load average")


def load_warnings(load: Quantity, ours: int, cores: int = 1) -> list[str]:
    """A warning where others ran beside us.

    The rule: the load average over the measurement's last minute, minus the threads that we can at most keep
    busy (torch's on a CPU, 1 that feeds a GPU), exceeds 0.5, or of a GPU's host a quarter of its cores. It misses
    others as long as we leave cores idle, and needs a minute to rise.
    """
    if load.value is None or load.value - ours <= max(FOREIGN_LOAD, HOST_SHARE * cores):
        return []
    return [f"others used the machine: load average {load.value:.1f}, of which at most {ours} ours"]
