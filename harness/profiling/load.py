"""Whether others used the machine while something was measured."""

import os

from harness.system.quantities import Quantity

FOREIGN_LOAD = 0.5  # runnable threads beside ours from which times are doubtful
HOST_SHARE = 0.25  # of the cores, where they only feed a GPU: as long as one is free, it does not wait


def load_average() -> Quantity:
    """The machine's load over the last minute, in runnable threads."""
    try:
        return Quantity(value=round(os.getloadavg()[0], 2))
    except (OSError, AttributeError):  # not on Windows
        return Quantity(reason="this system gives no load average")


def load_flags(load: Quantity, ours: int, cores: int = 1) -> list[str]:
    """A doubt where others ran beside us.

    The rule: the load average over the measurement's last minute, minus the threads that we can at most keep
    busy, exceeds 0.5. It misses others as long as we leave cores idle, and needs a minute to rise.

    Args:
        load: load average after the measurement.
        ours: threads that this process computes on: torch's on a CPU, 1 that feeds a GPU.
        cores: of a GPU's host, of which others may use a quarter; 1 where the cores themselves are measured.
    """
    if load.value is None or load.value - ours <= max(FOREIGN_LOAD, HOST_SHARE * cores):
        return []
    return [f"others used the machine: load average {load.value:.1f}, of which at most {ours} ours"]
