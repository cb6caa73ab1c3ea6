"""Several processes as torchrun starts them: real commands, real signals, one record."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.config.protocol import load_protocol
from harness.config.world import WorldInfo, check_sharing, launched_member
from harness.launchers.torchrun import follower_job
from harness.records.run import RunRecord, load_run
from harness.system.errors import UserError
from tests.harness.cli.test_cli import ROOT, tiny, with_cache
from tests.harness.helpers import spec, tiny_protocol

LAUNCHED = {
    "WORLD_SIZE": "4",
    "RANK": "3",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "first.example",
    "MASTER_PORT": "29500",
}


def member(rank: int = 0, processes: int = 2) -> WorldInfo:
    """One of several on this machine."""
    return WorldInfo(
        rank=rank,
        processes=processes,
        local_rank=rank,
        local_processes=processes,
        host="localhost",
        port=29500,
        hosted=True,
    )


# -- parts --------------------------------------------------------------------------------------------------


def test_a_member_is_known_by_the_variables_of_torchrun() -> None:
    found = launched_member(LAUNCHED)
    assert found is not None
    assert (found.rank, found.processes, found.local_rank, found.local_processes) == (3, 4, 1, 2)
    assert (found.host, found.port, found.hosted) == ("first.example", 29500, False)
    assert launched_member({**LAUNCHED, "TORCHELASTIC_USE_AGENT_STORE": "True"}).hosted  # type: ignore[union-attr]


@pytest.mark.parametrize("variables", [{}, {**LAUNCHED, "WORLD_SIZE": "1", "RANK": "0"}])
def test_a_process_by_itself_is_no_member(variables: dict[str, str]) -> None:
    assert launched_member(variables) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"RANK": "4"}, "RANK is 4"),
        ({"RANK": "first"}, "RANK is 'first'"),
        ({"MASTER_PORT": None}, "MASTER_PORT is not"),
        ({"MASTER_ADDR": None}, "MASTER_ADDR is not"),
        ({"RANK": None}, "RANK is not"),
    ],
)
def test_half_a_launch_is_said(changes: dict[str, str | None], says: str) -> None:
    variables = {name: text for name, text in {**LAUNCHED, **changes}.items() if text is not None}
    with pytest.raises(UserError, match=says):
        launched_member(variables)


def test_runs_that_processes_cannot_share_are_refused() -> None:
    check_sharing(None, [spec(compiled="default")])
    check_sharing(member(processes=2), [spec()])
    with pytest.raises(UserError, match=r"3 processes can't share .* batch of 2: start at most as many"):
        check_sharing(member(processes=3), [spec()])
    check_sharing(member(processes=2), [spec(protocol=tiny_protocol(loss="focal"))])
    with pytest.raises(UserError, match=r"loss dice: .* 2 processes can't split .* one of cross_entropy, focal$"):
        check_sharing(member(processes=2), [spec(protocol=tiny_protocol(loss="dice"))])
    with pytest.raises(UserError, match="compile 'default'"):
        check_sharing(member(), [spec(compiled="default")])


def test_processes_are_no_part_of_a_run_s_identity() -> None:
    """The identities of committed runs, which one process made, must stay what they are."""
    assert "member" not in spec().model_dump() and "processes" not in spec().model_dump()


def test_a_follower_leaves_budget_and_logs_to_rank_0(tmp_path: Path) -> None:
    from harness.config.worker_job import WorkerJob

    job = WorkerJob(
        spec=spec(protocol=tiny_protocol()),
        device="cpu",
        threads=4,
        results=tmp_path,
        work=tmp_path,
        data_root=None,
        weights=None,
        tensorboard=True,
        deadline_s=5.0,
        member=member().model_copy(update={"meeting": "here"}),
    )
    followed = follower_job(job, member(rank=1))
    assert job.is_main_process and not followed.is_main_process
    assert (followed.deadline_s, followed.tensorboard, followed.threads) == (None, False, 4)
    assert followed.member is not None and followed.member.meeting == "here"
    assert followed.member.rank == 1
    assert job.device_title.endswith(", 2 processes")


# -- whole commands -----------------------------------------------------------------------------------------


def torchrun(*arguments: str) -> list[str]:
    """A command in two processes of this machine."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    return [*launcher, "-m", "harness", *arguments]


