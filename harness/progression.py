"""How far a run is, in a form that a checkpoint can hold."""

from dataclasses import dataclass, field
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.records import Evaluation, Validation

_PICTURE = "png:"


@dataclass
class Progression:
    """How far a run is: all but weights, optimiser state and random numbers."""

    iteration: int = 0
    history: list[tuple[int, float, float]] = field(default_factory=list)
    validations: list[Validation] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    predictions: dict[str, bytes] = field(default_factory=dict)
    best_iteration: int | None = None
    best_score: float = -1.0
    ended: bool = False
    train_s: float = 0.0
    evaluate_s: float = 0.0
    segments: int = 0

    def fall(self, stretch: int) -> float | None:
        """Share by which the mean loss of the last `stretch` iterations lies under that of those before.

        None before there are two stretches.
        """
        losses = [loss for _, loss, _ in self.history[-2 * stretch :]]
        if len(losses) < 2 * stretch:
            return None
        before, lately = sum(losses[:stretch]), sum(losses[stretch:])
        return 1 - lately / before

    def tensors(self) -> dict[str, Tensor]:
        """Arrays and pictures as tensors, for a checkpoint."""
        stored = {name: torch.from_numpy(array) for name, array in self.arrays.items()}
        for name, png in self.predictions.items():
            stored[_PICTURE + name] = torch.frombuffer(bytearray(png), dtype=torch.uint8)
        return stored

    def values(self) -> dict[str, Any]:
        """All the rest, as JSON can hold it."""
        return {
            "iteration": self.iteration,
            "history": self.history,
            "validations": [entry.model_dump(mode="json") for entry in self.validations],
            "evaluations": [entry.model_dump(mode="json") for entry in self.evaluations],
            "best_iteration": self.best_iteration,
            "best_score": self.best_score,
            "ended": self.ended,
            "train_s": self.train_s,
            "evaluate_s": self.evaluate_s,
            "segments": self.segments,
        }


def restore(tensors: dict[str, Tensor], values: dict[str, Any]) -> Progression:
    """The progression that `tensors` and `values` were taken from."""
    values = dict(values)
    values["history"] = [(int(i), float(loss), float(rate)) for i, loss, rate in values["history"]]
    values["validations"] = [Validation.model_validate(entry) for entry in values["validations"]]
    values["evaluations"] = [Evaluation.model_validate(entry) for entry in values["evaluations"]]
    pictures = {name: t for name, t in tensors.items() if name.startswith(_PICTURE)}
    return Progression(
        **values,
        arrays={name: t.numpy() for name, t in tensors.items() if name not in pictures},
        predictions={name.removeprefix(_PICTURE): t.numpy().tobytes() for name, t in pictures.items()},
    )
