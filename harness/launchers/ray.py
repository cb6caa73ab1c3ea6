"""A Ray cluster: one task a run, with the GPU or threads that it needs; then one machine of each kind alone.

The only module that imports Ray. A task starts the run's worker as a process of its own, as the launcher
`local` does. Where a machine is lost, the run goes on elsewhere from its last checkpoint.
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from rich.console import Console

from architectures.external.plugins import VARIABLE
from harness.config.run_spec import RunSpec
from harness.config.worker_job import WorkerJob
from harness.launchers import nodes, worker
from harness.launchers.asking import counted_stops
from harness.launchers.cluster import (
    Node,
    budget_end_s,
    check_reachable,
    portable_job,
    threads_of_a_run,
    until,
    worked_on,
)
from harness.launchers.display import Display
from harness.launchers.nodes import Answer, Ended, Mark, code_digest, marked
from harness.launchers.run import Outcome, RunContext
from harness.launchers.scheduling import count, still_to_do
from harness.launchers.supervisor import LEAVE_S
from harness.profiling.scheduler import Request
from harness.records.run import finished
from harness.system.environment import Device, available_cores
from harness.system.errors import UserError
from harness.system.signals import STOPPED

MAX_RETRIES = 5  # of a run whose machine is lost
LOOK_S = 1.0  # between looks at what the cluster has done
ANSWER_S = 300.0  # for machines to say whether they can take part
APPEAR_S = 60.0  # for a record that one machine wrote to be seen by another
STORE_BYTES = 100 * 2**20  # of Ray's object store where we start it: nothing large goes through it
NEEDED: dict[Device, str] = {"cpu": "CPU", "cuda": "GPU"}  # by Ray's names


class RayEngine:
    """Runs on a Ray cluster.

    Args:
        address: of an existing cluster; none: one is started on this machine, and ended afterwards.
    """

    def __init__(self, address: str | None) -> None:
        self._address = address

    def __enter__(self) -> Self:
        # no figures of use to Ray's makers unless the user wants that
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        own = {
            "num_cpus": available_cores(),
            "object_store_memory": STORE_BYTES,
            "include_dashboard": False,
            "_node_ip_address": "127.0.0.1",  # nobody else is to reach it
        }
        if self._address:
            check_reachable(self._address)
        plugins = os.environ.get(VARIABLE)
        try:
            ray.init(
                self._address or "local",
                log_to_driver=False,  # a run's lines come from its log, in order and whole
                logging_level="ERROR",
                **({} if self._address else own),
                **({"runtime_env": {"env_vars": {VARIABLE: plugins}}} if plugins else {}),
            )
        except (OSError, RuntimeError, ValueError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            if "AF_UNIX path length" in reason:  # its sockets lie in the temporary folder, by long names
                reason += "; name a shorter folder with the variable RAY_TMPDIR"
            what = f"--ray-address {self._address}" if self._address else "launcher ray: no cluster of our own"
            raise UserError(f"{what}: {reason}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ray.shutdown()

    def pick_device(self, wanted: str) -> Device:
        """See `Launcher`; a GPU anywhere in the cluster counts."""
        if wanted == "cpu":
            return "cpu"
        if ray.cluster_resources().get("GPU", 0) >= 1:
            return "cuda"
        if wanted == "cuda":
            raise UserError("device cuda: no machine of the Ray cluster has a GPU; use --device cpu")
        return "cpu"

    def execute(self, specs: Sequence[RunSpec], context: RunContext, console: Console) -> Outcome:
        """See `Launcher`. Bad input that one run finds does not stop the others."""
        outcome = Outcome()
        todo = still_to_do(specs, context, console, outcome)
        if not todo:
            return outcome
        display = Display(console, len(todo))
        with marked(context.results, context.work) as mark, counted_stops() as asks:
            machines = self._machines(mark, context.device, console)
            threads = threads_of_a_run(machines, context.device, context.threads)
            jobs = [portable_job(spec, context, threads) for spec in todo]
            matrix = _Matrix(mark=mark, display=display, asks=asks, outcome=outcome, context=context)
            with display.shown():
                matrix.execute(jobs)
        if matrix.bad_input:
            raise UserError("")
        return outcome

    def measure(self, requests: Sequence[Request], context: RunContext, console: Console) -> Outcome:
        """See `Launcher`: on one machine of each kind, which is taken whole."""
        with marked(context.results, context.work) as mark, counted_stops() as asks:
            kinds: dict[str, Node] = {}
            for machine in self._machines(mark, context.device, console):
                kinds.setdefault(machine.device_slug, machine)
            display = Display(console, len(kinds))
            with display.shown():
                refs = {}
                for slug, machine in kinds.items():
                    folder = mark.work / "measuring" / slug
                    display.follow(slug, folder)
                    refs[_measure(machine, requests, mark.results, folder)] = slug
                return _measured(refs, display, asks)

    def _machines(self, mark: Mark, device: Device, console: Console) -> list[Node]:
        """The machines that have the device, once each has shown that it can take part.

        Raises:
            UserError: there is none, or one can't take part: Ray would send runs there all the same.
        """
        with console.status("asking the machines of the cluster"):
            asked = {_ask(node, mark, device): node for node in _alive(device)}
            ready, late = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_S) if asked else ([], [])
        complaints = [f"{asked[ref].name} does not answer" for ref in late]
        able = []
        for ref in ready:
            answer = _answer(ref)
            if answer is None:
                continue  # lost meanwhile
            if answer.device_slug is None:
                complaints.append(f"{asked[ref].name} {answer.complaint}")
            else:
                able.append(replace(asked[ref], device_slug=answer.device_slug))
        if complaints:
            raise UserError(f"launcher ray: {'; '.join(complaints)}; mend this or take the machine out")
        if not able:
            raise UserError(f"launcher ray: no machine of the cluster has a {'GPU' if device == 'cuda' else 'CPU'}")
        return sorted(able, key=lambda node: (node.name, node.id))


@dataclass(kw_only=True)
class _Matrix:
    """Runs on their way through the cluster."""

    mark: Mark
    context: RunContext
    display: Display
    outcome: Outcome
    asks: Callable[[], int]
    bad_input: bool = False
    losses: Counter[str] = field(default_factory=Counter)

    def execute(self, jobs: Sequence[WorkerJob]) -> None:
        """Hand out all of them and wait for their ends, or stop them when asked to."""
        waiting = {}
        for job in jobs:
            prefixes = (f"{job.spec.run_id}: ", f"{job.spec.architecture}: ")
            self.display.follow(job.spec.run_id, job.folder, prefixes)
            waiting[self._submit(job)] = job
        while waiting and not self.asks():
            for ref in ray.wait(list(waiting), timeout=LOOK_S)[0]:
                job = waiting.pop(ref)
                again = self._settle(job, ref)
                if again is not None:
                    waiting[again] = job
            self.display.refresh()
        if waiting:
            self._stop(waiting)

    def _submit(self, job: WorkerJob) -> Any:
        task = ray.remote(nodes.execute).options(
            name=job.spec.run_id,
            num_cpus=job.threads,
            num_gpus=1 if job.device == "cuda" else 0,
            max_retries=0,  # here they are counted and said
        )
        return task.remote(job, self.mark, budget_end_s(self.context))

    def _settle(self, job: WorkerJob, ref: Any) -> Any | None:
        """Count a run that has ended; the new task of one that goes on elsewhere."""
        name = job.spec.run_id
        try:
            ended: Ended = ray.get(ref)
        except RayTaskError:
            raise  # a fault of ours
        except RayError:
            return self._go_on(job, "its machine was lost")
        if ended.line:
            self.display.say(name, ended.line)
        if ended.code == STOPPED and not self.asks():
            return self._go_on(job, "it was stopped where it ran")  # as machines are that are taken away
        code = ended.code
        if code == worker.FINISHED and not until(lambda: bool(finished(job.results, job.spec)), APPEAR_S):
            self.display.say(name, f"FAILED: its record is not to be seen in {job.results}")
            code = worker.FAILED
        self.bad_input |= code == worker.BAD_INPUT
        count(self.outcome, code)
        self.display.ended(name)
        return None

    def _go_on(self, job: WorkerJob, why: str) -> Any | None:
        name = job.spec.run_id
        self.losses[name] += 1
        lost = f"{why} ({self.losses[name]} of {MAX_RETRIES} times allowed)"
        if self.losses[name] <= MAX_RETRIES:
            self.display.say(name, f"{lost}; goes on from its last checkpoint")
            return self._submit(job)
        self.display.say(name, f"FAILED: {lost}; its checkpoint stays, the same command goes on from there")
        self.display.ended(name)
        self.outcome.failed += 1
        return None

    def _stop(self, waiting: dict[Any, WorkerJob]) -> None:
        """Tell all machines to stop, and wait until they have: Ray ends what still runs when we leave."""
        self.outcome.stopped = True
        self.mark.withdraw()
        asked_before = self.asks()

        def all_left() -> bool:
            self.display.refresh()
            done = ray.wait(list(waiting), num_returns=len(waiting), timeout=0)[0]
            still = [job for ref, job in waiting.items() if ref not in done]
            return self.asks() > asked_before or not any(worked_on(job) for job in still)

        if not until(all_left, LEAVE_S):
            self.display.say("runs", f"some go on after {LEAVE_S:.0f} s; they are left to themselves")


def _alive(device: Device) -> list[Node]:
    """The machines that have what the device needs, by Ray's count."""
    found = []
    for node in ray.nodes():
        has = node["Resources"]
        cpus, gpus = has.get("CPU", 0.0), has.get("GPU", 0.0)
        if node["Alive"] and has.get(NEEDED[device], 0.0) >= 1:
            found.append(Node(id=node["NodeID"], name=node["NodeManagerAddress"], cpus=cpus, gpus=gpus))
    return found


