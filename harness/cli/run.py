"""`run`: train, evaluate and measure, then write the reports."""

import re
from typing import Annotated

import typer
from rich.console import Console

from harness.cli import options as cli
from harness.cli.data import suite_on
from harness.cli.dry_run import print_plan
from harness.cli.report import print_reports
from harness.config.initial_weights import locate
from harness.config.planning import Plan, plan, stages
from harness.config.request import RunRequest
from harness.config.run_spec import Compiled, check_compiling, check_precision
from harness.config.suite import OWN
from harness.config.world import check_sharing
from harness.launchers import steps
from harness.launchers.base import Launcher, check_launcher, launcher_for
from harness.profiling.scheduler import as_kept
from harness.records.estimate import Machine, this_machine
from harness.records.measurement import Preset
from harness.system.console import say, terminal
from harness.system.environment import available_cores, emulates_bfloat16
from harness.system.errors import UserError, one_of
from harness.system.quantities import NotMeasured
from harness.system.signals import parse_time


def run(
    context: typer.Context,
    names: cli.Names = None,
    everything: cli.AllOption = False,
    suite: Annotated[str | None, typer.Option(help="Which set of runs; default: the dataset's, or quick.")] = None,
    dataset: cli.DatasetOption = None,
    data_root: cli.DataRoot = None,
    device: cli.DeviceOption = "auto",
    precision: cli.PrecisionOption = "fp32",
    seeds: Annotated[str, typer.Option(help="Seeds, such as 0 or 0,1,2.")] = "0",
    protocol: Annotated[str | None, typer.Option(help="Another protocol than the suite's.")] = None,
    size: cli.Size = None,
    iterations: Annotated[
        int | None, typer.Option(help="Another number of iterations; fewer make a reduced run.", min=1)
    ] = None,
    override: Annotated[
        list[str] | None, typer.Option(help="Another value for a field of the protocol, such as lr=0.02.")
    ] = None,
    encoder_weights: cli.EncoderWeights = None,
    compile: Annotated[
        str | None, typer.Option(help="Compile training steps: default, or graphs (CUDA graphs).")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan, with about how long it takes, and stop.")
    ] = False,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard",
            help='Write TensorBoard logs too, to WORK/runs/RUN/tensorboard; needs pip install -e ".[tensorboard]".',
        ),
    ] = False,
    threads: cli.Threads = 0,
    budget: cli.Budget = None,
    heartbeat_timeout: cli.HeartbeatTimeout = "30m",
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Measure the networks after training.")
    ] = True,
    report: Annotated[
        bool,
        typer.Option("--report/--no-report", help="Write reports and site at the end; `harness report` does it later."),
    ] = True,
    plugin: cli.Plugins = None,
    launcher: cli.LauncherOption = "local",
    jobs: cli.Jobs = 1,
    gpus_per_run: cli.GpusPerRun = 1,
    ray_address: cli.RayAddress = None,
    slurm: cli.SlurmOptions = None,
    results: cli.Results = cli.DEFAULT_RESULTS,
    reports: cli.Reports = cli.DEFAULT_REPORTS,
    work: cli.Work = cli.DEFAULT_WORK,
) -> None:
    """Read the options into one request, and carry it out. Those that a field of it bears the name of go there."""
    read = {
        "architectures": cli.chosen(names, everything),
        "overrides": tuple(override or ()),
        "seeds": _seeds(seeds),
        "precision": cli.precision_named(precision),
        "compiled": _compiled(compile),
        "encoder_weights": tuple(encoder_weights or ()),
        "slurm": cli.pairs(slurm, "slurm"),
        "device": one_of(device, ("auto", "cpu", "cuda"), "device"),
        "deadline_s": cli.deadline(budget),
        "heartbeat_timeout_s": parse_time(heartbeat_timeout, "heartbeat-timeout"),
    }
    given = {name: value for name, value in context.params.items() if name in RunRequest.model_fields}
    request = RunRequest.model_validate({**given, **read})
    check_launcher(request)
    raise typer.Exit(_print_plan(request) if dry_run else _run(request))


def _plan(request: RunRequest, console: Console) -> Plan:
    suite, data_root = suite_on(request.suite, request.dataset, request.data_root, console)
    return plan(request.model_copy(update={"data_root": data_root}), suite)


