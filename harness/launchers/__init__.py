"""Launchers: who carries out the runs of a plan, and where. A run's record does not depend on it.

`local` (the default) is this machine, one run after the other or several at once; `ray` is a Ray cluster.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol, Self

from rich.console import Console

from harness.config.run_spec import RunSpec
from harness.launchers.run import Outcome, RunContext
from harness.profiling.scheduler import Request
from harness.system.environment import Device
from harness.system.errors import UserError, one_of

LAUNCHERS = ("local", "ray")


class Launcher(AbstractContextManager["Launcher"], Protocol):
    """What carries out runs and measurements; a context manager, which holds what it needs for that."""

    def __enter__(self) -> Self:
        """Get hold of the machines.

        Raises:
            UserError: they can't be had.
        """
        ...

    def pick_device(self, wanted: str) -> Device:
        """What to compute on; `auto` takes CUDA devices if there are any.

        Raises:
            UserError: cuda was asked for and is not there.
        """
        ...

    def execute(self, specs: Sequence[RunSpec], context: RunContext, console: Console) -> Outcome:
        """Carry out the runs that have no finished record; a failed one does not stop the rest.

        Raises:
            UserError: bad input; where it was found by a worker, its own line was printed already.
        """
        ...

    def measure(self, requests: Sequence[Request], context: RunContext, console: Console) -> Outcome:
        """Measure what is not measured yet, each machine alone.

        Raises:
            UserError: bad input.
        """
        ...


def launcher_named(name: str, *, jobs: int = 1, ray_address: str | None = None) -> Launcher:
    """The launcher of that name.

    Args:
        name: one of LAUNCHERS.
        jobs: of `local`: how many runs at once.
        ray_address: of `ray`: an existing cluster; none: one is started on this machine.

    Raises:
        UserError: no such launcher, an option of another one, or Ray is not installed.
    """
    one_of(name, LAUNCHERS, "launcher")
    if name == "local":
        from harness.launchers.local import LocalEngine

        if ray_address is not None:
            raise UserError("--ray-address is of the launcher ray; add --launcher ray, or leave it out")
        return LocalEngine(jobs)
    if jobs != 1:
        raise UserError(
            "--jobs is of the launcher local; the launcher ray runs as many at once as the cluster has room for"
        )
    try:
        from harness.launchers.ray import RayEngine
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise UserError(
            "launcher ray: Ray is not installed; `pip install 'segnet-harness[ray]'` brings it, or choose "
            "--launcher local"
        ) from None
    return RayEngine(ray_address)
