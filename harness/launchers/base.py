"""Launchers: who carries out the runs of a plan, and where. A run's record does not depend on it.

`local` (the default) is this machine, one run after the other or several at once; `ray` is a Ray cluster.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Protocol, Self

from rich.console import Console

from harness.config.run_spec import RunSpec
from harness.launchers.run import Outcome, RunContext
from harness.profiling.scheduler import Request
from harness.system.environment import Device
from harness.system.errors import UserError
from harness.system.registry import Registry


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


@dataclass(frozen=True, kw_only=True)
class LauncherInfo:
    """A launcher by name.

    target: "module:Class" of a `Launcher`. options: its own command-line options -> the class's argument for each.
    extra: this project's extra and the module that it brings, where the launcher needs one.
    """

    target: str
    options: Mapping[str, str]
    extra: str | None = None


LAUNCHERS: Registry[LauncherInfo] = Registry(
    "launcher",
    [
        ("local", LauncherInfo(target="harness.launchers.local:LocalEngine", options={"jobs": "jobs"})),
        (
            "ray",
            LauncherInfo(target="harness.launchers.ray:RayEngine", options={"ray_address": "address"}, extra="ray"),
        ),
    ],
)


def launcher_named(name: str, *, jobs: int = 1, ray_address: str | None = None) -> Launcher:
    """The launcher of that name.

    Args:
        name: one of LAUNCHERS.
        jobs: of `local`: how many runs at once.
        ray_address: of `ray`: an existing cluster; none: one is started on this machine.

    Raises:
        UserError: no such launcher, an option of another one, or what it needs is not installed.
    """
    info, given = LAUNCHERS[name], {"jobs": jobs, "ray_address": ray_address}
    for option, default in (("jobs", 1), ("ray_address", None)):
        if option not in info.options and given[option] != default:
            owner = next(other for other in LAUNCHERS if option in LAUNCHERS[other].options)
            shown = option.replace("_", "-")
            raise UserError(f"--{shown} is of the launcher {owner}; add --launcher {owner}, or leave --{shown} out")
    try:
        make = resolve_name(info.target)
    except ModuleNotFoundError as error:
        if info.extra is None or error.name != info.extra:
            raise
        raise UserError(
            f"launcher {name}: {info.extra} is not installed; `pip install 'segnet-harness[{info.extra}]'` brings it, "
            "or choose --launcher local"
        ) from None
    launcher: Launcher = make(**{argument: given[option] for option, argument in info.options.items()})
    return launcher
