"""How much of a step's wall time passes outside kernels: the host's overhead, and the device's idling.

On a GPU the device is busy while a kernel, a copy or a fill runs, on whatever stream. On a CPU there are no
kernels apart from the operators themselves: busy is the time in which an outermost operator of torch runs.
"""

import time
from collections.abc import Callable, Iterable

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from harness.profiling.timing import synchronize
from harness.system.quantities import Quantity

STEPS = 5  # profiled, after one that is not
WARM_UP = 1  # steps under the profiler before that: it sets itself up in the first

Interval = tuple[float, float]


def share_outside_kernels(step: Callable[[], None], device: torch.device) -> Quantity:
    """Share of the wall time of a few steps in which no kernel runs (on a CPU: no operator), 0 to 1.

    The steps follow each other without waiting in between, as in training. The profiler's own time, some
    microseconds an operator, counts as outside: where steps are short, the share is an upper bound.

    Args:
        step: one step, warmed up; not to wait for the device itself.
        device: that it runs on.
    """
    on_gpu = device.type == "cuda"
    activity = ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU
    step()
    try:
        with profile(activities=[activity]):
            for _ in range(WARM_UP):
                step()
            synchronize(device)
        with profile(activities=[activity]) as profiled:
            synchronize(device)
            began = time.perf_counter()
            for _ in range(STEPS):
                step()
            synchronize(device)
            wall_us = (time.perf_counter() - began) * 1e6
    except RuntimeError as error:  # no permission to profile, or another profiler is at work
        return Quantity(reason=f"torch's profiler did not start: {str(error).splitlines()[0]}")
    busy_us = union_length(_busy(profiled, DeviceType.CUDA if on_gpu else DeviceType.CPU))
    if busy_us == 0:
        return Quantity(reason="torch's profiler saw no kernel" if on_gpu else "the profiler saw no operator")
    return Quantity(value=round(max(0.0, 1 - busy_us / wall_us), 4))


def union_length(intervals: Iterable[Interval]) -> float:
    """Length of the union of (start, end) intervals; what several cover counts once."""
    length, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        if end > reached:
            length += end - max(start, reached)
            reached = end
    return length


def _busy(profiled: profile, where: DeviceType) -> list[Interval]:
    """What ran there, in microseconds: kernels, copies and fills, or operators, of whatever stream or thread.

    Operators inside others don't matter to the union. Named ranges, such as torch's around an optimizer's
    step, are left out: they hold the host's own work too.
    """
    return [
        (event.time_range.start, event.time_range.end)
        for event in profiled.events() or ()  # type: ignore[no-untyped-call]
        if event.device_type == where and not event.is_user_annotation
    ]
