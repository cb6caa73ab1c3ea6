"""Runs that several processes share, from the command line to the record: `--gpus-per-run` on a CPU."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from harness.config.world import WorldInfo, check_sharing
from harness.records.run import RunRecord, load_run
from harness.system.errors import UserError
from tests.conftest import MakeOnce
from tests.faults.processes import Harness, harness
from tests.harness.commands import ROOT, tiny, with_cache
from tests.harness.helpers import spec, tiny_protocol
from tests.harness.launchers.runs import job

TWO = ("--gpus-per-run", "2", "--device", "cpu", "--no-measure")


def test_torch_s_launcher_says_which_process_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert WorldInfo.here(2) == WorldInfo(rank=1, world_size=2) and not WorldInfo.here(2).is_main_process
    assert WorldInfo.here(1) == WorldInfo() and WorldInfo().is_main_process


def test_runs_that_processes_cannot_share_are_refused() -> None:
    check_sharing(1, [spec(compiled="default")])
    check_sharing(2, [spec()])
    with pytest.raises(UserError, match=r"--gpus-per-run 3: .* batches of 2 images; give at most --gpus-per-run 2"):
        check_sharing(3, [spec()])
    check_sharing(2, [spec(protocol=tiny_protocol(loss="focal"))])
    with pytest.raises(UserError, match=r"loss dice: .* 2 processes can't split .* one of cross_entropy, focal$"):
        check_sharing(2, [spec(protocol=tiny_protocol(loss="dice"))])
    with pytest.raises(UserError, match="compile 'default'"):
        check_sharing(2, [spec(compiled="default")])


def test_processes_are_no_part_of_a_run_s_identity(tmp_path: Path) -> None:
    """The identities of committed runs, which one process made, must stay what they are."""
    two = job(tmp_path, {"gpus_per_run": 2, "threads": 4})
    assert two.spec.run_id == job(tmp_path).spec.run_id
    assert (two.world_size, two.threads) == (2, 2)
    assert two.device_title.endswith(", 2 processes")
    assert job(tmp_path, {"gpus_per_run": 2}, postprocess="dense-crf@1").world_size == 1


def records(cwd: Path) -> dict[str, RunRecord]:
    """Of all runs in a folder's results, by architecture."""
    found = [load_run(path.parent).record for path in cwd.glob("results/runs/[!.]*/record.json")]
    return {record.spec.architecture: record for record in found}


def workers(running: Harness) -> list[int]:
    """The processes of a run, by rank; torch's launcher, which starts them, is a child of the command."""
    started = [child for launcher in psutil.Process(running.pid).children() for child in launcher.children()]
    ranks = {child.environ()["RANK"]: child.pid for child in started if "harness.launchers.worker" in child.cmdline()}
    return [ranks[rank] for rank in sorted(ranks)]


@pytest.mark.slow
def test_one_command_leaves_one_record_of_each_run(tmp_path: Path, drawn_cache: Path) -> None:
    place = with_cache(tmp_path, drawn_cache)
    done = harness(*tiny("segnet-basic", "bilinear-interpolation"), *TWO, cwd=place)
    assert done.returncode == 0, done
    found = records(place)
    assert sorted(found) == ["bilinear-interpolation", "segnet-basic"]
    for record in found.values():
        assert record.status == "finished" and record.distributed is not None
        assert record.distributed.world_sizes == (2,) and record.distributed.backend == "gloo"
        assert record.distributed.batch_norm == "synchronized"
        assert record.device.endswith(", 2 processes")
    assert done.stdout.count("iteration 3 of 3") == 2  # said once, not by both
    again = harness(*tiny("segnet-basic", "bilinear-interpolation"), *TWO, cwd=place)
    assert again.returncode == 0 and again.stdout.count("nothing to do") == 2


STOPPED = [*tiny("segnet-basic", iterations=60), *TWO]


