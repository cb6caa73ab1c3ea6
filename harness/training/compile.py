"""torch.compile as an option of a run: training steps alone, with the time that compiling takes kept apart.

Compiled steps round elsewhere and draw dropout's random numbers in another order, so that the option is part
of a run's identity. Evaluation, batch-norm re-estimation and what is saved go by the network itself.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from harness.config.run_spec import Compiled

# The first step compiles, the second warms up what CUDA graphs record, the third records it.
SETTLING_STEPS = 3
USUAL_STEPS = 3  # after those, to know a usual step by


def training_call(network: nn.Module, compiled: Compiled) -> Callable[[Tensor], Tensor]:
    """What a training step calls for its logits: the network, or its compiled form.

    The network stays as it is, with its own names of weights; the compiled form reads and trains those.
    """
    if compiled == "no":
        return network
    mode = "reduce-overhead" if compiled == "graphs" else "default"
    # all batches of a run have one shape
    call: Callable[[Tensor], Tensor] = torch.compile(network, mode=mode, dynamic=False)
    if compiled != "graphs":
        return call

    def replayed(images: Tensor) -> Tensor:
        """Marks where a step begins: from there on the memory of the last step's graphs is used again."""
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return call(images)

    return replayed


class CompileClock:
    """Tells compiling from training in the first steps that a process makes."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled != "no"
        self._steps_s: list[float] = []
        self._counted_s = 0.0

    @property
    def watching(self) -> bool:
        """Whether the next step is one of the first: its time must hold all of its work on the device."""
        return self._compiled and len(self._steps_s) < SETTLING_STEPS + USUAL_STEPS

    def add(self, step_s: float) -> float:
        """Take note of a step's time; returns by how much the time of compiling grows, s (or shrinks)."""
        if not self.watching:
            return 0.0
        self._steps_s.append(step_s)
        found = beyond_usual_s(self._steps_s)
        grown, self._counted_s = found - self._counted_s, found
        return grown


def beyond_usual_s(steps_s: Sequence[float]) -> float:
    """By how much the first steps, in s, exceed the shortest but the first; a single step counts as a whole.

    Only the first `SETTLING_STEPS` can exceed it; what varies later is no compiling.
    """
    usual = min(steps_s[1:], default=0.0)
    return sum(max(0.0, step - usual) for step in steps_s[:SETTLING_STEPS])
