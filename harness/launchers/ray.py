"""A Ray cluster: one task a run, with the GPUs or threads that it needs.

The only module that imports Ray. A task starts the run's process as the launcher `local` does. Where a machine
is lost, the run goes on elsewhere from its last checkpoint.
"""

import os
import socket
from collections.abc import Sequence
from typing import Any, Self

import ray
from ray.exceptions import RayError, RayTaskError
from rich.console import Console

from architectures.external.plugins import VARIABLE
from harness.config.request import RunRequest
from harness.config.worker_job import WorkerJob
from harness.launchers.base import Launcher, until
from harness.launchers.display import log_file
from harness.launchers.process import LEAVE_S
from harness.launchers.remote import Mark, RemoteRun, carry_out, worked_on
from harness.launchers.steps import PlanResult, measure_all
from harness.launchers.worker import Ending
from harness.profiling.scheduler import Request
from harness.system.console import say, terminal
from harness.system.environment import Device, available_cores
from harness.system.errors import UserError
from harness.system.signals import STOPPED

CONNECT_S = 10.0  # for a cluster to answer
STORE_BYTES = 100 * 2**20  # of Ray's object store where we start it: nothing large goes through it


class RayLauncher(Launcher):
    """Runs on a Ray cluster: an existing one (`ray_address`), or one that is started on this machine, and ended."""

    retries = 5

    def __init__(self, request: RunRequest) -> None:
        self._address = request.ray_address
        self._mark: Mark | None = None
        self._runs: list[RayRun] = []

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

    def __exit__(self, *error: object) -> None:
        """Wait until stopped runs have saved: Ray ends what still runs when we leave."""
        if self._mark is not None:
            self._mark.withdraw()
            until(lambda: not any(worked_on(run.job) for run in self._runs if not run.ended), LEAVE_S)
        ray.shutdown()

    def pick_device(self, wanted: str) -> Device:
        """See `Launcher`; a GPU anywhere in the cluster counts."""
        if wanted != "cpu" and ray.cluster_resources().get("GPU", 0) >= 1:
            return "cuda"
        if wanted == "cuda":
            raise UserError("device cuda: no machine of the Ray cluster has a GPU; use --device cpu")
        return "cpu"

    def prepare(self, request: RunRequest) -> RunRequest:
        """See `Launcher`: a run on a GPU takes at most its card's share of a machine's cores."""
        self._mark = self._mark or Mark.put(request)
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        fitting = [has for has in machines if has.get("GPU", 0) >= request.gpus_per_run or request.device == "cpu"]
        if not fitting:
            raise UserError(f"launcher ray: no machine of the cluster has {request.gpus_per_run} GPUs")
        wanted, most = request.threads, max(int(has.get("CPU", 0)) for has in fitting)
        if request.device == "cuda":
            shares = [int(has.get("CPU", 1) * request.gpus_per_run // has["GPU"]) for has in fitting]
            wanted = max(1, min(wanted, *shares))
        if most < wanted:
            raise UserError(f"--threads {wanted}: no machine of the cluster has so many; the most is {most}")
        return request.model_copy(update={"threads": wanted})

    def start(self, job: WorkerJob) -> "RayRun":
        """See `Launcher`."""
        assert self._mark is not None, "prepared before"
        gpus = job.world_size if job.device == "cuda" else 0
        # retries are counted and said by who schedules
        task = ray.remote(carry_out).options(
            name=job.spec.run_id, num_cpus=job.request.threads, num_gpus=gpus, max_retries=0
        )
        run = RayRun(job, task.remote(RemoteRun.of(job, self._mark)), self._mark)
        self._runs.append(run)
        return run

    def measure(self, requests: Sequence[Request], request: RunRequest, console: Console) -> PlanResult:
        """See `Launcher`: on one machine of the cluster, which is taken whole."""
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        whole = max(machines, key=lambda has: (has.get("GPU", 0) if request.device == "cuda" else 0, has.get("CPU", 0)))
        task = ray.remote(_measure).options(num_cpus=whole.get("CPU", 0), num_gpus=whole.get("GPU", 0), max_retries=0)
        log = log_file(request.work.resolve() / "measuring")
        say(console, f"measuring on a machine of the cluster; see {log}")
        try:
            result: PlanResult = ray.get(task.remote(list(requests), request.results.resolve(), str(log)))
        except RayTaskError as error:
            if isinstance(error.cause, UserError):
                raise UserError(str(error.cause)) from None
            raise
        except RayError as error:
            say(console, f"FAILED: {str(error).strip().splitlines()[0]}; the same command measures what is missing")
            return PlanResult(failed=1)
        except KeyboardInterrupt:
            return PlanResult(stopped=True)
        return result


class RayRun:
    """A run that was handed to the cluster."""

    def __init__(self, job: WorkerJob, task: Any, mark: Mark) -> None:
        self.job = job
        self.ended = False
        self._task = task
        self._mark = mark

    def poll(self) -> Ending | None:
        """See `RunningRun`."""
        if not ray.wait([self._task], timeout=0)[0]:
            return None
        self.ended = True
        try:
            ending: Ending = ray.get(self._task)
        except RayTaskError as error:
            if isinstance(error.cause, ImportError):
                raise UserError("a machine can't import the harness; install it there, with the extra ray") from None
            raise
        except RayError as error:
            return Ending(code=STOPPED, lost=True, line=str(error).strip().partition("\n")[0][:300])
        return ending

    def stop(self) -> None:
        """See `RunningRun`: all machines see that the mark has gone."""
        self._mark.withdraw()


def _measure(requests: Sequence[Request], results: Any, log: str) -> PlanResult:
    """What a machine does; what is printed goes to the log."""
    os.makedirs(os.path.dirname(log), exist_ok=True)
    with open(log, "a", encoding="utf-8") as file:
        return measure_all(requests, results, terminal(file, width=200), wait=True)


def check_reachable(address: str) -> None:
    """Refuse, by a UserError, an address such as 10.0.0.1:6379 where nothing listens: Ray tries for minutes."""
    host, mark, port = address.rpartition(":")
    if "://" in address or not mark or not (port.isascii() and port.isdigit()):
        return  # one of Ray's own words, such as auto
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError(
            f"--ray-address {address}: no Ray cluster answers there ({reason}); `ray start --head` makes one "
            "and says its address"
        ) from error
