"""One process of several that carry out runs together, as `torchrun` starts them: which one it is.

Importing this module does not import torch.
"""

import os
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, Field

from harness.config.losses import check_splits
from harness.config.run_spec import RunSpec
from harness.system.errors import UserError


class WorldInfo(BaseModel):
    """Which of the processes this is, and where they find each other.

    Rank 0 leads: it alone plans, prints, holds the run's lock, measures and writes; the others follow.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(ge=0)
    processes: int = Field(ge=2)
    local_rank: int = Field(ge=0, description="on its machine: the number of its GPU")
    local_processes: int = Field(ge=1, description="on its machine, which share its cores")
    host: str = Field(description="of the store where they find each other")
    port: int = Field(ge=1, le=65535)
    hosted: bool = Field(description="whether torchrun keeps that store; else rank 0 opens it")
    launch: str = Field("0", description="how often torchrun has started them anew")
    meeting: str | None = Field(None, description="where those of one run meet, as rank 0 named it")


def launched_member(environment: Mapping[str, str] | None = None) -> WorldInfo | None:
    """Which process this is by the variables that `torchrun` sets; none where it is the only one.

    Args:
        environment: none: this process's.

    Raises:
        UserError: only some of the variables are set, or one is no number.
    """
    found = os.environ if environment is None else environment
    processes = _number(found, "WORLD_SIZE", 1)
    if processes < 2:
        return None
    rank = _number(found, "RANK")
    if not 0 <= rank < processes:
        raise UserError(f"RANK is {rank}, of {processes} processes: it must be 0 to {processes - 1}")
    return WorldInfo(
        rank=rank,
        processes=processes,
        local_rank=_number(found, "LOCAL_RANK", rank),
        local_processes=_number(found, "LOCAL_WORLD_SIZE", processes),
        host=_text(found, "MASTER_ADDR"),
        port=_number(found, "MASTER_PORT"),
        hosted=found.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        launch=found.get("TORCHELASTIC_RESTART_COUNT", "0"),
    )


def check_sharing(member: WorldInfo | None, specs: Iterable[RunSpec]) -> None:
    """Refuse runs that several processes can't share.

    Raises:
        UserError: a batch of fewer images than processes, a loss that does not split, or compiled steps.
    """
    if member is None:
        return
    for spec in specs:
        if spec.protocol.batch_size < member.processes:
            raise UserError(
                f"{member.processes} processes can't share protocol {spec.protocol.title}'s batch of "
                f"{spec.protocol.batch_size}: start at most as many (torchrun --nproc-per-node)"
            )
        check_splits(spec.protocol.loss, member.processes)
        if spec.compiled != "no":
            raise UserError(
                f"compile {spec.compiled!r}: steps that several processes share are not compiled; "
                "leave --compile out, or start one process"
            )


def part_of(batch: int, rank: int, processes: int) -> slice:
    """Which images of a batch are a process's: neighbors, the first processes one more (5 into 3 + 2)."""
    least, more = divmod(batch, processes)
    start = rank * least + min(rank, more)
    return slice(start, start + least + (rank < more))


def _number(environment: Mapping[str, str], name: str, otherwise: int | None = None) -> int:
    if name not in environment and otherwise is not None:
        return otherwise
    text = _text(environment, name)
    if not text.isdigit():
        raise UserError(f"{name} is {text!r}: several processes are started by torchrun, which sets a number")
    return int(text)


def _text(environment: Mapping[str, str], name: str) -> str:
    if name not in environment:
        raise UserError(f"WORLD_SIZE is set, but {name} is not: start several processes by torchrun")
    return environment[name]
