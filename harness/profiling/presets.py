"""What is measured, and how long, by preset (measurement rules 5, 7 and 11). Importing it imports no torch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from harness.records.measurement import (
    INFERENCE,
    INFERENCE_BATCH,
    STEP_BATCH,
    THROUGHPUT_BATCH,
    TIME_BATCH,
    TIMED,
    TRAINING,
    TRAINING_BATCH,
    MeasurementKey,
    MeasureSpec,
    Phase,
    Preset,
)

SPREAD_LIMIT_PERCENT = 3.0  # between the medians of rounds


def spread_warning(spread_percent: float) -> str:
    """What is doubtful about a time whose rounds spread by so much; empty up to the limit."""
    if spread_percent <= SPREAD_LIMIT_PERCENT:
        return ""
    return f"rounds spread by {spread_percent:.1f} % (limit {SPREAD_LIMIT_PERCENT:.0f} %)"


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


def measurement_keys(
    spec: MeasureSpec,
    phases: Sequence[Phase] = (),
    step_batch: int = STEP_BATCH,
    most: int | None = None,
) -> tuple[MeasurementKey, ...]:
    """The measurements of a record that go with its preset and options; none for phases: all.

    Preset `quick` leaves out what takes long. What follows from shapes alone is the same with each option but
    the optimizer and stands in the plain record. Folded batch norm exists in inference only, and another
    optimizer in training only. A training step is of step_batch images; of other times only those at a batch of at
    `most` so many.
    """
    batches: dict[Phase, tuple[int, ...]] = {
        "shapes": (1,),
        "inference-memory": (INFERENCE_BATCH,),
        "training-memory": (TRAINING_BATCH,),
        "forward": (TIME_BATCH, THROUGHPUT_BATCH),
        "end-to-end": (TIME_BATCH,),
        "backward": (TIME_BATCH,),
        "training-step": (step_batch,),
    }
    if spec.preset == "quick" and not phases:
        batches |= {"forward": (TIME_BATCH,), "end-to-end": (), "training-step": ()}
    if spec.optimizer != "sgd":  # which inference and the backward pass know nothing of
        batches |= dict.fromkeys((*INFERENCE, "backward"), ())
    elif spec.options:
        batches["shapes"] = ()
    if "folded" in spec.options:
        batches |= dict.fromkeys(TRAINING, ())
    return tuple(
        MeasurementKey(phase=phase, batch_size=batch)
        for phase, found in batches.items()
        for batch in found
        if (not phases or phase in phases) and (most is None or batch <= most or phase not in TIMED)
    )
