"""What a cluster is to the launcher: machines by their count of cores and cards, and jobs that suit them."""

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.config.run_spec import RunSpec
from harness.config.worker_job import WorkerJob
from harness.launchers.run import RunContext
from harness.launchers.scheduling import job_of
from harness.system.environment import Device
from harness.system.errors import UserError
from harness.system.locks import run_lock

CONNECT_S = 10.0  # for a cluster to answer


@dataclass(frozen=True, kw_only=True)
class Node:
    """A machine of the cluster, what it has by the cluster's count, and its device as results name it."""

    id: str
    name: str
    cpus: float
    gpus: float
    device_slug: str = ""


def threads_of_a_run(machines: Sequence[Node], device: Device, wanted: int) -> int:
    """Threads that a run takes of a machine's count: those wanted, on a GPU at most the share of each card.

    Raises:
        UserError: no machine has so many.
    """
    if device == "cuda":
        wanted = min(wanted, *(max(1, int(node.cpus // node.gpus)) for node in machines))
    most = max(int(node.cpus) for node in machines)
    if most < wanted:
        raise UserError(f"--threads {wanted}: no machine of the cluster has so many; the most is {most}")
    return wanted


def portable_job(spec: RunSpec, context: RunContext, threads: int) -> WorkerJob:
    """A job with paths that hold on every machine; its deadline, by this one's clock, is left out."""
    job = job_of(spec, context)
    return job.model_copy(
        update={
            "threads": threads,
            "data_root": None if context.data_root is None else os.path.abspath(context.data_root),
            "weights": None if job.weights is None else job.weights.resolve(),
            "deadline_s": None,
        }
    )


def budget_end_s(context: RunContext) -> float | None:
    """End of the budget by time.time(), which clocks of a cluster agree on; none without one."""
    if context.deadline_s is None:
        return None
    return time.time() + context.deadline_s - time.monotonic()


def worked_on(job: WorkerJob) -> bool:
    """Whether a process somewhere holds the run."""
    with run_lock(job.results, job.spec.run_id) as own:
        return not own


def until(true: Callable[[], bool], heartbeat_timeout_s: float, look_s: float = 0.5) -> bool:
    """Wait until something is so; false if it is not by then."""
    until_s = time.monotonic() + heartbeat_timeout_s
    while not true():
        if time.monotonic() > until_s:
            return False
        time.sleep(look_s)
    return True


def check_reachable(address: str) -> None:
    """Refuse an address such as 10.0.0.1:6379 where nothing listens: Ray itself tries for minutes.

    Raises:
        UserError: nothing answers there.
    """
    host, mark, port = address.rpartition(":")
    if "://" in address or not mark or not port.isdigit():
        return  # one of Ray's own words, such as auto
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError(
            f"--ray-address {address}: no Ray cluster answers there ({reason}); `ray start --head` makes one "
            "and says its address"
        ) from error
