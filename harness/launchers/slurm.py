"""A SLURM cluster, by submitit: one job a run, queued as the cluster has room.

The only module that imports submitit. A job starts the run's process as the launcher `local` does. One that
reaches its time limit, or whose machine is lost, is queued again and goes on from its checkpoint.
"""

import shlex
import time
from collections.abc import Mapping
from contextlib import suppress

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError, UncompletedJobError

from harness.config.request import RunRequest
from harness.config.worker_job import WorkerJob
from harness.launchers.base import Launcher
from harness.launchers.remote import Mark, RemoteRun, carry_out
from harness.launchers.worker import FAILED, Ending
from harness.system.environment import Device
from harness.system.errors import UserError
from harness.system.signals import STOPPED, parse_time
from harness.system.supervisor import child_environment, error_line

ASK_S = 15.0  # between questions to the cluster about a job that leaves no result
DEFAULT_TIME = "8h"
_OWN = ("partition", "time", "gpus", "cpus", "memory", "setup")  # the rest are options of sbatch


class SlurmLauncher(Launcher):
    """Runs as jobs of a SLURM cluster.

    The request's `slurm` holds partition, time (8h), gpus, cpus, memory (in GB), setup (a line of shell), and any
    option of sbatch by its name. UserError: a value that can't be used.
    """

    retries = 20
    cluster = "slurm"

    def __init__(self, request: RunRequest) -> None:
        self._request = request
        options = request.slurm
        self._gpus = _whole(options, "gpus", request.gpus_per_run)
        self._minutes = max(2, int(parse_time(options.get("time", DEFAULT_TIME), "slurm time") / 60))
        self._memory_gb = _whole(options, "memory", 0)
        self._cpus = _whole(options, "cpus", request.threads)  # 0: sbatch's own number
        self._mark: Mark | None = None

    def __exit__(self, *error: object) -> None:
        if self._mark is not None:
            self._mark.withdraw()

    def pick_device(self, wanted: str) -> Device:
        """See `Launcher`: the machines have GPUs unless gpus=0 says that none are asked for."""
        return "cpu" if wanted == "cpu" or (wanted == "auto" and self._gpus == 0) else "cuda"

    def prepare(self, request: RunRequest) -> RunRequest:
        """See `Launcher`."""
        self._mark = self._mark or Mark.put(request)
        options = request.slurm
        variables = f"export PYTHONPATH={shlex.quote(child_environment()['PYTHONPATH'])}"
        parameters = {
            "timeout_min": self._minutes,
            "name": "segnet-harness",
            "gpus_per_node": self._gpus if request.device == "cuda" else None,
            "cpus_per_task": self._cpus or None,
            "mem_gb": self._memory_gb or None,
            "slurm_partition": options.get("partition"),
            "slurm_setup": [variables, *([options["setup"]] if "setup" in options else [])],
            "slurm_additional_parameters": {key: value for key, value in options.items() if key not in _OWN} or None,
        }
        asked = {name: value for name, value in parameters.items() if value is not None}
        try:
            self._executor = submitit.AutoExecutor(folder=request.work.resolve() / "slurm", cluster=self.cluster)
            self._executor.update_parameters(**asked)
        except RuntimeError as error:
            raise UserError(f"launcher slurm: {error}; start the command on a machine of the cluster") from None
        # not the cores of the machine that the command runs on; without a number the job takes those it is given
        return request.model_copy(update={"threads": self._cpus})

    def start(self, job: WorkerJob) -> "SlurmRun":
        """See `Launcher`: queue it."""
        assert self._mark is not None, "prepared before"
        try:
            return SlurmRun(self._executor.submit(carry_out, RemoteRun.of(job, self._mark)))
        except (FailedJobError, FailedSubmissionError, OSError) as error:
            raise UserError(f"launcher slurm: {error_line(str(error))}; see --slurm") from None


class SlurmRun:
    """A job that was queued."""

    def __init__(self, job: "submitit.Job[Ending]") -> None:
        self._job = job
        self._stopped = False
        self._asked_s = time.monotonic()

    def poll(self) -> Ending | None:
        """See `RunningRun`. Without a result the cluster is asked, now and then."""
        force = time.monotonic() - self._asked_s > ASK_S
        if force:
            self._asked_s = time.monotonic()
        if not self._job.done(force_check=force):
            return None
        try:
            return self._job.result()
        except FailedJobError as error:
            return Ending(code=FAILED, line=f"FAILED: job {self._job.job_id}: {error_line(str(error))}")
        except UncompletedJobError:
            if self._stopped:
                return Ending(code=STOPPED, line=f"job {self._job.job_id} was canceled")
            return Ending(code=STOPPED, lost=True, line=f"job {self._job.job_id} ended as {self._job.state}")

    def stop(self) -> None:
        """See `RunningRun`: a job that waits is taken out of the queue, one that runs saves and ends."""
        self._stopped = True
        self._asked_s = 0.0
        with suppress(OSError):
            self._job.cancel(check=False)


def _whole(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name, str(default)).removesuffix("G" if name == "memory" else "")
    if not (text.isascii() and text.isdigit()):
        raise UserError(f"--slurm {name}={options[name]}: write a whole number")
    return int(text)
