"""Shares of one machine for runs that go on at once: a GPU each, and as many threads each."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.system.environment import Device
from harness.system.errors import UserError
from harness.system.subprocesses import child_environment

_UUIDS = """
import torch
from harness.system.environment import gpu_uuid
for card in range(torch.cuda.device_count()):
    print(gpu_uuid(card))
"""


@dataclass(frozen=True, kw_only=True)
class Slot:
    """What one run at a time has of the machine.

    threads: torch's threads on the CPU.
    variables: of the environment, so that it sees nothing else.
    """

    threads: int
    variables: Mapping[str, str] = field(default_factory=dict)


def slots(jobs: int, device: Device, threads: int) -> list[Slot]:
    """Shares for so many runs at once.

    Args:
        jobs: how many.
        device: what they compute on.
        threads: that all of them have together.

    Raises:
        UserError: more runs than GPUs, or than threads.
    """
    if jobs > threads:
        raise UserError(f"--jobs {jobs}: {threads} threads can't be shared by so many; give at most --jobs {threads}")
    share = threads // jobs
    if device == "cpu":
        return [Slot(threads=share)] * jobs
    uuids = gpu_uuids()
    if jobs > len(uuids):
        raise UserError(
            f"--jobs {jobs}: each run at once needs a GPU of its own, and there are {len(uuids)} here; "
            f"give at most --jobs {len(uuids)}"
        )
    return [Slot(threads=share, variables={"CUDA_VISIBLE_DEVICES": uuid}) for uuid in uuids[:jobs]]


def gpu_uuids() -> list[str]:
    """UUIDs of the CUDA devices that this process may use, in CUDA's order.

    A child asks for them: looking at a card makes a context, which would keep hold of some of its memory.

    Raises:
        UserError: torch can't tell.
    """
    done = subprocess.run(
        [sys.executable, "-c", _UUIDS], env=child_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UserError(f"device cuda: torch can't list the GPUs ({reason}); leave out --jobs")
    return done.stdout.split()
