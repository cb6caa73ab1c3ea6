"""Where the processes of a run find each other: a store of short texts that all of them reach.

job                    what is to be carried out now; empty: nothing more
<meeting>/here/<rank>  that process is ready for the run
<meeting>/failure      why the run can't go on, by the first process that knows

Rank 0's worker announces a job when it holds the run's lock, and those who follow then start a worker of
their own. Each run has a meeting of its own, so that nothing of one that failed reaches the next.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import NoReturn
from uuid import uuid4

import torch.distributed as dist

from harness.config.worker_job import WorkerJob
from harness.config.world import WorldInfo
from harness.records.run import Failure
from harness.system.errors import UserError
from harness.system.signals import Interrupted

LOOK_S = 0.1  # between looks at the store
STORE_S = 300.0  # for the store to answer
TELL_S = 10.0  # for another process to say why it ended, once its connection is lost


class LostProcess(Exception):
    """Another process of the run has failed, and said why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def open_store(member: WorldInfo, serve: bool = False) -> dist.Store:
    """The store of this launch.

    Args:
        member: knows where it is.
        serve: keep it, for as long as the returned object lives.
    """
    store = dist.TCPStore(
        member.host,
        member.port,
        is_master=serve,
        timeout=timedelta(seconds=STORE_S),
        wait_for_workers=False,
    )
    return dist.PrefixStore(f"segnet-harness/{member.launch}", store)


def call_together(store: dist.Store, job: WorkerJob, stop: Callable[[], bool]) -> str:
    """Announce rank 0's job and wait until all others are there; the name of their meeting.

    Args:
        store: of the launch.
        job: with rank 0's member.
        stop: looked at while waiting, which makes it a sign of life.

    Raises:
        Interrupted: a stop was asked for.
        LostProcess, UserError: another process can't take part.
    """
    assert job.member is not None
    meeting = uuid4().hex
    member = job.member.model_copy(update={"meeting": meeting})
    store.set("job", job.model_copy(update={"member": member}).model_dump_json())
    others = [_here(meeting, rank) for rank in range(1, member.processes)]
    while not store.check(others):
        _heed(store, meeting, stop)
        time.sleep(LOOK_S)
    return meeting


def come(store: dist.Store, member: WorldInfo) -> str:
    """Say that this process, which follows, is ready; the name of the meeting."""
    assert member.meeting is not None
    store.set(_here(member.meeting, member.rank), "1")
    return member.meeting


def watch_over(connect: Callable[[], object], store: dist.Store, meeting: str, stop: Callable[[], bool]) -> None:
    """Let this process connect with the others, and give up where one of them will never come.

    Who connects hears nothing meanwhile, and waits for one that was killed as long as for one that is slow:
    that is done in a thread, which a process that gives up leaves behind.

    Args:
        connect: what waits for the others.
        store: of the launch, by a connection of its own: the other one is taken while it waits.
        meeting: of the run.
        stop: looked at while waiting, which makes it a sign of life.

    Raises:
        Interrupted: a stop was asked for.
        LostProcess, UserError: another process failed, or rank 0 has ended the run.
    """
    raised: list[BaseException] = []

    def connected() -> None:
        try:
            connect()
        except BaseException as error:  # whatever it is: raised below, where it is waited for
            raised.append(error)

    waiting = threading.Thread(target=connected, daemon=True)
    waiting.start()
    while waiting.is_alive():
        waiting.join(LOOK_S)
        _heed(store, meeting, stop)
        if waiting.is_alive() and meeting not in store.get("job").decode():
            raise LostProcess(Failure(kind="killed", message="rank 0 has ended the run"))
    if raised:
        raise raised[0]


def next_job(store: dist.Store, last: bytes | None) -> bytes:
    """The next job that rank 0 announces, as JSON; empty when there is no more. Waits for it.

    Args:
        store: of the launch.
        last: what this returned before; none at first.
    """
    while True:
        if store.check(["job"]):
            job: bytes = store.get("job")
            if job != last:
                return job
        time.sleep(LOOK_S)


def tell(member: WorldInfo, failure: Failure) -> None:
    """Let rank 0 know why this process can't go on, unless another was first."""
    said = failure.model_copy(update={"message": f"{failure.message} (rank {member.rank})"})
    with suppress(dist.DistError):  # no store is left: then neither is anybody to tell
        open_store(member).compare_set(f"{member.meeting}/failure", "", said.model_dump_json())


def told(store: dist.Store, meeting: str, wait_s: float = 0.0) -> Failure | None:
    """What `tell` said about this meeting, if anything is said within `wait_s`."""
    key, until_s = f"{meeting}/failure", time.monotonic() + wait_s
    while not store.check([key]):
        if time.monotonic() >= until_s:
            return None
        time.sleep(LOOK_S)
    return Failure.model_validate_json(store.get(key))


def raise_told(failure: Failure) -> NoReturn:
    """Raise what another process failed of.

    Raises:
        UserError: its data or settings; LostProcess: anything else.
    """
    if failure.kind == "data":
        raise UserError(failure.message)
    raise LostProcess(failure)


def _heed(store: dist.Store, meeting: str, stop: Callable[[], bool]) -> None:
    """Raise what ends a wait for the others: a stop that was asked for, or another process's failure."""
    if stop():
        raise Interrupted
    if (failure := told(store, meeting)) is not None:
        raise_told(failure)


def _here(meeting: str, rank: int) -> str:
    return f"{meeting}/here/{rank}"
