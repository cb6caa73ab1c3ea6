"""The processes that carry out a run together, as torch's launcher starts them: which one this is. Imports no torch."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from harness.config.losses import LOSSES
from harness.config.run_spec import RunSpec
from harness.system.errors import UserError


@dataclass(frozen=True, kw_only=True)
class WorldInfo:
    """Which of a run's processes this is. Rank 0 alone holds the run's lock, prints and writes."""

    rank: int = 0
    world_size: int = 1

    @classmethod
    def here(cls, world_size: int) -> Self:
        """This process, of so many: with more than one, torch's launcher has set its rank."""
        return cls(rank=int(os.environ["RANK"]) if world_size > 1 else 0, world_size=world_size)

    @property
    def is_main_process(self) -> bool:
        """Whether this process prints and writes; the only one does."""
        return self.rank == 0


def check_sharing(world_size: int, specs: Iterable[RunSpec]) -> None:
    """Refuse runs that so many processes can't share.

    Raises:
        UserError: a batch of fewer images than processes, a loss that does not split, or compiled steps.
    """
    if world_size == 1:
        return
    for spec in specs:
        if spec.protocol.batch_size < world_size:
            raise UserError(
                f"--gpus-per-run {world_size}: protocol {spec.protocol.title} has batches of "
                f"{spec.protocol.batch_size} images; give at most --gpus-per-run {spec.protocol.batch_size}"
            )
        if not LOSSES[spec.protocol.loss].splits:
            raise UserError(
                f"loss {spec.protocol.loss}: it is no sum over pixels, so that {world_size} processes can't split a "
                "batch exactly; start one process, or choose one of "
                f"{', '.join(name for name in LOSSES if LOSSES[name].splits)}"
            )
        if spec.compiled != "no":
            raise UserError(
                f"compile {spec.compiled!r}: steps that several processes share are not compiled; "
                "leave out --compile or --gpus-per-run"
            )


def part_of(batch: int, rank: int, world_size: int) -> slice:
    """Which images of a batch are a process's: neighbors, the first processes one more (5 into 3 + 2)."""
    least, more = divmod(batch, world_size)
    start = rank * least + min(rank, more)
    return slice(start, start + least + (rank < more))
