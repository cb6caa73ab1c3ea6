"""How far a run is, in a form that a checkpoint can hold, and the losses still on their way there."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.records.run import Evaluation, Validation
from harness.training.evaluator import SplitScores

_PICTURE = "png:"


class Diverged(Exception):
    """The loss, or a weight, is no longer finite."""

    def __init__(self, iteration: int, what: str = "the loss was") -> None:
        super().__init__(f"{what} not finite at iteration {iteration}")
        self.iteration = iteration


class PendingLosses:
    """Losses of steps that are done or queued on the device, (iteration, loss, rate).

    They come to the host a stretch at a time, each stretch while the device computes the next one, so that
    the device never runs dry for want of a host that waits.
    """

    def __init__(self) -> None:
        self._steps: list[tuple[int, Tensor, float]] = []
        self._sent: list[_Stretch] = []

    def add(self, iteration: int, loss: Tensor, rate: float) -> None:
        """Take note of a step; `loss` is a scalar without a graph, on its device."""
        self._steps.append((iteration, loss, rate))

    def send(self) -> None:
        """Let the noted losses go to the host; does not wait."""
        if self._steps:
            self._sent.append(_Stretch(self._steps))
            self._steps = []

    def arrived(self, last: bool) -> list[tuple[int, float, float]]:
        """Losses that were sent, in order, but for the latest stretch unless `last`; waits for these.

        Raises:
            Diverged: one of them is not finite.
        """
        ready = self._sent if last else self._sent[:-1]
        self._sent = self._sent[len(ready) :]
        entries = [entry for stretch in ready for entry in stretch.get()]
        for iteration, loss, _ in entries:
            if not math.isfinite(loss):
                raise Diverged(iteration)
        return entries


class _Stretch:
    """Losses of a stretch of iterations on their way to the host."""

    def __init__(self, steps: list[tuple[int, Tensor, float]]) -> None:
        self._steps = steps
        self._losses = torch.stack([loss for _, loss, _ in steps])
        self._copied: torch.cuda.Event | None = None
        if self._losses.device.type == "cuda":
            on_device = self._losses
            self._losses = torch.empty(on_device.shape, dtype=on_device.dtype, pin_memory=True)
            self._losses.copy_(on_device, non_blocking=True)
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._copied.record()

    def get(self) -> list[tuple[int, float, float]]:
        """(iteration, loss, rate) of each step; waits for the copy."""
        if self._copied is not None:
            self._copied.synchronize()
        losses = self._losses.tolist()
        return [(iteration, loss, rate) for (iteration, _, rate), loss in zip(self._steps, losses, strict=True)]


@dataclass
class TrainState:
    """How far a run is: all but weights, optimizer state and random numbers."""

    iteration: int = 0
    history: list[tuple[int, float, float]] = field(default_factory=list)
    validations: list[Validation] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    predictions: dict[str, bytes] = field(default_factory=dict)
    best_iteration: int | None = None
    best_score: float = -1.0
    best_sha256: str | None = None
    ended: bool = False
    train_s: float = 0.0
    evaluate_s: float = 0.0
    compile_s: float = 0.0
    segments: int = 0
    processes: list[int] = field(default_factory=list)

    def begin_segment(self, processes: int) -> None:
        """Count a segment, and note how many processes share it where that is another number than before."""
        self.segments += 1
        if self.processes[-1:] != [processes]:
            self.processes.append(processes)

    def note_evaluation(self, split: str, at: int, labels: tuple[str, ...], scored: SplitScores) -> None:
        """Keep what scoring a split at an iteration found, for the rows of the table named by `labels`."""
        values = {"split": split, "iteration": at, "labels": labels, "images": len(scored.matrices)}
        evaluation = Evaluation.model_validate({**values, "boundary": scored.boundary is not None})
        self.evaluations.append(evaluation)
        self.arrays[f"{evaluation.key}-matrices"] = scored.matrices
        if scored.boundary is not None:
            self.arrays[f"{evaluation.key}-bf"] = scored.boundary.astype(np.float32)

    def fall(self, stretch: int) -> float | None:
        """Share by which the mean loss of the last `stretch` iterations lies under that of those before.

        None before there are two stretches.
        """
        losses = [loss for _, loss, _ in self.history[-2 * stretch :]]
        if len(losses) < 2 * stretch:
            return None
        before, lately = sum(losses[:stretch]), sum(losses[stretch:])
        return 1 - lately / before if before else 0.0

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
            "best_sha256": self.best_sha256,
            "ended": self.ended,
            "train_s": self.train_s,
            "evaluate_s": self.evaluate_s,
            "compile_s": self.compile_s,
            "segments": self.segments,
            "processes": self.processes,
        }


def restore(tensors: dict[str, Tensor], values: dict[str, Any]) -> TrainState:
    """The progression that `tensors` and `values` were taken from."""
    values = {"processes": [1], **values}  # checkpoints from before there could be several have none
    values["history"] = [(int(i), float(loss), float(rate)) for i, loss, rate in values["history"]]
    values["validations"] = [Validation.model_validate(entry) for entry in values["validations"]]
    values["evaluations"] = [Evaluation.model_validate(entry) for entry in values["evaluations"]]
    pictures = {name: t for name, t in tensors.items() if name.startswith(_PICTURE)}
    return TrainState(
        **values,
        arrays={name: t.numpy() for name, t in tensors.items() if name not in pictures},
        predictions={name.removeprefix(_PICTURE): t.numpy().tobytes() for name, t in pictures.items()},
    )
