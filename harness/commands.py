"""What the commands do, apart from parsing: each returns the exit code."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import datasets
from harness import run as running
from harness.errors import UserError
from harness.initial_weights import locate, resolve
from harness.machine import available_cores
from harness.measure.record import Effort, MeasureSpec
from harness.protocol import Protocol, load_protocol, parse_size
from harness.spec import Precision, RunSpec
from harness.suite import PlanRequest, Suite, load_suite, plan


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
    encoder_weights: str | None
    dry_run: bool
    tensorboard: bool
    threads: int
    results: Path
    reports: Path
    work: Path


def run_command(options: RunOptions) -> int:
    """`run`.

    Raises:
        UserError: a bad option; datasets.DatasetError: bad data.
    """

    console = Console()
    suite = load_suite(options.suite)
    protocols = _protocols(options, suite)
    given_weights = options.encoder_weights or suite.encoder_weights
    specs = plan(
        PlanRequest(
            suite=suite,
            protocols=protocols,
            data_root=options.data_root,
            architectures=options.names,
            seeds=_seeds(options.seeds),
            precision=_precision(options.precision),
            initial_weights=resolve(given_weights),
        )
    )
    if options.dry_run:
        console.print(running.plan_table(specs, options.results))
        return 0
    places = running.Places(
        results=_writable(options.results, "--results"),
        reports=_writable(options.reports, "--reports"),
        work=_writable(options.work, "--work"),
        data_root=options.data_root,
        weights=locate(specs[0].initial_weights, given_weights),
        device=running.pick_device(_one_of(options.device, ("auto", "cpu", "cuda"), "device")),
        threads=options.threads or available_cores(),
        tensorboard=options.tensorboard,
    )
    _say_if_slow(specs, places.device, console)
    return _run_and_report(specs, places, suite, console)


def _run_and_report(specs: list[RunSpec], places: running.Places, suite: Suite, console: Console) -> int:
    running.prepare_data(specs, places, console)
    trained = running.carry_out(specs, places, console)
    if trained.stopped:
        return trained.exit_code
    quick = all(spec.protocol.quick for spec in specs)
    effort: Effort = "quick" if quick else "cpu" if places.device == "cpu" else "lease"
    wanted = running.measurement_specs(specs, places, effort)
    measured = running.measure_all(wanted, places.results, console)
    if measured.stopped:
        return measured.exit_code
    code = max(trained.exit_code, measured.exit_code)
    return max(code, report_command(places.results, places.reports, [suite.name], None))


def measure_command(
    *,
    names: tuple[str, ...],
    size: str,
    classes: int,
    device: str,
    precision: str,
    effort: str | None,
    again: bool,
    threads: int,
    results: Path,
) -> int:
    """`measure`.

    Raises:
        UserError: a bad option.
    """
    import architectures
    from harness.suite import check_architecture

    height, width = parse_size(size)
    chosen = names or tuple(architectures.names())
    for name in chosen:
        check_architecture(name, (height, width))
    picked = running.pick_device(_one_of(device, ("auto", "cpu", "cuda"), "device"))
    level = _one_of(effort or ("cpu" if picked == "cpu" else "full"), get_args(Effort), "effort")
    specs = [
        MeasureSpec.model_validate(
            {
                "architecture": name,
                "architecture_revision": architectures.info(name).revision,
                "num_classes": classes,
                "size": (height, width),
                "precision": _precision(precision),
                "device": picked,
                "effort": level,
                "threads": threads or available_cores(),
            }
        )
        for name in chosen
    ]
    return running.measure_all(specs, _writable(results, "--results"), Console(), again).exit_code


def measure_indices_command(
    *, name: str, size: str, classes: int, device: str, precision: str, threads: int, results: Path
) -> int:
    """`measure-indices`.

    Raises:
        UserError: a bad option, or an architecture without pooling indices.
    """
    from harness.measure.index_record import save_indices
    from harness.measure.indices import IndexSpec, compare
    from harness.suite import check_architecture

    height, width = parse_size(size)
    check_architecture(name, (height, width))
    spec = IndexSpec(
        architecture=name,
        num_classes=classes,
        size=(height, width),
        precision=_precision(precision),
        device=running.pick_device(_one_of(device, ("auto", "cpu", "cuda"), "device")),
        threads=threads or available_cores(),
    )
    folder, console = _writable(results, "--results"), Console()
    with console.status(f"{name}: starting") as status:
        record = compare(spec, lambda phase: status.update(f"{name}: {phase}"))
    path = save_indices(folder, record)
    console.print(f"compared in {record.wall_s:.0f} s: {path}", highlight=False, soft_wrap=True)
    return 0


def report_command(results: Path, reports: Path, suites: list[str] | None, data_root: str | None) -> int:
    """`report`.

    Raises:
        UserError: unknown suite, nothing to report, or a folder that can't be written.
    """
    from harness.report import write_reports

    console = Console()
    for name in suites or ():
        load_suite(name)
    written = write_reports(results, _writable(reports, "--reports"), suites, data_root)
    if not written:
        raise UserError(f"no records in {results} to report on; `python -m harness run` makes some")
    for page in written:
        if page.name == "README.md":
            console.print(f"report: {page}", highlight=False, soft_wrap=True)
    return 0


def check_command(name: str, device: str) -> int:
    """`check`: 0 if the architecture keeps its contract, else 1."""
    from harness.check import check_architecture_contract
    from harness.suite import check_architecture

    check_architecture(name, (32, 32))
    console = Console()
    picked = running.pick_device(_one_of(device, ("auto", "cpu", "cuda"), "device"))
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


def check_data_command(name: str, data_root: str | None) -> int:
    """`data check`: 0 if all is as it should be, else 1."""
    from datasets.check import check
    from harness.data_report import print_check

    console = Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"reading {name}", total=None)
        found = check(name, data_root, lambda done, total: progress.update(task, completed=done, total=total))
    return print_check(found, console)


# -- options ------------------------------------------------------------------------------------------------


def _protocols(options: RunOptions, suite: Suite) -> list[Protocol]:
    """The protocol with the options' changes, once for each balancing of the suite."""
    protocol = load_protocol(options.protocol or suite.protocol)
    if protocol.base not in suite.protocols:
        known = ", ".join(suite.protocols)
        raise UserError(f"protocol {protocol.name!r} is not of suite {suite.name!r}; that has: {known}")
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
    if "balancing" in changes or not suite.balancings:
        return [protocol.override(changes)]
    return [protocol.override({**changes, "balancing": balancing}) for balancing in suite.balancings]


