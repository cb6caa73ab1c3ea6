"""What the commands do, apart from parsing: each returns the exit code."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import architectures
import datasets
from harness.cli.options import precision_named, writable
from harness.config.initial_weights import locate, resolve
from harness.config.protocol import Protocol, load_protocol, parse_size
from harness.config.run_spec import Compiled, RunSpec
from harness.config.suite import PlanRequest, Suite, load_suite, plan
from harness.config.world import WorldInfo, check_sharing, launched_member
from harness.launchers import run as running
from harness.launchers.base import LAUNCHERS, Launcher, launcher_named
from harness.launchers.scheduling import waves
from harness.records.estimate import Machine, this_machine
from harness.records.measurement import Preset
from harness.system.environment import available_cores, emulates_bfloat16, may_have_gpu
from harness.system.errors import UserError, one_of
from harness.system.quantities import NotMeasured
from harness.system.signals import parse_time


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The command-line options of `run`, as given."""

    names: tuple[str, ...]
    suite: str
    data_root: str | None
    device: str
    precision: str
    seeds: str
    protocol: str | None
    size: str | None
    iterations: int | None
    override: tuple[str, ...]
    encoder_weights: tuple[str, ...]
    compile: str | None
    dry_run: bool
    tensorboard: bool
    threads: int
    budget: str | None
    heartbeat_timeout: str
    results: Path
    reports: Path
    work: Path
    measure: bool = True
    launcher: str = "local"
    jobs: int = 1
    ray_address: str | None = None


def run_command(options: RunOptions) -> int:
    """`run`; of several processes that torchrun started, the first leads and the others follow.

    Raises:
        UserError: a bad option; datasets.DatasetError: bad data.
    """
    member = launched_member()
    if member is None:
        return _run(options, None)
    from harness.launchers.torchrun import follow, leading

    if member.rank > 0:
        return follow(member)
    with leading(member):
        return _run(options, member)


def _run(options: RunOptions, member: WorldInfo | None) -> int:
    console, began_s = Console(), time.monotonic()
    LAUNCHERS.check(options.launcher)
    budget_s = parse_time(options.budget, "budget") if options.budget else None
    heartbeat_timeout_s = parse_time(options.heartbeat_timeout, "heartbeat-timeout")
    suite = load_suite(options.suite)
    protocols = _protocols(options, suite)
    given_weights = resolve(options.encoder_weights or (suite.encoder_weights,))
    specs = plan(
        PlanRequest(
            suite=suite,
            protocols=protocols,
            data_root=options.data_root,
            architectures=options.names,
            seeds=_seeds(options.seeds),
            precision=precision_named(options.precision),
            initial_weights=given_weights,
            compiled=_compiled(options.compile),
            further=_further(options, suite),
        )
    )
    if options.dry_run:
        running.print_plan(specs, options.results, console, _planned_machine(options))
        return 0
    from harness.training.compile import check_compiling

    if member is not None and (options.launcher != "local" or options.jobs != 1):
        raise UserError("torchrun starts the processes of each run itself; leave out --launcher and --jobs")
    with launcher_named(options.launcher, jobs=options.jobs, ray_address=options.ray_address) as launcher:
        context = running.RunContext(
            results=writable(options.results, "--results"),
            reports=writable(options.reports, "--reports"),
            work=writable(options.work, "--work"),
            data_root=options.data_root,
            weights=locate(specs, given_weights),
            device=launcher.pick_device(one_of(options.device, ("auto", "cpu", "cuda"), "device")),
            threads=options.threads or available_cores(),
            tensorboard=options.tensorboard,
            deadline_s=None if budget_s is None else began_s + budget_s,
            heartbeat_timeout_s=heartbeat_timeout_s,
            member=member,
        )
        check_sharing(member, specs)
        check_compiling(specs[0].compiled, context.device)
        _say_if_slow(specs, context.device, console)
        measured = suite.measures and options.measure
        return _run_and_report(specs, context, suite, launcher, measured, console)


def _run_and_report(
    specs: list[RunSpec],
    context: running.RunContext,
    suite: Suite,
    launcher: Launcher,
    measured: bool,
    console: Console,
) -> int:
    running.prepare_data(specs, context, console)
    trained = running.Outcome()
    for wave in waves(specs):
        trained.add(launcher.execute(wave, context, console))
        if trained.stopped or trained.time_limit_reached:
            break
    if trained.stopped or trained.time_limit_reached:
        return trained.exit_code
    quick = all(spec.protocol.quick for spec in specs)
    preset: Preset = "quick" if quick else "cpu" if context.device == "cpu" else "lease"
    code = trained.exit_code
    if measured:
        outcome = launcher.measure(running.measurement_requests(specs, context, preset), context, console)
        if outcome.stopped:
            return outcome.exit_code
        code = max(code, outcome.exit_code)
    return max(code, report_command(context.results, context.reports, [suite.name], None))


def report_command(results: Path, reports: Path, suites: list[str] | None, data_root: str | None) -> int:
    """`report`.

    Raises:
        UserError: unknown suite, nothing to report, or a folder that can't be written.
    """
    from harness.report import write_reports

    console = Console()
    for name in suites or ():
        load_suite(name)
    written = write_reports(results, writable(reports, "--reports"), suites, data_root)
    if not written:
        raise UserError(f"no records in {results} to report on; `python -m harness run` makes some")
    for page in written:
        if page.name in ("README.md", "claims.md"):
            console.print(f"report: {page}", highlight=False, soft_wrap=True)
    return 0


