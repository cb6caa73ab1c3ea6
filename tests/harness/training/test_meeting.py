"""How processes of a run find each other, and what they learn of one that fails."""

import json
import socket
import threading
import time
from pathlib import Path

import pytest
import torch.distributed as dist

from harness.config.worker_job import WorkerJob
from harness.config.world import WorldInfo
from harness.records.run import Failure
from harness.system.errors import UserError
from harness.system.signals import Interrupted
from harness.training.rendezvous import (
    LostProcess,
    call_together,
    come,
    next_job,
    open_store,
    tell,
    told,
    watch_over,
)
from tests.harness.helpers import spec


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def leader() -> tuple[WorldInfo, dist.Store]:
    """Rank 0 of three, and the store that it keeps."""
    first = WorldInfo(
        rank=0, processes=3, local_rank=0, local_processes=3, host="localhost", port=free_port(), hosted=False
    )
    return first, open_store(first, serve=True)


def follower(leader: WorldInfo, rank: int, meeting: str) -> WorldInfo:
    return leader.model_copy(update={"rank": rank, "local_rank": rank, "meeting": meeting})


def job(member: WorldInfo, folder: Path) -> WorkerJob:
    return WorkerJob(
        spec=spec(),
        device="cpu",
        threads=1,
        results=folder,
        work=folder,
        data_root=None,
        weights=None,
        member=member,
    )


def announced_meeting(store: dist.Store, last: bytes) -> tuple[bytes, str]:
    announced = next_job(store, last)
    meeting: str = json.loads(announced)["member"]["meeting"]
    return announced, meeting


def test_all_meet_under_a_name_of_this_run_alone(leader: tuple[WorldInfo, dist.Store], tmp_path: Path) -> None:
    first, store = leader
    names, looks, last = [], [0], b""

    def look() -> bool:
        looks[0] += 1
        return False

    for _ in range(2):
        caller = threading.Thread(target=lambda: names.append(call_together(store, job(first, tmp_path), look)))
        caller.start()
        for rank in (1, 2):
            own = open_store(first)
            last, meeting = announced_meeting(own, last if rank == 1 else b"")
            assert WorkerJob.model_validate_json(last).spec == spec()
            assert come(own, follower(first, rank, meeting)) == meeting
        caller.join(10.0)
    assert len(set(names)) == 2
    assert looks[0] > 0  # a sign of life while it waited
    store.set("job", "")
    assert next_job(open_store(first), last) == b""


def test_those_who_come_when_nothing_was_to_be_done_are_let_go(leader: tuple[WorldInfo, dist.Store]) -> None:
    first, store = leader
    store.set("job", "")  # before any job
    assert next_job(open_store(first), None) == b""


@pytest.mark.parametrize(
    ("kind", "raised", "says"),
    [
        ("killed", LostProcess, r"ended by SIGKILL \(rank 2\)"),
        ("data", UserError, r"ended by SIGKILL \(rank 2\)"),
    ],
)
def test_one_that_cannot_come_is_heard_of(
    kind: str, raised: type[Exception], says: str, leader: tuple[WorldInfo, dist.Store], tmp_path: Path
) -> None:
    first, store = leader
    failure = Failure.model_validate({"kind": kind, "message": "ended by SIGKILL"})

    def fail() -> None:
        _, meeting = announced_meeting(open_store(first), before)
        tell(follower(first, 2, meeting), failure)
        tell(follower(first, 1, meeting), Failure(kind="error", message="lost touch"))  # too late to count

    before = store.get("job") if store.check(["job"]) else b""
    other = threading.Thread(target=fail)
    other.start()
    with pytest.raises(raised, match=says):
        call_together(store, job(first, tmp_path), lambda: False)
    other.join(10.0)


def test_a_stop_while_waiting_is_a_stop(leader: tuple[WorldInfo, dist.Store], tmp_path: Path) -> None:
    first, store = leader
    with pytest.raises(Interrupted):
        call_together(store, job(first, tmp_path), lambda: True)


@pytest.mark.parametrize("way", ["a failure", "another job", "nothing more", "a stop"])
def test_one_that_connects_does_not_wait_for_who_never_comes(
    way: str, leader: tuple[WorldInfo, dist.Store], tmp_path: Path
) -> None:
    first, store = leader
    asked, never, due = threading.Event(), threading.Event(), threading.Event()
    member = follower(first, 1, f"meeting before {way}")
    store.set("job", job(member, tmp_path).model_dump_json())

    def happen() -> None:
        due.set()
        if way == "a failure":
            tell(follower(first, 2, str(member.meeting)), Failure(kind="killed", message="ended by SIGKILL"))
        elif way == "a stop":
            asked.set()
        else:
            another = job(follower(first, 1, "a later one"), tmp_path).model_dump_json()
            store.set("job", another if way == "another job" else "")

    later = threading.Timer(0.3, happen)
    later.start()
    with pytest.raises(Interrupted if way == "a stop" else LostProcess) as raised:
        watch_over(never.wait, open_store(first), str(member.meeting), asked.is_set)
    assert due.is_set()  # not before
    if way == "a failure":
        assert "ended by SIGKILL (rank 2)" in str(raised.value)
    never.set()


def test_what_connecting_fails_of_is_raised(leader: tuple[WorldInfo, dist.Store], tmp_path: Path) -> None:
    first, store = leader
    store.set("job", job(follower(first, 1, "that one"), tmp_path).model_dump_json())
    watch_over(lambda: None, open_store(first), "that one", lambda: False)

    def fail() -> None:
        raise RuntimeError("no route")

    with pytest.raises(RuntimeError, match="no route"):
        watch_over(fail, open_store(first), "that one", lambda: False)


def test_last_words_are_waited_for_a_little(leader: tuple[WorldInfo, dist.Store]) -> None:
    first, store = leader
    began = time.monotonic()
    assert told(store, "nobody", 0.3) is None
    assert time.monotonic() - began >= 0.3
    tell(follower(first, 1, "somebody"), Failure(kind="oom", message="OOM at batch 5"))
    found = told(store, "somebody", 5.0)
    assert found == Failure(kind="oom", message="OOM at batch 5 (rank 1)")