def _seeds(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() for part in parts):
        raise UserError(f"seeds {text!r}: write whole numbers with commas between them, such as 0,1,2")
    return list(dict.fromkeys(int(part) for part in parts))


def _one_of(value: str, allowed: tuple[str, ...], what: str) -> str:
    if value not in allowed:
        raise UserError(f"{what} {value!r}: must be one of {', '.join(allowed)}")
    return value


def _precision(value: str) -> Precision:
    for known in get_args(Precision):
        if value == known:
            return known  # type: ignore[no-any-return]
    raise UserError(f"precision {value!r}: must be one of {', '.join(get_args(Precision))}")


def _writable(folder: Path, option: str) -> Path:
    """The folder, made if need be and tried by writing to it."""
    probe = folder / ".write-test"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"{option} {folder}: {error.strerror}; choose a folder that can be written") from None
    return folder


def _say_if_slow(specs: list[RunSpec], device: str, console: Console) -> None:
    """bfloat16 without instructions for it is emulated, and many times slower than float32."""
    cpuinfo = Path("/proc/cpuinfo")
    if device != "cpu" or not any(spec.precision == "bf16" for spec in specs) or not cpuinfo.exists():
        return
    flags = cpuinfo.read_text("utf-8", errors="replace")
    if "avx512_bf16" not in flags and "amx_bf16" not in flags:
        console.print("note: this CPU has no bfloat16 instructions; --precision fp32 is many times faster")