def merge_command(folders: list[Path], results: Path) -> int:
    """`merge`: 0, or 1 if a record was refused.

    Raises:
        UserError: a folder that is no results folder, or a target that can't be written.
    """
    from harness.records.merge import merge

    console = Console()
    merged = merge(writable(results, "--results"), folders)
    for line in merged.refused:
        console.print(f"REFUSED: {line}", highlight=False, soft_wrap=True)
    console.print(
        f"{merged.added} records added, {merged.same} were there already, {len(merged.refused)} refused",
        highlight=False,
    )
    return 1 if merged.refused else 0


def check_command(name: str, device: str) -> int:
    """`check`: 0 if the architecture keeps its contract, else 1."""
    from harness.cli.check import check_architecture_contract
    from harness.config.suite import check_architecture

    least = architectures.info(name).min_size
    check_architecture(name, (least, least))
    console = Console()
    picked = running.pick_device(one_of(device, ("auto", "cpu", "cuda"), "device"))
    table = Table("check", "result", "found", title=name, title_justify="left")
    results = check_architecture_contract(name, picked)
    for result in results:
        table.add_row(result.name, "ok" if result.passed else "FAILED", result.found)
    console.print(table)
    return 0 if all(result.passed for result in results) else 1


def fetch_command(name: str, data_root: str) -> int:
    """`data fetch`."""
    from datasets.fetch import fetch

    Console().print(fetch(name, data_root).message, highlight=False, soft_wrap=True)
    return 0


def prepare_command(name: str, data_root: str, release: str | None) -> int:
    """`data prepare`."""
    from datasets.prepare import prepare

    console = Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"converting {name}", total=None)
        made = prepare(name, data_root, release, lambda done, total: progress.update(task, completed=done, total=total))
    console.print(
        f"{made.folder}: {made.made} pairs made, {made.before} were there already",
        highlight=False,
        soft_wrap=True,
    )
    return 0


def check_data_command(name: str, data_root: str | None) -> int:
    """`data check`: 0 if all is as it should be, else 1."""
    from datasets.check import check
    from harness.cli.data import print_check

    console = Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"reading {name}", total=None)
        found = check(name, data_root, lambda done, total: progress.update(task, completed=done, total=total))
    return print_check(found, console)


# -- options ------------------------------------------------------------------------------------------------


def _protocols(options: RunOptions, suite: Suite) -> list[Protocol]:
    """The protocol with the suite's variants and the options' changes, which win; each recipe once."""
    protocol = load_protocol(options.protocol or suite.protocol)
    if protocol.name not in suite.protocols:
        known = ", ".join(suite.protocols)
        raise UserError(f"protocol {protocol.title!r} is not of suite {suite.name!r}; that has: {known}")
    changes = _changes(options, protocol)
    found = [protocol.override({**variant, **changes}) for variant in suite.variants]
    return list({one.title: one for one in found}.values())


def _further(options: RunOptions, suite: Suite) -> tuple[tuple[str, Protocol], ...]:
    """The suite's further rows, unless a class weighting is asked for: that one replaces all."""
    protocol = load_protocol(options.protocol or suite.protocol)
    changes = _changes(options, protocol)
    if "class_weighting" in changes:
        return ()
    return tuple(
        (row.architecture, protocol.override({**changes, "class_weighting": row.class_weighting}))
        for row in suite.further
        if not options.names or row.architecture in options.names
    )


def _changes(options: RunOptions, protocol: Protocol) -> dict[str, str]:
    """What the options change in the protocol: field -> value."""
    changes = {}
    for item in options.override:
        field, mark, value = item.partition("=")
        if not mark:
            raise UserError(f"override {item!r}: write field=value, such as lr=0.02")
        changes[field.strip()] = value.strip()
    if options.size is not None:
        height, width = parse_size(options.size)
        changes["size"] = f"{height}x{width}"
        if (height, width) == datasets.info(protocol.dataset).size and protocol.size is None:
            del changes["size"]
    if options.iterations is not None:
        changes["iterations"] = str(options.iterations)
    return changes


def _seeds(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"[0-9]{1,18}", part) for part in parts):  # torch takes 64 bits
        raise UserError(f"seeds {text!r}: write whole numbers with commas between them, such as 0,1,2")
    return list(dict.fromkeys(int(part) for part in parts))


def _planned_machine(options: RunOptions) -> Machine | NotMeasured:
    """This machine's device that the runs would be made on; a plan may be of another machine's runs."""
    wanted = one_of(options.device, ("auto", "cpu", "cuda"), "device")
    try:
        # torch takes seconds to import, and is asked only where the driver of some GPU has left its mark
        device = "cpu" if wanted == "auto" and not may_have_gpu() else running.pick_device(wanted)
        return this_machine(device, options.threads or available_cores())
    except UserError as error:
        return NotMeasured(reason=str(error))


def _compiled(value: str | None) -> Compiled:
    if value is None:
        return "no"
    return "graphs" if one_of(value, ("default", "graphs"), "compile") == "graphs" else "default"


def _say_if_slow(specs: list[RunSpec], device: str, console: Console) -> None:
    """bfloat16 without instructions for it is emulated, and many times slower than float32."""
    in_bf16 = any(spec.precision == "bf16" for spec in specs)
    if device == "cpu" and in_bf16 and emulates_bfloat16():
        console.print("note: this CPU has no bfloat16 instructions; --precision fp32 is many times faster")
