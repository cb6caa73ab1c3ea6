import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import architectures
from harness.profiling import process
from harness.profiling.process import MeasurementWorker, Worker, failure_of
from harness.profiling.work import FINALIZE, PREPARE, ROUND, Task
from harness.system.errors import UserError
from harness.system.supervisor import ChildEnding, error_line
from tests.harness.profiling.test_record import make_spec

ROOT = Path(process.__file__).resolve().parents[2]


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


ANSWERING = """
import sys
print('phase: one', flush=True); print('chatter'); print('ready', flush=True)
for line in sys.stdin:
    if line.strip() == 'end':
        break
    print(f'phase: {line.strip()}'); print('done', flush=True)
"""


def test_steps_are_taken_when_asked_for_and_phases_passed_on() -> None:
    phases: list[str] = []
    with Worker(python(ANSWERING), phases.append) as worker:
        assert worker.ready()
        assert phases == ["one"]
        assert worker.step("round") and worker.step("again")
        ending = worker.end()
    assert phases == ["one", "round", "again"]
    assert (ending.code, worker.phase, worker.error) == (0, "again", "")


def test_a_worker_that_ends_early_says_why() -> None:
    script = "import sys; print('phase: one'); print('phase: two'); sys.exit('why')"
    with Worker(python(script)) as worker:
        assert not worker.ready()
        assert not worker.step("round")
        ending = worker.end()
    assert (ending.code, worker.phase, worker.error) == (1, "two", "why")


def test_an_exit_with_0_before_all_was_done_is_known() -> None:
    """As by the code of a network that calls os._exit(0)."""
    with Worker(python("print('ready', flush=True); input()")) as worker:
        assert worker.ready() and not worker.ended_early
        assert not worker.step("round")
        assert worker.ended_early and worker.end().code == 0


def test_a_killed_worker_is_recognized() -> None:
    script = "import os, signal; print('phase: training', flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    with Worker(python(script)) as worker:
        worker.ready()
        ending = worker.end()
    assert ending.code == -signal.SIGKILL
    failure = failure_of(ending, worker.phase, worker.error)
    assert (failure.kind, failure.message) == ("error", "the process was ended by SIGKILL (training)")


def test_a_worker_that_is_left_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_HEARTBEAT_TIMEOUT_S", 0.2)
    deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN)"
    script = f"{deaf}; print('ready', flush=True); time.sleep(60)"
    with pytest.raises(KeyError), Worker(python(script)) as worker:
        assert worker.ready()
        raise KeyError
    assert worker._process.returncode == -signal.SIGKILL


def test_a_kill_that_the_kernel_counted_is_out_of_memory() -> None:
    failure = failure_of(ChildEnding(code=-9, oom_killed=True), "training memory at batch 4", "")
    assert failure.kind == "oom"
    assert failure.message.startswith("OOM (training memory at batch 4)")


def test_a_counted_kill_does_not_explain_another_signal() -> None:
    assert failure_of(ChildEnding(code=-11, oom_killed=True), "x", "").message.endswith("SIGSEGV (x)")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory.", "oom", "torch.OutOfMemoryError: CUDA out of memory."),
        ("ValueError: bad", "error", "ValueError: bad"),
        ("", "error", "the process ended with exit code 1"),
    ],
)
def test_an_exit_code_is_explained_by_what_was_said(error: str, kind: str, message: str) -> None:
    failure = failure_of(ChildEnding(code=1, oom_killed=False), "x", error)
    assert (failure.kind, failure.message) == (kind, message)


def test_the_line_of_an_error() -> None:
    script = "try:\n  1/0\nexcept ZeroDivisionError as e:\n  raise RuntimeError('first line\\nsecond line') from e"
    done = subprocess.run(python(script), capture_output=True, text=True, check=False)
    assert error_line(f"a warning\n{done.stderr}") == "RuntimeError: first line"
    assert error_line("one\ntwo\n") == "two"
    assert error_line("") == ""


def test_much_output_does_not_block() -> None:
    script = "import sys\nfor n in range(20000):\n  print('x' * 50); print('y' * 50, file=sys.stderr)"
    with Worker(python(script)) as worker:
        assert worker.end().code == 0


