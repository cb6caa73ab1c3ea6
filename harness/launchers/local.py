"""This machine: one run after the other in this terminal, or several at once with a share of it each."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from os import getpid
from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Console

from harness.config.run_spec import RunSpec
from harness.config.worker_job import WorkerJob
from harness.launchers import run as running
from harness.launchers import worker
from harness.launchers.asking import counted_stops
from harness.launchers.display import Display
from harness.launchers.resources import Slot, slots
from harness.launchers.run import Outcome, RunContext
from harness.launchers.scheduling import LEAST_S, count, job_of, log_file, still_to_do
from harness.launchers.supervisor import Apart, run_worker
from harness.profiling.scheduler import Request
from harness.system.environment import Device
from harness.system.errors import UserError

SHOW_S = 0.5  # between looks at what runs have done


class LocalEngine:
    """Each run in a process of its own on this machine.

    Args:
        jobs: how many at once; each then has a GPU of its own, or its share of the threads.
    """

    def __init__(self, jobs: int = 1) -> None:
        self._jobs = jobs

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """There is nothing to give back."""

    def pick_device(self, wanted: str) -> Device:
        """See `Launcher`."""
        return running.pick_device(wanted)

    def execute(self, specs: Sequence[RunSpec], context: RunContext, console: Console) -> Outcome:
        """See `Launcher`. A run that another process works on is left to that one."""
        if self._jobs == 1:
            return in_turn(specs, context, console)
        return at_once(specs, context, console, slots(self._jobs, context.device, context.threads))

    def measure(self, requests: Sequence[Request], context: RunContext, console: Console) -> Outcome:
        """See `Launcher`."""
        return running.measure_all(requests, context.results, console, wait=True)


def in_turn(specs: Sequence[RunSpec], context: RunContext, console: Console) -> Outcome:
    """One run after the other, each with this terminal.

    Raises:
        UserError: bad input that a worker found; its own line was printed already.
    """
    outcome = Outcome()
    for spec in specs:
        # looked at when its turn has come: another process may have done it meanwhile
        if not still_to_do([spec], context, console, outcome):
            continue
        if _too_late(context):
            console.print(f"{spec.run_id}: not begun, the budget is used up", highlight=False)
            outcome.time_limit_reached = True
            return outcome
        code = run_worker(job_of(spec, context))
        if code == worker.BAD_INPUT:
            raise UserError("")
        count(outcome, code)
        if outcome.stopped or outcome.time_limit_reached:
            return outcome
    return outcome


def at_once(specs: Sequence[RunSpec], context: RunContext, console: Console, shares: Sequence[Slot]) -> Outcome:
    """As many runs at once as there are shares of the machine.

    Bad input that one finds does not stop the others.

    Raises:
        UserError: a worker found bad input; its own line was printed already.
    """
    outcome = Outcome()
    waiting = deque(still_to_do(specs, context, console, outcome))
    free, busy, bad = list(shares), dict[Future[int], _Begun](), False
    display = Display(console, len(waiting))
    with counted_stops() as asks, display.shown(), ThreadPoolExecutor(len(shares)) as pool:
        while waiting or busy:
            if waiting and (asks() or _too_late(context) or outcome.stopped or outcome.time_limit_reached):
                outcome.stopped |= asks() > 0
                outcome.time_limit_reached |= not outcome.stopped
                display.say("runs", f"{len(waiting)} not begun; the same command goes on with them")
                waiting.clear()
            while waiting and free:
                begun = _begin(waiting.popleft(), context, free.pop(), display)
                busy[pool.submit(run_worker, begun.job, begun.apart(asks))] = begun
            for future in wait(busy, SHOW_S, FIRST_COMPLETED).done:
                begun = busy.pop(future)
                free.append(begun.slot)
                code = _code(future, begun, display)
                display.ended(begun.job.spec.run_id)
                bad |= code == worker.BAD_INPUT
                count(outcome, code)
            display.refresh()
    if bad:
        raise UserError("")
    return outcome


@dataclass(frozen=True, kw_only=True)
class _Begun:
    """A run that goes on beside others."""

    job: WorkerJob
    slot: Slot

    def apart(self, asks: Callable[[], int]) -> Apart:
        """How its process runs."""
        return Apart(log=log_file(self.job.folder), asks=asks, variables=self.slot.variables)


def _begin(spec: RunSpec, context: RunContext, slot: Slot, display: Display) -> _Begun:
    job = job_of(spec, context).model_copy(update={"threads": slot.threads, "parent_pid": getpid()})
    display.follow(spec.run_id, job.folder, (f"{spec.run_id}: ", f"{spec.architecture}: "))
    return _Begun(job=job, slot=slot)


def _code(future: Future[int], begun: _Begun, display: Display) -> int:
    try:
        return future.result()
    except UserError as error:
        display.say(begun.job.spec.run_id, f"error: {error}")
        return worker.BAD_INPUT


def _too_late(context: RunContext) -> bool:
    return context.deadline_s is not None and monotonic() + LEAST_S > context.deadline_s
