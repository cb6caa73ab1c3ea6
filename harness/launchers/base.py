"""Launchers: who carries out the runs of a plan, and where. A run's record does not depend on it.

A launcher says how one run is started, looked at and stopped; what is still to do, retries, stops and the
display are the same for all, here.
"""

import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Protocol, Self

from rich.console import Console

from harness.config.request import RunRequest
from harness.config.run_spec import RunSpec
from harness.config.worker_job import WorkerJob
from harness.launchers import steps
from harness.launchers.display import Display
from harness.launchers.steps import PlanResult, status_of
from harness.launchers.worker import BAD_INPUT, FAILED, FINISHED, Ending, bad_input
from harness.profiling.scheduler import Request
from harness.records.run import finished
from harness.records.weights_files import clear_finished, newer_checkpoint
from harness.system.environment import Device
from harness.system.errors import UserError, how_to_install
from harness.system.locks import run_lock
from harness.system.registry import Registry
from harness.system.signals import STOPPED, counted_stops

LOOK_S = 0.2  # between looks at what runs have done
LEAST_S = 60.0  # of a budget, for another run to be begun
HELD_S = 30.0  # before a start that was refused is tried again
APPEAR_S = 60.0  # for a record that another machine wrote to be seen here


class RunningRun(Protocol):
    """A run that was started."""

    def poll(self) -> Ending | None:
        """How it ended; none while it goes on. UserError: it could not be carried out."""
        ...

    def stop(self) -> None:
        """Ask it to stop with its checkpoint."""
        ...


class Launcher(ABC):
    """What carries out runs and measurements; a context manager, which holds what it needs for that.

    places: how many runs go on at once.
    retries: how often a run goes on elsewhere whose machine was lost or taken away.
    foreground: a run has this terminal, and prints on it by itself.
    remote: runs are carried out by machines that share the folders with this one.
    """

    places: float = float("inf")
    retries: int = 0
    foreground: bool = False
    remote: bool = True

    def __enter__(self) -> Self:
        """Get hold of the machines; UserError if they can't be had."""
        return self

    def __exit__(self, *error: object) -> None:
        """Give them back."""
        return None

    def pick_device(self, wanted: str) -> Device:
        """What to compute on; `auto` takes CUDA devices if there are any. UserError: there is no cuda as asked for."""
        return steps.pick_device(wanted)

    @abstractmethod
    def start(self, job: WorkerJob) -> RunningRun:
        """Start a run, or hand it to who will."""

    def prepare(self, request: RunRequest) -> RunRequest:
        """Before the first run is started; the request with what the machines have to give.

        Raises:
            UserError: they can't carry out its runs.
        """
        return request

    def execute(self, specs: Sequence[RunSpec], request: RunRequest, console: Console) -> PlanResult:
        """Carry out the runs that have no finished record; a failed one does not stop the rest.

        Raises:
            UserError: bad input; where a worker found it, its own line was printed already.
        """
        return _Schedule(self, specs, request, console).execute()

    def measure(self, requests: Sequence[Request], request: RunRequest, console: Console) -> PlanResult:
        """Measure what is not measured yet, on this machine; UserError for bad input."""
        return steps.measure_all(requests, request.results, console, wait=True, deadline_s=request.deadline_s)


# "module:class", imported when it is asked for
LAUNCHERS: Registry[type[Launcher]] = Registry(
    "launcher",
    [
        ("local", "harness.launchers.local:LocalLauncher"),
        ("slurm", "harness.launchers.slurm:SlurmLauncher"),
        ("ray", "harness.launchers.ray:RayLauncher"),
    ],
)
_OPTIONS = {"jobs": "local", "ray_address": "ray", "slurm": "slurm"}  # option -> the launcher that has it
_EXTRAS = {"ray": "ray", "submitit": "slurm"}  # module -> this project's extra that brings it


def check_launcher(request: RunRequest) -> None:
    """Refuse, by a UserError, an unknown launcher, or another one's option; nothing is imported."""
    LAUNCHERS.check(request.launcher)
    for option, owner in _OPTIONS.items():
        default = RunRequest.model_fields[option].default
        if owner != request.launcher and getattr(request, option) != default:
            shown = option.replace("_", "-")
            raise UserError(f"--{shown} is of the launcher {owner}; add --launcher {owner}, or leave --{shown} out")


def launcher_for(request: RunRequest) -> Launcher:
    """The launcher that the request names.

    Raises:
        UserError: no such launcher, an option of another one, or what it needs is not installed.
    """
    check_launcher(request)
    try:
        made = LAUNCHERS[request.launcher]
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        raise UserError(
            f"launcher {request.launcher}: {error.name} is not installed; "
            f"{how_to_install(_EXTRAS[error.name])}, or choose --launcher local"
        ) from None
    launcher: Launcher = made(request)  # type: ignore[call-arg]  # each takes its options from the request
    return launcher