@pytest.mark.parametrize("heeds", [True, False])
def test_ctrl_c_to_the_parent_alone_ends_both(tmp_path: Path, heeds: bool) -> None:
    mark = tmp_path / "child"
    ignore = "" if heeds else "signal.signal(signal.SIGINT, signal.SIG_IGN); "
    child = (
        f"import os, pathlib, signal, time; {ignore}"
        f"pathlib.Path({str(mark)!r}).write_text(str(os.getpid())); time.sleep(60)"
    )
    parent = (
        "import sys; from harness.profiling import process; process._HEARTBEAT_TIMEOUT_S = 0.5\n"
        f"with process.Worker([sys.executable, '-c', {child!r}]) as worker: worker.ready()"
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


def make_task(phase: str, batch: int, **changes: object) -> Task:
    name = "bilinear-interpolation"
    values = {"architecture": name, "architecture_revision": architectures.info(name).revision, "size": (32, 32)}
    spec = make_spec(**{**values, "preset": "quick", "threads": 1, **changes})
    return Task.model_validate({"spec": spec, "key": {"phase": phase, "batch_size": batch}})


@pytest.mark.slow
def test_a_timed_phase_in_a_process_of_its_own(tmp_path: Path) -> None:
    phases: list[str] = []
    with MeasurementWorker(make_task("training-step", 2), tmp_path / "one", phases.append) as worker:
        assert worker.ready() and worker.step(PREPARE)
        assert worker.step(ROUND) and worker.step(ROUND) and worker.step(FINALIZE)
        found, failure = worker.outcome()
    assert failure is None and found is not None
    assert [len(one.samples_ms) for one in found.rounds] == [3, 3]
    assert phases == ["loading", "warming up", "round 1", "round 2", "roofline", "share outside kernels"]
    assert found.environment["torch_threads"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [({"architecture": "segmet"}, "did you mean 'segnet'"), ({"architecture_revision": 99}, "revision 99")],
)
def test_bad_input_is_one_line(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with MeasurementWorker(make_task("shapes", 1, **changes), tmp_path / "one") as worker:
        assert worker.ready() and not worker.step(PREPARE)
        with pytest.raises(UserError, match=message):
            worker.outcome()


@pytest.mark.slow
def test_a_worker_killed_on_its_way_keeps_what_it_found(tmp_path: Path) -> None:
    with MeasurementWorker(make_task("forward", 1), tmp_path / "one") as worker:
        assert worker.ready() and worker.step(PREPARE) and worker.step(ROUND)
        os.kill(worker._process.pid, signal.SIGKILL)
        assert not worker.step(ROUND)
        found, failure = worker.outcome()
    assert failure is not None and failure.message == "the process was ended by SIGKILL (round 1)"
    assert found is not None and len(found.rounds) == 1


@pytest.mark.parametrize("code", [130, -signal.SIGINT])
def test_a_stopped_worker_stops_the_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    worker = MeasurementWorker(make_task("forward", 1), tmp_path / "one")
    monkeypatch.setattr(worker, "end", lambda: ChildEnding(code=code, oom_killed=False))
    with pytest.raises(KeyboardInterrupt):
        worker.outcome()


@pytest.mark.gpu
@pytest.mark.parametrize(("phase", "batch"), [("inference-memory", 1), ("training-memory", 4)])
def test_memory_of_a_gpu(tmp_path: Path, phase: str, batch: int) -> None:
    # in a process of its own: the context is measured before anything lies on the device
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    with MeasurementWorker(make_task(phase, batch, device="cuda", preset="lease"), tmp_path / "one") as worker:
        assert worker.ready() and worker.step(PREPARE)
        found, failure = worker.outcome()
    assert failure is None and found is not None and found.memory is not None
    memory = found.memory
    allocated, reserved = memory.allocated_peak_bytes.value, memory.reserved_peak_bytes.value
    assert allocated and reserved and 0 < allocated <= reserved
    used, context = memory.nvml_used_minus_idle_bytes, memory.context_bytes
    assert used.reason or (used.value and context.value and used.value >= context.value > 0)
    assert found.device_slug.startswith("cuda-")