def trained(place: Path) -> None:
    done = harness(*STOPPED, cwd=place)
    assert done.returncode == 0, done


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_stopped_and_gone_on_with_is_the_undisturbed_run(
    number: signal.Signals, made_once: MakeOnce, tmp_path: Path, drawn_cache: Path
) -> None:
    """A command that is killed stops its processes too: they save and end."""
    calm = made_once("run-of-two-processes", lambda folder: trained(with_cache(folder, drawn_cache)))
    place = with_cache(tmp_path, drawn_cache)
    with Harness(*STOPPED, cwd=place) as running:
        running.wait_for(lambda: list(place.glob("work/runs/*/position.json")))
        children = workers(running)
        os.kill(running.pid, number)
        code = running.done().returncode
        until = time.monotonic() + 60.0
        while any(Path(f"/proc/{pid}").exists() for pid in children):
            assert time.monotonic() < until, "they go on"
            time.sleep(0.1)
    assert code == (130 if number == signal.SIGTERM else -number)
    assert list(place.glob("work/runs/*/checkpoint.pt")) and not (place / "results" / "runs").exists()
    trained(place)
    histories, scores = [], []
    for folder, segments in ((place, 2), (calm, 1)):
        (record,) = records(folder).values()
        assert record.timing is not None and record.timing.segments == segments
        kept = folder / "results" / "runs" / record.run_id
        histories.append(json.loads((kept / "history.json").read_text()))
        scores.append(np.load(kept / "scores.npz"))
    assert histories[0] == histories[1]
    for name in scores[0].files:
        np.testing.assert_array_equal(scores[0][name], scores[1][name])


@pytest.mark.slow
def test_a_killed_process_is_the_run_s_reason_and_the_next_run_goes_on(tmp_path: Path, drawn_cache: Path) -> None:
    place = with_cache(tmp_path, drawn_cache)
    with Harness(*tiny("segnet-basic", "bilinear-interpolation", iterations=9000), *TWO, cwd=place) as running:
        running.wait_for(lambda: list(place.glob("work/runs/segnet*/position.json")))
        os.kill(workers(running)[1], signal.SIGKILL)
        running.wait_for(lambda: list(place.glob("work/runs/bilinear*/position.json")))
        os.kill(running.pid, signal.SIGTERM)
        assert running.done().returncode == 130
    (record,) = records(place).values()
    assert record.spec.architecture == "segnet-basic" and record.failure is not None
    assert record.failure.kind == "killed" and "SIGKILL" in record.failure.message
    assert "(rank 1)" in record.failure.message


@pytest.mark.slow
def test_a_network_that_ends_its_process_is_a_row(tmp_path: Path, drawn_cache: Path) -> None:
    """Whatever the exit code, in one process of two."""
    place = with_cache(tmp_path, drawn_cache)
    (place / "leaving.py").write_text(
        "import os, sys, torch\n"
        "class Leaving(torch.nn.Conv2d):\n"
        "    def forward(self, images):\n"
        "        if os.environ.get('RANK') == '1':\n"
        "            sys.exit(0)\n"
        "        return super().forward(images)\n"
        "def leaving(num_classes):\n"
        "    return Leaving(3, num_classes, 1)\n"
    )
    done = harness(*tiny("leaving"), "--plugin", "leaving:leaving", *TWO, cwd=place)
    assert done.returncode == 1, done
    (record,) = records(place).values()
    assert record.failure is not None
    assert record.failure.message == "SystemExit: the code of the network called sys.exit(0) (rank 1)"


def test_what_torchrun_started_is_refused(tmp_path: Path) -> None:
    """By its variables and the parent's command line; leftover variables alone are nobody's launcher."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2"}
    command = [sys.executable, "-m", "harness", "list"]
    script = f"import subprocess, sys; sys.exit(subprocess.run({command!r}).returncode)"
    how: dict[str, Any] = {"env": variables, "cwd": tmp_path, "capture_output": True, "text": True}
    launched = subprocess.run([sys.executable, "-c", script, "torchrun"], **how)
    assert launched.returncode == 2 and launched.stderr.count("\n") == 1
    assert "--gpus-per-run N" in launched.stderr
    assert subprocess.run([sys.executable, "-c", script], **how).returncode == 0
