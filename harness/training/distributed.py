"""The processes that carry out a run together: what they add up, gather, and agree on.

Each takes its part of every batch; gradients, batch-norm statistics and the count of labeled pixels are
those of the whole batch, so that the run is that of one process but for rounding and for dropout's random
numbers.
`SINGLE_PROCESS` is a run in one process: it answers at once and asks torch.distributed for nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Literal, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from harness.config.worker_job import WorkerJob
from harness.config.world import WorldInfo, part_of
from harness.system.environment import available_cores
from harness.system.errors import UserError

Value = TypeVar("Value")
Backend = Literal["gloo", "nccl"]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Successive batches, one a process.

    own: indices of this process's; none where the last turn has fewer batches than there are processes.
    batches, images: of all processes.
    """

    own: NDArray[np.int64] | None
    batches: int
    images: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Group(WorldInfo):
    """The processes of a run, all on one machine, seen from one of them.

    All must call the same methods in the same order. backend: that tensors on the run's device go by; those on the
    CPU go by gloo.
    """

    backend: Backend = "gloo"

    @property
    def cores(self) -> int:
        """This process's share of its machine's cores."""
        return max(1, available_cores() // self.world_size)

    def shard(self, batch: int) -> slice:
        """Which images of a training batch are this process's."""
        return part_of(batch, self.rank, self.world_size)

    def round_robin_batches(self, batches: Iterable[NDArray[np.int64]]) -> Iterator[Turn]:
        """Whole batches dealt out in turn, so that each is computed exactly as one process computes it."""
        left = iter(batches)
        while taken := list(islice(left, self.world_size)):
            own = taken[self.rank] if self.rank < len(taken) else None
            yield Turn(own=own, batches=len(taken), images=sum(len(batch) for batch in taken))

    def all_reduce_sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, the same to the bit in each; on a GPU the host does not wait for it."""
        if self.world_size == 1:
            return tensor
        summed = tensor.clone()
        dist.all_reduce(summed)
        return summed

    def all_gather(self, tensor: Tensor) -> list[Tensor]:
        """The tensors of all processes, of one shape, by rank."""
        if self.world_size == 1:
            return [tensor]
        found = [torch.empty_like(tensor) for _ in range(self.world_size)]
        dist.all_gather(found, tensor)
        return found

    def any_rank(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag, whether it is set in any process. By way of the hosts: no GPU is waited for."""
        if self.world_size == 1:
            return flags
        found = torch.tensor(flags, dtype=torch.uint8)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return tuple(bool(flag) for flag in found.tolist())

    def gather_objects(self, value: Value) -> list[Value]:
        """The values of all processes, by rank; anything that can be pickled."""
        if self.world_size == 1:
            return [value]
        found: list[Value | None] = [None] * self.world_size
        dist.all_gather_object(found, value)
        return found  # type: ignore[return-value]

    def training_call(self, network: nn.Module) -> Callable[[Tensor], Tensor]:
        """What a training step calls for its logits; gradients are summed over processes, not averaged."""
        shared = DistributedDataParallel(network, gradient_as_bucket_view=True)
        shared.broadcast_buffers = False  # synchronized batch norm keeps them equal
        shared.register_comm_hook(None, _summed)
        return shared

    def leave(self) -> None:
        """Part from the others when all are here. After an error the process just ends instead."""
        if self.world_size > 1:
            self.any_rank(False)
            dist.destroy_process_group()


SINGLE_PROCESS = Group()


def join(job: WorkerJob, world: WorldInfo) -> Group:
    """Meet the other processes of a run, which torch's launcher has started beside this one.

    Raises:
        UserError: more processes than GPUs.
    """
    if world.world_size == 1:
        return SINGLE_PROCESS
    backend: Backend = "gloo"
    if job.device == "cuda":
        backend = "nccl"
        if world.rank >= torch.cuda.device_count():
            raise UserError(
                f"--gpus-per-run {world.world_size}: {torch.cuda.device_count()} GPUs are here; give at most "
                "as many, or --device cpu"
            )
        torch.cuda.set_device(world.rank)
    dist.init_process_group(
        "gloo" if backend == "gloo" else "cpu:gloo,cuda:nccl",
        timeout=timedelta(seconds=job.request.heartbeat_timeout_s),
    )
    return Group(rank=world.rank, world_size=world.world_size, backend=backend)


def _summed(state: object, bucket: dist.GradBucket) -> torch.futures.Future[torch.Tensor]:
    """What DistributedDataParallel does with a bucket of gradients, whose own way is the mean."""
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    return work.get_future().then(lambda done: done.value()[0])
