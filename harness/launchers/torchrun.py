"""Runs under `torchrun`: rank 0's command leads, and those of the other ranks follow.

The leading command does all that it does alone. Those that follow plan nothing: they wait for the jobs that
rank 0's worker announces and start a worker of their own for each.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch.distributed as dist

from harness.config.worker_job import WorkerJob
from harness.config.world import WorldInfo
from harness.launchers.supervisor import run_worker
from harness.training.rendezvous import next_job, open_store


@contextmanager
def leading(member: WorldInfo) -> Iterator[None]:
    """Rank 0's command: those who follow are let go when the block is left, however it is."""
    _end_as_by_ctrl_c()
    store = open_store(member, serve=not member.hosted)
    try:
        yield
    finally:
        with suppress(dist.DistError):  # torchrun and its store are gone: so are they
            store.set("job", "")


def follow(member: WorldInfo) -> int:
    """Another rank's command: take part in what rank 0 announces until there is no more.

    Always 0: rank 0's exit code is that of the command, and torchrun ends all processes on another code.
    """
    _end_as_by_ctrl_c()
    announced: bytes | None = None
    with suppress(dist.DistError):  # the store goes with rank 0's command
        store = open_store(member)
        while announced := next_job(store, announced):
            run_worker(follower_job(WorkerJob.model_validate_json(announced), member))
    return 0


def follower_job(job: WorkerJob, member: WorldInfo) -> WorkerJob:
    """Rank 0's job as another rank carries it out.

    Rank 0 alone looks at the budget, since clocks of two machines have nothing in common.
    """
    assert job.member is not None
    own = member.model_copy(update={"meeting": job.member.meeting})
    threads = max(1, job.threads * job.member.local_processes // own.local_processes)
    update = {"member": own, "deadline_s": None, "tensorboard": False, "threads": threads}
    return job.model_copy(update=update)


def _end_as_by_ctrl_c() -> None:
    """torchrun ends a rank by SIGTERM to its process group, the worker's too: wait for that one to save."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
