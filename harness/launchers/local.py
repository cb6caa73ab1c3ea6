"""This machine: one run after the other in this terminal, or several at once with a share of it each."""

import subprocess
import sys
from collections.abc import Mapping

from harness.config.request import RunRequest
from harness.config.worker_job import WorkerJob
from harness.launchers.base import Launcher
from harness.launchers.display import log_file
from harness.launchers.process import RunProcess
from harness.system.environment import Device, available_cores
from harness.system.errors import UserError
from harness.system.supervisor import child_environment, error_line

_UUIDS = """
import torch
from harness.system.environment import gpu_uuid
for card in range(torch.cuda.device_count()):
    print(gpu_uuid(card))
"""


class LocalLauncher(Launcher):
    """Each run in a process of its own on this machine, `jobs` of them at once.

    With more than one job each run has GPUs of its own, or its share of the threads.
    """

    remote = False

    def __init__(self, request: RunRequest) -> None:
        self.places = request.jobs
        self.foreground = request.jobs == 1
        self._variables: list[Mapping[str, str]] = []
        self._runs: dict[int, RunProcess] = {}

    def prepare(self, request: RunRequest) -> RunRequest:
        """See `Launcher`."""
        device: Device = "cuda" if request.device == "cuda" else "cpu"
        threads = request.threads or available_cores()
        each, self._variables = shares(request.jobs, request.gpus_per_run, device, threads)
        return request.model_copy(update={"threads": each})

    def start(self, job: WorkerJob) -> RunProcess:
        """See `Launcher`. A run that another process works on is left to that one."""
        place = next(n for n in range(len(self._variables)) if n not in self._runs or self._runs[n].ended)
        log = None if self.foreground else log_file(job.folder)
        self._runs[place] = RunProcess(job, log=log, variables=self._variables[place])
        return self._runs[place]


def shares(jobs: int, gpus_per_run: int, device: Device, threads: int) -> tuple[int, list[Mapping[str, str]]]:
    """torch's threads of each of so many runs at once, and each one's variables, so that it sees no other's GPUs.

    Raises:
        UserError: more GPUs, or threads, than there are.
    """
    if jobs > threads:
        raise UserError(f"--jobs {jobs}: {threads} threads can't be shared by so many; give at most --jobs {threads}")
    if device == "cpu" or jobs == gpus_per_run == 1:
        return threads // jobs, [{}] * jobs
    uuids = gpu_uuids()
    if jobs * gpus_per_run > len(uuids):
        wanted = f"--jobs {jobs}" if gpus_per_run == 1 else f"--jobs {jobs} --gpus-per-run {gpus_per_run}"
        raise UserError(f"{wanted}: that takes {jobs * gpus_per_run} GPUs, and there are {len(uuids)} here; give less")
    cards = [uuids[n * gpus_per_run : (n + 1) * gpus_per_run] for n in range(jobs)]
    return threads // jobs, [{"CUDA_VISIBLE_DEVICES": ",".join(each)} for each in cards]


def gpu_uuids() -> list[str]:
    """UUIDs of the CUDA devices that this process may use, in CUDA's order.

    A child asks for them: looking at a card makes a context, which would keep hold of some of its memory.

    Raises:
        UserError: torch can't tell.
    """
    asked = [sys.executable, "-P", "-c", _UUIDS]
    done = subprocess.run(asked, env=child_environment(), capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode != 0:
        raise UserError(f"device cuda: torch can't list the GPUs ({error_line(done.stderr)}); leave out --jobs")
    return done.stdout.split()
