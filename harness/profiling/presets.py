"""How long is measured, by preset (measurement rules 5, 7 and 11). Importing this module imports no torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.records.measurement import Preset


@dataclass(frozen=True, kw_only=True)
class TimingPlan:
    """How long to warm up and to sample. All minima hold at once; a limit ends what takes too long.

    steady_share: the warm-up also lasts until the medians of the last two groups of ten samples differ by
    less.
    fresh: each round is taken in a process of its own, warmed up anew.
    energy_windows, energy_window_s, cool_down_s: of the energy of a pass, on a GPU.
    idle_s: how long a GPU's idle power is watched.
    """

    warmup_samples: int
    warmup_s: float = 0.0
    steady_share: float | None = None
    warmup_limit_s: float = math.inf
    rounds: int
    samples: int
    round_s: float = 0.0
    round_limit_s: float = math.inf
    fresh: bool = False
    energy_windows: int = 0
    energy_window_s: float = 0.0
    cool_down_s: float = 0.0
    idle_s: float = 0.0


PLANS: Mapping[Preset, TimingPlan] = MappingProxyType(
    {
        # a training step at 360 x 480 takes a CPU 20 s: three rounds of ten would be ten minutes
        "cpu": TimingPlan(warmup_samples=3, warmup_limit_s=60.0, rounds=3, samples=10, round_limit_s=30.0),
        # for quick runs: shows that everything works, too few samples to compare by
        "quick": TimingPlan(warmup_samples=1, rounds=3, samples=3, round_limit_s=30.0),
        "lease": TimingPlan(
            warmup_samples=1,
            warmup_s=2.0,
            rounds=3,
            samples=1,
            round_s=3.0,
            energy_windows=1,
            energy_window_s=10.0,
            idle_s=3.0,
        ),
        "full": TimingPlan(
            warmup_samples=10,
            warmup_s=2.0,
            steady_share=0.01,
            warmup_limit_s=30.0,
            rounds=5,
            samples=200,
            round_s=10.0,
            round_limit_s=60.0,
            fresh=True,
            energy_windows=3,
            energy_window_s=10.0,
            cool_down_s=10.0,
            idle_s=10.0,
        ),
    }
)