def surroundings() -> dict[str, str]:
    return {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@contextmanager
def running(arguments: list[str], cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A command in the background, ended with all its children."""
    with subprocess.Popen(
        torchrun(*arguments),
        cwd=cwd,
        env=surroundings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            for child in workers_of(process.pid):
                os.kill(child, signal.SIGKILL)
            process.kill()


def children(pid: int) -> list[int]:
    """Child processes, by /proc."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def workers_of(pid: int) -> list[int]:
    """The processes of runs under a launcher, in the order of their ranks."""
    commands = children(pid)
    return [worker for command in commands for worker in children(command)]


def wait_for(condition: Callable[[], Any], limit_s: float = 240.0) -> Any:
    """What the condition gives once it is something."""
    until = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)
    return found


def records(cwd: Path) -> list[RunRecord]:
    """Of all runs in a folder's results."""
    folders = sorted((cwd / "results" / "runs").iterdir())
    return [load_run(folder).record for folder in folders if not folder.name.startswith(".")]


def heartbeats(cwd: Path, rank: int) -> list[Path]:
    return list((cwd / "work" / "runs").glob(f"*/heartbeat{f'-{rank}' if rank else ''}"))


@pytest.mark.slow
def test_one_command_in_two_processes_leaves_one_record_of_each_run(tmp_path: Path, drawn_cache: Path) -> None:
    """Two runs one after another, each with a meeting of its own; scores as one process has them."""
    shared = with_cache(tmp_path, drawn_cache)
    done = subprocess.run(
        torchrun(*tiny("segnet-basic", "bilinear-interpolation")),
        cwd=shared,
        env=surroundings(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = {record.spec.architecture: record for record in records(shared)}
    assert sorted(found) == ["bilinear-interpolation", "segnet-basic"]
    for record in found.values():
        assert record.status == "finished"
        assert record.distributed is not None
        assert record.distributed.world_sizes == (2,) and record.distributed.backend == "gloo"
        assert record.distributed.batch_norm == "synchronized"
        assert record.device.endswith(", 2 processes")
    assert done.stdout.count("iteration 3 of 3") == 2  # said once, not by both
    page = (shared / "reports" / "quick" / "README.md").read_text()
    assert ", 2 processes" in page
    again = subprocess.run(
        torchrun(*tiny("segnet-basic", "bilinear-interpolation")),
        cwd=shared,
        env=surroundings(),
        capture_output=True,
        text=True,
    )
    assert again.returncode == 0 and again.stdout.count("nothing to do") == 2


def terminated(arguments: list[str], cwd: Path) -> str:
    """What a command prints whose launcher is sent SIGTERM once a step of training was done."""
    since = time.time()
    with running(arguments, cwd) as process:
        steps = (cwd / "work" / "runs").glob
        wait_for(lambda: [one for one in steps("*/position.json") if one.stat().st_mtime > since])
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=90)
    return said


@pytest.mark.slow
def test_sigterm_to_the_launcher_stops_all_and_the_same_command_goes_on(tmp_path: Path, drawn_cache: Path) -> None:
    """Twice on the way, with dropout: the losses are those of a run that nothing disturbed."""
    arguments = [*tiny("segnet", iterations=40), "--override", "dropout=0.5"]
    for name in ("calm", "stopped"):
        (tmp_path / name).mkdir()
        with_cache(tmp_path / name, drawn_cache)
    for _ in range(2):
        assert "stopped at iteration" in terminated(arguments, tmp_path / "stopped")
        assert list((tmp_path / "stopped" / "work" / "runs").glob("*/checkpoint.pt"))
        assert not (tmp_path / "stopped" / "results" / "runs").exists()
    histories = []
    for name in ("stopped", "calm"):
        done = subprocess.run(
            torchrun(*arguments), cwd=tmp_path / name, env=surroundings(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        [record] = records(tmp_path / name)
        histories.append(json.loads((tmp_path / name / "results/runs" / record.run_id / "history.json").read_text()))
        assert record.timing is not None and record.timing.segments == (3 if name == "stopped" else 1)
    assert histories[0] == histories[1]
    scores = [np.load(next((tmp_path / name).glob("results/runs/*/scores.npz"))) for name in ("stopped", "calm")]
    assert scores[0].files == scores[1].files
    for name in scores[0].files:
        np.testing.assert_array_equal(scores[0][name], scores[1][name])


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_worker_is_the_run_s_reason_and_the_next_run_goes_on(
    rank: int, tmp_path: Path, drawn_cache: Path
) -> None:
    place = with_cache(tmp_path, drawn_cache)
    with running(tiny("segnet-basic", "bilinear-interpolation", iterations=9000), place) as process:
        first = wait_for(lambda: heartbeats(place, rank))[0].parent
        wait_for(lambda: len(workers_of(process.pid)) == 2)
        os.kill(workers_of(process.pid)[rank], signal.SIGKILL)
        second = wait_for(lambda: [b for b in heartbeats(place, 1) if b.parent != first])
        assert second[0].parent.name.startswith("bilinear")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=90)
    [record] = records(place)
    assert record.spec.architecture == "segnet-basic" and record.failure is not None
    assert record.failure.kind == "killed"
    assert "SIGKILL" in record.failure.message
    assert ("(rank 1)" in record.failure.message) == (rank == 1)


@pytest.mark.slow
@pytest.mark.alone
def test_a_budget_ends_all_in_time(tmp_path: Path, drawn_cache: Path) -> None:
    place = with_cache(tmp_path, drawn_cache)
    began = time.monotonic()
    with running([*tiny("segnet", iterations=4000), "--budget", "80s"], place) as process:
        said, _ = process.communicate(timeout=120)
    assert "the budget is used up at iteration" in said, said
    assert time.monotonic() - began < 85
    assert list((place / "work" / "runs").glob("*/checkpoint.pt"))


def test_more_processes_than_images_are_refused_in_one_line(tmp_path: Path) -> None:
    """Rank 0 by itself: it refuses before it looks for the others."""
    variables = {"WORLD_SIZE": "3", "RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "29643"}
    done = subprocess.run(
        [sys.executable, "-m", "harness", *tiny("segnet")],
        cwd=tmp_path,
        env={**surroundings(), **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert load_protocol("quick@1").batch_size == 2
    assert "error: 3 processes can't share protocol quick@1" in done.stderr
