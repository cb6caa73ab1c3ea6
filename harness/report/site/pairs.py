"""Differences of every two networks of a group: of the four scores and of each class, with intervals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.metrics.bootstrap import SCORES
from harness.metrics.significance import Difference, Sample, difference
from harness.report.frames import CHECKPOINTS
from harness.report.samples import class_samples, sample
from harness.report.store import Run
from harness.system.quantities import NotMeasured

# The frames' names of the four scores -> the records'.
NAMES: Mapping[str, str] = dict(zip(("global_accuracy", "class_accuracy", "miou", "bf"), SCORES, strict=True))


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The first network less the second, in points. why: why there is nothing to compare; empty where there is.

    scores: by the frames' names. classes: of IoU, a difference a class, none of one that is undefined somewhere.
    """

    scores: Mapping[str, Difference]
    classes: tuple[Difference | None, ...] = ()
    why: str = ""

    def as_json(self) -> dict[str, object]:
        """As `data/pairs-*.js` has it: a difference is [estimate, low, high]."""
        if self.why:
            return {"why": self.why}
        return {
            "by": "seeds" if any(one.by == "seeds" for one in self.scores.values()) else "images",
            "scores": {name: _triple(one) for name, one in self.scores.items()},
            "classes": [None if one is None else _triple(one) for one in self.classes],
        }


@dataclass(frozen=True, kw_only=True)
class Samples:
    """A network's scores at a checkpoint, by the frames' names, and the IoU of its classes."""

    scores: Mapping[str, Sample]
    classes: Sequence[Sample]

    @property
    def evaluations(self) -> tuple[str, ...]:
        """What they were read from."""
        return next(iter(self.scores.values())).evaluations


def label_of(checkpoint: str) -> str:
    """The records' word for a checkpoint of the frames."""
    return next((long for long, short in CHECKPOINTS.items() if short == checkpoint), checkpoint)


def samples_of(runs: Sequence[Run], split: str, checkpoint: str) -> Samples | None:
    """The scores of one network's runs; none where no run was scored there."""
    found = {name: sample(runs, split, label_of(checkpoint), short) for name, short in NAMES.items()}
    there = {name: one for name, one in found.items() if one is not None}
    return Samples(scores=there, classes=class_samples(runs, split, label_of(checkpoint))) if there else None


def compare_all(
    networks: Mapping[str, Sequence[Run]], split: str, checkpoints: Iterable[str]
) -> tuple[dict[str, dict[str, Samples]], dict[str, dict[str, Pair]]]:
    """Checkpoint -> network -> its scores, and checkpoint -> `first|second` -> the difference of every two.

    Args:
        networks: each with its runs, all of one group.
        split: that they are scored on.
        checkpoints: as the frames name them. Two that are of the same evaluations are compared once.
    """
    known: dict[tuple[tuple[str, ...], tuple[str, ...]], Pair] = {}
    samples: dict[str, dict[str, Samples]] = {}
    pairs: dict[str, dict[str, Pair]] = {}
    for checkpoint in checkpoints:
        found = {name: samples_of(runs, split, checkpoint) for name, runs in networks.items()}
        here = samples[checkpoint] = {name: one for name, one in found.items() if one is not None}
        pairs[checkpoint] = {}
        for first, second in combinations(here, 2):
            key = (here[first].evaluations, here[second].evaluations)
            if key not in known:
                known[key] = _pair(here[first], here[second])
            pairs[checkpoint][f"{first}|{second}"] = known[key]
    return samples, pairs


def _pair(one: Samples, other: Samples) -> Pair:
    scores: dict[str, Difference] = {}
    for name in [name for name in one.scores if name in other.scores]:
        found = difference(one.scores[name], other.scores[name])
        if isinstance(found, NotMeasured):
            return Pair(scores={}, why=found.reason)
        scores[name] = found
    gaps = [difference(first, second) for first, second in zip(one.classes, other.classes, strict=True)]
    defined = [gap if isinstance(gap, Difference) and gap.low == gap.low else None for gap in gaps]
    return Pair(scores=scores, classes=tuple(defined))


def _triple(one: Difference) -> list[float]:
    return [round(value, 4) for value in (one.estimate, one.low, one.high)]