def _print_plan(request: RunRequest) -> int:
    specs = _plan(request, terminal()).specs
    check_sharing(request.gpus_per_run, specs)
    machine: Machine | NotMeasured
    try:  # a plan may be of another machine's runs
        machine = this_machine(steps.pick_device(request.device), request.threads or available_cores())
    except UserError as error:
        machine = NotMeasured(reason=str(error))
    if request.launcher == "local" and isinstance(machine, Machine) and machine.device == "cpu":
        check_precision(request.precision, "cpu")
        check_compiling(request.compiled, "cpu")
    print_plan(specs, request.results, terminal(), machine)
    return 0


def _run(request: RunRequest) -> int:
    console = terminal()
    planned = _plan(request, console)
    check_sharing(request.gpus_per_run, planned.specs)
    for option in ("results", "reports", "work"):
        cli.writable(getattr(request, option), f"--{option}")
    with launcher_for(request) as launcher:
        resolved = {
            **{option: getattr(request, option).resolve() for option in ("results", "work")},
            "data_root": planned.data_root,
            "device": launcher.pick_device(request.device),
            "threads": request.threads or available_cores(),
            "weights": locate(planned.specs, planned.initial_weights),
        }
        check_precision(request.precision, str(resolved["device"]))
        request = request.model_copy(update=resolved)
        check_compiling(request.compiled, "cuda" if request.device == "cuda" else "cpu")
        if request.device == "cpu" and request.precision == "bf16" and emulates_bfloat16():
            say(console, "note: this CPU has no bfloat16 instructions; --precision fp32 is many times faster")
        return _carry_out(planned, request, launcher, console)


def _carry_out(planned: Plan, request: RunRequest, launcher: Launcher, console: Console) -> int:
    quick = all(spec.protocol.quick for spec in planned.specs)
    preset: Preset = "quick" if quick else "cpu" if request.device == "cpu" else "lease"
    measures = request.measure and planned.suite.measures
    measurements = steps.measurement_requests(planned.specs, request, preset) if measures else []
    for wanted in measurements if request.device == "cpu" else ():
        as_kept(request.results, wanted.spec)  # refuses now what it would refuse after hours of training
    steps.prepare_data(planned.specs, request, console)
    trained = steps.PlanResult()
    for stage in stages(planned.specs):
        trained.add(launcher.execute(stage, request, console))
        if trained.stopped or trained.time_limit_reached:
            return trained.exit_code
    code = trained.exit_code
    if measurements:
        try:
            measured = launcher.measure(measurements, request, console)
        except UserError:
            _report(planned, request, console)  # of what was trained
            raise
        if measured.stopped or measured.time_limit_reached:
            return measured.exit_code
        code = max(code, measured.exit_code)
    _report(planned, request, console)
    return code


def _report(planned: Plan, request: RunRequest, console: Console) -> None:
    """Reports, the table in the terminal and the site, of records that are read once; the table alone if asked.

    Where the site can't be made, the runs and their reports are no less done.
    """
    from harness.report.store import read_store
    from harness.report.terminal import print_results

    store, suite = read_store(request.results), planned.suite
    if request.report:
        print_reports(store, request.reports, [OWN if suite.own_data else suite.name])
    wanted = [spec.run_id for spec in planned.specs]
    print_results(store, [suite], console, wanted)
    finished = [record.run_id for record in store.records if record.run_id in wanted and record.status == "finished"]
    if finished:
        say(console, f"runs, for predict, weights and export: {', '.join(finished)}")
    if not request.report:
        return
    from harness.report.site.build import write_site

    try:
        say(console, f"site: {write_site(store, request.reports.parent / 'site')}")
    except UserError as error:
        say(console, f"no site: {error}")


def _seeds(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"[0-9]{1,18}", part) for part in parts):  # torch takes 64 bits
        raise UserError(f"seeds {text!r}: write whole numbers with commas between them, such as 0,1,2")
    return tuple(dict.fromkeys(int(part) for part in parts))


def _compiled(value: str | None) -> Compiled:
    known: tuple[Compiled, ...] = ("default", "graphs")
    return "no" if value is None else one_of(value, known, "compile")
