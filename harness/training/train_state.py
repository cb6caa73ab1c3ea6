"""How far a run is, in a form that a checkpoint can hold, and the losses still on their way there."""

import math
from collections.abc import Sequence
from typing import Any, Self

import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from harness.records.run import Evaluation, Validation
from harness.training.evaluator import HostCopy, SplitScores, label_png

_PICTURE = "png:"

Step = tuple[int, float, float]
"""Iteration, loss, learning rate."""


class Diverged(Exception):
    """The loss, or a weight, is no longer finite."""

    def __init__(self, iteration: int, what: str = "the loss was") -> None:
        super().__init__(f"{what} not finite at iteration {iteration}")
        self.iteration = iteration


class PendingLosses:
    """Losses of steps that are done or queued on the device.

    They come to the host a stretch at a time, each stretch while the device computes the next one, so that
    the device never runs dry for want of a host that waits.
    """

    def __init__(self) -> None:
        self._steps: list[tuple[int, Tensor, float]] = []
        self._sent: list[tuple[list[tuple[int, Tensor, float]], HostCopy]] = []

    def add(self, iteration: int, loss: Tensor, rate: float) -> None:
        """Take note of a step; `loss` is a scalar without a graph, on its device."""
        self._steps.append((iteration, loss, rate))

    def send(self) -> None:
        """Let the noted losses go to the host; does not wait."""
        if self._steps:
            self._sent.append((self._steps, HostCopy(torch.stack([loss for _, loss, _ in self._steps]))))
            self._steps = []

    def arrived(self, last: bool) -> list[Step]:
        """Losses that were sent, in order, but for the latest stretch unless `last`; waits for these.

        Raises:
            Diverged: one of them is not finite.
        """
        ready = self._sent if last else self._sent[:-1]
        self._sent = self._sent[len(ready) :]
        entries: list[Step] = []
        for steps, losses in ready:
            values = losses.get().tolist()
            entries += [(iteration, loss, rate) for (iteration, _, rate), loss in zip(steps, values, strict=True)]
        for iteration, loss, _ in entries:
            if not math.isfinite(loss):
                raise Diverged(iteration)
        return entries


class RunState(BaseModel):
    """How far any run is, in values and tensors that a checkpoint holds; `values` has all but arrays and pictures."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    iteration: int = 0
    evaluations: list[Evaluation] = []
    evaluate_s: float = 0.0
    segments: int = 0
    processes: list[int] = []
    arrays: dict[str, NDArray[Any]] = Field(default={}, exclude=True)
    predictions: dict[str, bytes] = Field(default={}, exclude=True)

    def begin_segment(self, processes: int) -> None:
        """Count a segment, and note how many processes share it where that is another number than before."""
        self.segments += 1
        if self.processes[-1:] != [processes]:
            self.processes.append(processes)

    def note_evaluation(self, split: str, at: int, labels: tuple[str, ...], scored: SplitScores) -> None:
        """Keep what scoring a split at an iteration found, for the rows of the table named by `labels`."""
        values = {"split": split, "iteration": at, "labels": labels, "images": len(scored.counts)}
        evaluation = Evaluation.model_validate({**values, "boundary": scored.boundary is not None})
        self.evaluations.append(evaluation)
        self.arrays |= {f"{evaluation.key}-{name}": array for name, array in scored.arrays().items()}

    def note_predictions(self, image_ids: Sequence[str], scored: SplitScores) -> None:
        """Keep the predictions that scoring a split was asked for, as pictures by the ids of its images."""
        self.predictions |= {image_ids[n]: label_png(one) for n, one in scored.predictions.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Arrays and pictures as tensors, for a checkpoint."""
        stored = {name: torch.from_numpy(array) for name, array in self.arrays.items()}
        for name, png in self.predictions.items():
            stored[_PICTURE + name] = torch.frombuffer(bytearray(png), dtype=torch.uint8)
        return stored

    def values(self) -> dict[str, Any]:
        """All the rest, as JSON can hold it."""
        return self.model_dump(mode="json")

    @classmethod
    def restore(cls, tensors: dict[str, Tensor], values: dict[str, Any]) -> Self:
        """The state that `tensors` and `values` were taken from."""
        pictures = {name: t for name, t in tensors.items() if name.startswith(_PICTURE)}
        state = cls.model_validate({"processes": [1], **values})  # earlier checkpoints have none
        state.arrays = {name: t.numpy() for name, t in tensors.items() if name not in pictures}
        state.predictions = {name.removeprefix(_PICTURE): t.numpy().tobytes() for name, t in pictures.items()}
        return state


class TrainState(RunState):
    """How far a training is: all but weights, optimizer state and random numbers."""

    history: list[Step] = []
    validations: list[Validation] = []
    best_iteration: int | None = None
    best_score: float = -1.0
    best_sha256: str | None = None
    ended: bool = False
    train_s: float = 0.0
    compile_s: float = 0.0

    def fall(self, stretch: int) -> float | None:
        """Share by which the mean loss of the last `stretch` iterations lies under that of those before.

        None before there are two stretches.
        """
        losses = [loss for _, loss, _ in self.history[-2 * stretch :]]
        if len(losses) < 2 * stretch:
            return None
        before, lately = sum(losses[:stretch]), sum(losses[stretch:])
        return 1 - lately / before if before else 0.0
