"""What surrounds a command: its output, its variables, its folder, and the code of networks that it runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.datasets.conftest import write_camvid
from tests.faults.processes import NETWORK, Place, harness, outcome, tiny
from tests.harness.commands import ROOT, assert_one_line
from tests.harness.commands import harness as forked

LEAVING = """
import os, sys, torch
{at_import}

class Leaving(torch.nn.Conv2d):
    def forward(self, images):
        {forward}
        return super().forward(images)

def leaving(num_classes):
    {building}
    return Leaving(3, num_classes, 1)
"""
WHERE = ("at_import", "building", "forward")
PLUGIN = ("--plugin", "leaving:leaving")


def plugin(folder: Path, where: str, does: str) -> None:
    """A network whose code does something at one of three moments."""
    code = {one: does if one == where else "pass" for one in WHERE}
    (folder / "leaving.py").write_text(LEAVING.format(**code))


def run() -> list[str]:
    """Arguments of a run of the plugin's network, and of one that is sound."""
    return [one if one != NETWORK else "leaving" for one in tiny(*PLUGIN, size="32x40")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "does"),
    [
        ("forward", "sys.exit(130)"),
        ("forward", "os._exit(0)"),
        ("forward", "raise KeyboardInterrupt"),
        ("building", "sys.exit(0)"),
    ],
)
def test_a_network_that_ends_its_process_in_a_run_is_a_failed_row(place: Place, where: str, does: str) -> None:
    plugin(place.folder, where, does)
    done = harness(*run(), cwd=place.folder)
    assert done.returncode == 1, done
    (record,) = place.records()
    assert record["status"] == "failed" and record["failure"]["kind"] == "error"


@pytest.mark.parametrize(
    ("command", "does"),
    [
        ("run", "sys.exit(0)"),
        ("check", "os._exit(0)"),
        ("list", "os._exit(0)"),
        ("measure", "os.execv('/bin/true', ['x'])"),
    ],
)
def test_a_network_that_ends_its_process_while_it_is_imported_is_one_line(
    command: str, does: str, tmp_path: Path
) -> None:
    plugin(tmp_path, "at_import", does)
    arguments = {"run": run(), "check": ["check", "leaving", *PLUGIN]}.get(command, [command, *PLUGIN])
    assert_one_line(forked(*arguments, cwd=tmp_path), "leaving", "SystemExit")


@pytest.mark.slow
@pytest.mark.parametrize(("where", "does"), [("building", "sys.exit(0)"), ("forward", "os._exit(0)")])
def test_check_does_not_pass_a_network_that_ends_the_process(where: str, does: str, tmp_path: Path) -> None:
    plugin(tmp_path, where, does)
    done = forked("check", "leaving", *PLUGIN, cwd=tmp_path)
    assert done.returncode == 1 and "FAILED" in done.stdout, done


def test_a_measured_network_that_ends_its_process_is_a_failure(tmp_path: Path) -> None:
    plugin(tmp_path, "forward", "os._exit(0)")
    arguments = ["measure", "leaving", *PLUGIN, "--size", "32x40", "--device", "cpu", "--threads", "1"]
    done = forked(*arguments, "--preset", "quick", "--phase", "inference-memory", cwd=tmp_path)
    assert done.returncode == 1 and "FAILED" in done.stdout, done


@pytest.mark.slow
def test_what_looks_like_markup_is_printed_and_kept_as_it_is(place: Place) -> None:
    """In a run and its record, when it is said again, and in a check."""
    text = "[/pytorch/third_party/gloo/pair.cc:534] Connection closed by peer [bold]x[/bold]"
    plugin(place.folder, "forward", f"raise RuntimeError({text!r})")
    for _ in range(2):
        done = harness(*run(), cwd=place.folder)
        assert done.returncode == 1 and text in done.said, done
    assert text in place.records()[0]["failure"]["message"]
    checked = forked("check", "leaving", *PLUGIN, cwd=place.folder)
    assert checked.returncode == 1 and "[/pytorch/" in checked.stdout
    assert "MarkupError" not in checked.stdout + checked.stderr


@pytest.mark.slow
def test_runs_go_on_when_the_reader_of_their_output_goes(place: Place, undisturbed: Place) -> None:
    command = [sys.executable, "-m", "harness", *tiny("--seeds", "0,1")]
    piped = ["bash", "-c", '"$@" 2>&1 | head -1; exit ${PIPESTATUS[0]}', "bash", *command]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(piped, cwd=place.folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done
    assert [record["status"] for record in place.records()] == ["finished"] * 2
    assert outcome(place) == outcome(undisturbed)


@pytest.mark.slow
def test_what_a_shell_sets_changes_no_record(place: Place, undisturbed: Place) -> None:
    """Variables of plotting, git and torchrun, a terminal of no width and few signs, packages of our names."""
    for name in ("datasets", "architectures"):
        (place.folder / name).mkdir()
        (place.folder / name / "__init__.py").write_text("raise RuntimeError('another package')\n")
    variables = {
        "MPLBACKEND": "module://nowhere",
        "GIT_DIR": "/nowhere",
        "GIT_WORK_TREE": str(place.folder),
        "RANK": "first",
        "WORLD_SIZE": "٢",
        "LOCAL_RANK": "-1",
        "MASTER_PORT": "garbage",
        "TORCHELASTIC_RUN_ID": "none",
        "TORCHELASTIC_ERROR_FILE": "/nowhere/error",
        "LOGLEVEL": "loud",
        "COLUMNS": "0",
        "TERMINAL_WIDTH": "wide",
        "PYTHONIOENCODING": "ascii",
        "LC_ALL": "C",
    }
    done = harness(*tiny(), cwd=place.folder, variables=variables)
    assert done.returncode == 0, done
    assert outcome(place) == outcome(undisturbed)
    (record,), (calm, *_) = place.records(), undisturbed.records()
    assert record["environment"] == calm["environment"]


@pytest.mark.parametrize(
    ("command", "code"),
    [("list", 0), ("run --all --dry-run", 0), ("data check camvid --data-root .", 1)],  # of no known edition
)
def test_commands_answer_in_a_terminal_of_no_width_and_few_signs(command: str, code: int, tmp_path: Path) -> None:
    write_camvid(tmp_path)
    variables = {"COLUMNS": "0", "LINES": "x", "PYTHONIOENCODING": "ascii", "WORLD_SIZE": "0", "GIT_DIR": "/nowhere"}
    done = harness(*command.split(), cwd=tmp_path, variables=variables)
    assert done.returncode == code and done.stdout, done


def test_home_in_options_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    write_camvid(home / "data", size=(48, 64))
    monkeypatch.setenv("HOME", str(home))
    named = forked("data", "check", "camvid", "--data-root", "~/data", cwd=tmp_path)
    weights = forked(*tiny("--encoder-weights", "~/none.pth"), cwd=tmp_path)
    assert_one_line(weights, "~/none.pth", "No such file")
    places = [f"--{name}=~/{name}" for name in ("results", "reports", "work")]
    done = forked("run", "segnet", "--suite", "camvid", *places, cwd=tmp_path)
    assert done.returncode == 2 and not (tmp_path / "~").exists()
    monkeypatch.setenv("SEGNET_DATA_ROOT", "~/data")
    by_variable = forked("data", "check", "camvid", cwd=tmp_path)
    assert str(home / "data" / "CamVid") in named.stdout == by_variable.stdout
