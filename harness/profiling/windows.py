"""Several windows over a GPU's clocks as one."""

import statistics
from collections.abc import Sequence

from harness.records.measurement_values import DeviceWindow, Range
from harness.system.quantities import NotMeasured


def joined_windows(windows: Sequence[DeviceWindow | NotMeasured]) -> DeviceWindow | NotMeasured:
    """One window over all: lowest and highest, and the median of the medians.

    Clocks are those of windows in which the GPU was busy, where there are any. NotMeasured if any window is,
    with the first one's reason; of none at all, since a CPU has none.
    """
    found: list[DeviceWindow] = []
    for window in windows:
        if isinstance(window, NotMeasured):
            return window
        found.append(window)
    if not found:
        return NotMeasured(reason="measured on a CPU")
    reasons = [window.throttle_reasons for window in found]
    missing = next((one for one in reasons if isinstance(one, NotMeasured)), None)
    named = sorted({name for one in reasons if not isinstance(one, NotMeasured) for name in one})
    busy = [window for window in found if window.busy_samples] or found  # an idle GPU's clocks are low
    return DeviceWindow(
        samples=sum(window.samples for window in found),
        busy_samples=sum(window.busy_samples for window in found),
        sm_clock_mhz=_joined([window.sm_clock_mhz for window in busy]),
        memory_clock_mhz=_joined([window.memory_clock_mhz for window in busy]),
        temperature_c=_joined([window.temperature_c for window in found]),
        power_w=_joined([window.power_w for window in found]),
        throttle_reasons=missing or tuple(named),
    )


def _joined(ranges: Sequence[Range | NotMeasured]) -> Range | NotMeasured:
    found: list[Range] = []
    for one in ranges:
        if isinstance(one, NotMeasured):
            return one
        found.append(one)
    return Range(
        low=min(one.low for one in found),
        median=statistics.median(one.median for one in found),
        high=max(one.high for one in found),
    )