def _on(node: Node) -> Any:
    return NodeAffinitySchedulingStrategy(node_id=node.id, soft=False)


def _ask(node: Node, mark: Mark, device: Device) -> Any:
    task = ray.remote(nodes.introduce).options(num_cpus=0, max_retries=0, scheduling_strategy=_on(node))
    return task.remote(mark, device, code_digest())


def _answer(ref: Any) -> Answer | None:
    try:
        answer: Answer = ray.get(ref)
    except RayTaskError as error:
        if isinstance(error.cause, ImportError | RuntimeError):  # how Ray says that it could not import ours
            return Answer(complaint="can't import the harness; install it there, with the extra ray")
        raise
    except RayError:
        return None
    return answer


def _measure(machine: Node, requests: Sequence[Request], results: Path, folder: Path) -> Any:
    whole = {"num_cpus": machine.cpus, "num_gpus": machine.gpus}
    task = ray.remote(nodes.measure).options(**whole, max_retries=0, scheduling_strategy=_on(machine))
    return task.remote(list(requests), results, folder)


def _measured(refs: dict[Any, str], display: Display, asks: Callable[[], int]) -> Outcome:
    """Wait for the machines that measure; what each measured is saved already.

    Raises:
        UserError: bad input that one of them found.
    """
    outcome, waiting = Outcome(), dict(refs)
    while waiting and not asks():
        for ref in ray.wait(list(waiting), timeout=LOOK_S)[0]:
            slug = waiting.pop(ref)
            try:
                one: Outcome = ray.get(ref)
            except RayTaskError as error:
                if isinstance(error.cause, UserError):
                    raise UserError(f"{slug}: {error.cause}") from None
                raise
            except RayError:
                display.say(slug, "FAILED: the machine was lost; the same command measures what is missing")
                one = Outcome(failed=1)
            outcome.done += one.done
            outcome.skipped += one.skipped
            outcome.failed += one.failed
            display.ended(slug)
        display.refresh()
    if waiting:
        outcome.stopped = True
        for ref in waiting:
            ray.cancel(ref)  # Ctrl-C there
        ray.wait(list(waiting), num_returns=len(waiting), timeout=LEAVE_S)
    return outcome
