import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import architectures
from harness.errors import UserError
from harness.measure import load_measurements, measure_in_process, process
from harness.measure.process import Ending, error_line, failure_of, oom_kills, run_worker
from harness.measure.record import MeasureSpec, measurement_path

ROOT = Path(process.__file__).resolve().parents[2]


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def test_phases_are_passed_on_and_the_ending_is_told() -> None:
    script = "import sys; print('phase: one'); print('chatter'); print('phase: two'); sys.exit('why')"
    phases: list[str] = []
    ending = run_worker(python(script), phases.append)
    assert phases == ["one", "two"]
    assert (ending.code, ending.phase, ending.error) == (1, "two", "why")


def test_a_killed_worker_is_recognised() -> None:
    script = "import os, signal; print('phase: training', flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    ending = run_worker(python(script), lambda phase: None)
    assert ending.code == -signal.SIGKILL
    failure = failure_of(ending)
    assert (failure.kind, failure.phase) == ("error", "training")
    assert failure.message == "the process was ended by SIGKILL in training"


def test_a_kill_that_the_kernel_counted_is_out_of_memory() -> None:
    failure = failure_of(Ending(code=-9, phase="training memory at batch 4", error="", oom_kills=1))
    assert failure.kind == "oom"
    assert failure.message.startswith("OOM in training memory at batch 4")


def test_a_counted_kill_does_not_explain_another_signal() -> None:
    assert failure_of(Ending(code=-11, phase="x", error="", oom_kills=1)).message.endswith("SIGSEGV in x")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory.", "oom", "torch.OutOfMemoryError: CUDA out of memory."),
        ("ValueError: bad", "error", "ValueError: bad"),
        ("", "error", "the process ended with exit code 1"),
    ],
)
def test_an_exit_code_is_explained_by_what_was_said(error: str, kind: str, message: str) -> None:
    failure = failure_of(Ending(code=1, phase="x", error=error, oom_kills=0))
    assert (failure.kind, failure.message) == (kind, message)


def test_the_line_of_an_error() -> None:
    script = (
        "try:\n  1/0\nexcept ZeroDivisionError as e:\n  raise RuntimeError('first line\\nsecond line') from e"
    )
    done = subprocess.run(python(script), capture_output=True, text=True, check=False)
    assert error_line(f"a warning\n{done.stderr}") == "RuntimeError: first line"
    assert error_line("one\ntwo\n") == "two"
    assert error_line("") == ""


def test_much_output_does_not_block() -> None:
    script = "import sys\nfor n in range(20000):\n  print('x' * 50); print('y' * 50, file=sys.stderr)"
    assert run_worker(python(script), lambda phase: None).code == 0


def test_oom_kills_of_this_machine_are_a_count() -> None:
    assert oom_kills() >= 0


@pytest.mark.parametrize("heeds", [True, False])
def test_ctrl_c_to_the_parent_alone_ends_both(tmp_path: Path, heeds: bool) -> None:
    mark = tmp_path / "child"
    ignore = "" if heeds else "signal.signal(signal.SIGINT, signal.SIG_IGN); "
    child = (
        f"import os, pathlib, signal, time; {ignore}"
        f"pathlib.Path({str(mark)!r}).write_text(str(os.getpid())); time.sleep(60)"
    )
    parent = (
        "import sys; from harness.measure import process; process._PATIENCE_S = 0.5\n"
        f"process.run_worker([sys.executable, '-c', {child!r}], print)"
    )
    running = subprocess.Popen(python(parent), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not (mark.exists() and mark.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert "KeyboardInterrupt" in said
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


def make_spec(**changes: object) -> MeasureSpec:
    values = {
        "architecture": "segnet",
        "architecture_revision": architectures.info("segnet").revision,
        "size": (32, 32),
        "device": "cpu",
        "effort": "cpu",
        "threads": 1,
    }
    return MeasureSpec.model_validate({**values, **changes})


@pytest.mark.slow
def test_a_measurement_in_a_process_of_its_own(tmp_path: Path) -> None:
    spec = make_spec()
    phases: list[str] = []
    record = measure_in_process(spec, tmp_path, phases.append)
    assert record.status == "finished"
    assert len(phases) == 7
    assert measurement_path(tmp_path, spec).exists()
    assert load_measurements(tmp_path) == ([record], [])
    assert measurement_path(tmp_path, spec).stat().st_size < 150_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [({"architecture": "segmet"}, "did you mean 'segnet'"), ({"architecture_revision": 99}, "revision 99")],
)
def test_bad_input_is_one_line_and_leaves_no_record(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        measure_in_process(make_spec(**changes), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_worker_killed_on_its_way_leaves_a_failed_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    started = subprocess.Popen

    class Watched(started):  # type: ignore[misc,valid-type]
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)
            killed.append(self.pid)

    def kill(phase: str) -> None:
        if phase.startswith("forward time"):
            os.kill(killed[-1], signal.SIGKILL)

    monkeypatch.setattr(subprocess, "Popen", Watched)
    record = measure_in_process(make_spec(), tmp_path, kill)
    assert record.status == "failed"
    assert record.failure is not None
    assert record.failure.message == "the process was ended by SIGKILL in forward time at batch 1"
    assert record.forward is None
    assert record.training_memory.live_peak_bytes.value is not None
    assert load_measurements(tmp_path) == ([record], [])


def test_a_worker_killed_at_once_leaves_a_record_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ending = Ending(code=-signal.SIGKILL, phase="start", error="", oom_kills=0)
    monkeypatch.setattr(process, "run_worker", lambda command, on_phase: ending)
    record = measure_in_process(make_spec(), tmp_path)
    assert (
        record.failure is not None and record.failure.message == "the process was ended by SIGKILL in start"
    )
    assert record.parameters.reason == "the measurement ended before"
    assert load_measurements(tmp_path) == ([record], [])


@pytest.mark.parametrize("code", [130, -signal.SIGINT])
def test_a_stopped_worker_stops_the_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    ending = Ending(code=code, phase="start", error="", oom_kills=0)
    monkeypatch.setattr(process, "run_worker", lambda command, on_phase: ending)
    with pytest.raises(KeyboardInterrupt):
        measure_in_process(make_spec(), tmp_path)
    assert list(tmp_path.iterdir()) == []