class _Schedule:
    """Runs on their way: what waits, what goes on, what became of the rest."""

    def __init__(self, launcher: Launcher, specs: Sequence[RunSpec], request: RunRequest, console: Console) -> None:
        self._launcher = launcher
        self._request = request
        self._waiting = deque(specs)
        self._going_on: dict[str, tuple[WorkerJob, RunningRun]] = {}
        self._lost: Counter[str] = Counter()
        self._result = PlanResult()
        self._bad_input = False
        self._display = Display(console, len(specs), bars=not launcher.foreground)
        self._prepared = False
        self._held_s = 0.0

    def execute(self) -> PlanResult:
        """Start the runs as there are places, and wait for their ends."""
        seen = 0
        with counted_stops() as stops, self._display.shown():
            while self._waiting or self._going_on:
                self._drop_waiting(stops())
                while self._waiting and len(self._going_on) < self._launcher.places and not self._held:
                    self._begin(self._waiting.popleft())
                if stops() > seen:
                    seen = stops()
                    for _, run in self._going_on.values():
                        run.stop()
                for job, run in list(self._going_on.values()):
                    if (ending := _ending(run)) is not None:
                        self._settle(job, ending, stops())
                self._display.refresh()
                if self._going_on or self._held:
                    time.sleep(LOOK_S)
        if self._bad_input:
            raise UserError("")
        return self._result

    @property
    def _held(self) -> bool:
        """Whether a start was refused lately."""
        return time.monotonic() < self._held_s

    def _drop_waiting(self, stops: int) -> None:
        """Begin no more where it is to stop."""
        result, deadline_s = self._result, self._request.deadline_s
        result.stopped |= stops > 0
        late = bool(self._waiting) and deadline_s is not None and time.monotonic() + LEAST_S > deadline_s
        result.time_limit_reached |= late and not result.stopped
        if not self._waiting or not (result.stopped or result.time_limit_reached or self._bad_input):
            return
        used_up = f"less than {LEAST_S:.0f} s of the budget are left"
        why = "stopped" if result.stopped else used_up if result.time_limit_reached else "bad input"
        self._display.say("runs", f"{why}: {len(self._waiting)} not begun; the same command goes on with them")
        self._waiting.clear()

    def _begin(self, spec: RunSpec) -> None:
        """Start a run, unless it is finished: another process may have done it meanwhile."""
        job = WorkerJob(spec=spec, request=self._request)
        if (stored := finished(job.results, spec)) is not None:
            self._display.say(spec.run_id, "finished before, nothing to do")
            self._display.advance()
            with run_lock(job.folder.parent, spec.run_id) as alone:
                # another results folder may train it in the same work folder, or have stopped there
                if alone and not newer_checkpoint(job.folder, stored.folder):
                    clear_finished(job.folder, stored.record)
            self._result.skipped += 1
            return
        if (status := status_of(job.results, spec)) != "to do":
            self._display.say(spec.run_id, status)
        if not self._prepared:
            self._request = self._launcher.prepare(self._request)
            self._prepared = True
        self._start(WorkerJob(spec=spec, request=self._request))

    def _start(self, job: WorkerJob) -> None:
        name = job.spec.run_id
        if not self._launcher.foreground:
            self._display.follow(name, job.folder, (f"{name}: ", f"{job.spec.network}: ", f"{job.spec.architecture}: "))
        try:
            self._going_on[name] = job, self._launcher.start(job)
        except UserError as error:
            if not (self._going_on and self._launcher.remote):
                raise
            # a queue that is full or a cluster that does not answer must not end what goes on already
            self._display.say(name, f"not started: {error}; tried again in {HELD_S:.0f} s")
            self._waiting.appendleft(job.spec)
            self._held_s = time.monotonic() + HELD_S

    def _settle(self, job: WorkerJob, ending: Ending, stops: int) -> None:
        """Count a run that has ended, or let it go on elsewhere. Without a record nothing is a success."""
        name, code = job.spec.run_id, ending.code
        del self._going_on[name]
        if ending.line:
            self._display.say(name, ending.line)
        taken_away = code == STOPPED and not stops and self._launcher.remote
        if (ending.lost or taken_away) and not stops:
            self._display.ended(name)
            return self._go_on(job, "its machine was lost" if ending.lost else "it was stopped where it ran")
        appear_s = APPEAR_S if self._launcher.remote else 0.0
        if code == FINISHED and not until(lambda: finished(job.results, job.spec) is not None, appear_s):
            self._display.say(name, f"FAILED: it has ended, but there is no record of it in {job.results}")
            code = FAILED
        self._display.ended(name)
        self._display.advance()
        self._bad_input |= code == BAD_INPUT
        self._result.count(STOPPED if ending.lost else code)

    def _go_on(self, job: WorkerJob, why: str) -> None:
        name, allowed = job.spec.run_id, self._launcher.retries
        self._lost[name] += 1
        lost = f"{why} ({self._lost[name]} of {allowed} times allowed)"
        if self._lost[name] <= allowed:
            self._display.say(name, f"{lost}; goes on from its last checkpoint")
            self._start(job)
            return
        self._display.say(name, f"FAILED: {lost}; its checkpoint stays, the same command goes on from there")
        self._display.advance()
        self._result.failed += 1


def _ending(run: RunningRun) -> Ending | None:
    try:
        return run.poll()
    except UserError as error:
        return bad_input(error)


def until(true: Callable[[], bool], timeout_s: float, look_s: float = 0.5) -> bool:
    """Wait until something is so; false if it is not by then."""
    until_s = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() >= until_s:
            return False
        time.sleep(look_s)
    return True
