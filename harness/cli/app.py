"""The command line: `python -m harness run | measure | report | compare | list | check | data | …`.

Imports are inside the commands, so that `--help` and `list` answer at once.
"""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import crf_app as crf_cli

app = typer.Typer(
    help="Trains and measures segmentation networks under one protocol and writes the paper's tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Fetch and check datasets.", no_args_is_help=True)
app.add_typer(data_app, name="data")

DataRoot = Annotated[
    str | None, typer.Option(help="Folder that holds the dataset's own folder.", envvar="SEGNET_DATA_ROOT")
]
Results = Annotated[Path, typer.Option(help="Folder of the records.")]
Reports = Annotated[Path, typer.Option(help="Folder of the reports.")]
Work = Annotated[Path, typer.Option(help="Folder of caches, checkpoints and weights.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
PrecisionOption = Annotated[str, typer.Option(help="fp32, tf32 or bf16.")]
Threads = Annotated[int, typer.Option(help="Threads on a CPU; 0: all cores.", min=0)]
Names = Annotated[list[str] | None, typer.Argument(help="Architectures; none: all of the suite.")]
AllOption = Annotated[bool, typer.Option("--all", help="Every architecture of the suite.")]


def _add_plugins(values: list[str] | None) -> list[str] | None:
    """Make plugins known before the command begins, so that a bad one shows at once."""
    if values:
        from architectures.external.plugins import add

        add(values)
    return values


Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        help="Another network, by the function that builds it: module:function; several may be given.",
        callback=_add_plugins,
    ),
]

DEFAULT_RESULTS, DEFAULT_REPORTS, DEFAULT_WORK = Path("results"), Path("reports"), Path("work")


@app.command()
def run(
    names: Names = None,
    everything: AllOption = False,
    suite: Annotated[str, typer.Option(help="Which set of runs.")] = "quick",
    data_root: DataRoot = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "fp32",
    seeds: Annotated[str, typer.Option(help="Seeds, such as 0 or 0,1,2.")] = "0",
    protocol: Annotated[str | None, typer.Option(help="Another protocol than the suite's.")] = None,
    size: Annotated[str | None, typer.Option(help="Reduced input size, height x width: 90x120.")] = None,
    iterations: Annotated[int | None, typer.Option(help="Fewer iterations.", min=1)] = None,
    override: Annotated[
        list[str] | None, typer.Option(help="Another value for a field of the protocol, such as lr=0.02.")
    ] = None,
    encoder_weights: Annotated[
        list[str] | None,
        typer.Option(
            help="none, imagenet, or a file; several may be given: each network takes the first that fits "
            "its encoder; default: the suite's."
        ),
    ] = None,
    compile: Annotated[
        str | None, typer.Option(help="Compile training steps: default, or graphs (CUDA graphs).")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan, with about how long it takes, and stop.")
    ] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard logs too.")] = False,
    threads: Threads = 0,
    budget: Annotated[
        str | None, typer.Option(help="Stop in time with a checkpoint: 90s, 25m, 1.5h. Exit code 75 if so.")
    ] = None,
    heartbeat_timeout: Annotated[str, typer.Option(help="End a run that shows no sign of life for so long.")] = "30m",
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Measure the networks after training.")
    ] = True,
    plugin: Plugins = None,
    launcher: Annotated[str, typer.Option(help="Where runs are carried out: local or ray.")] = "local",
    jobs: Annotated[
        int, typer.Option(help="Launcher local: runs at once, a GPU or a share of the threads each.", min=1)
    ] = 1,
    ray_address: Annotated[
        str | None,
        typer.Option(
            help="Launcher ray: an existing cluster, such as 10.0.0.1:6379; default: one started here.",
        ),
    ] = None,
    results: Results = DEFAULT_RESULTS,
    reports: Reports = DEFAULT_REPORTS,
    work: Work = DEFAULT_WORK,
) -> None:
    """Train, evaluate and measure, then write the reports. What is finished already is not done again."""
    from harness.cli.run import RunOptions, run_command

    options = RunOptions(
        names=_chosen(names, everything),
        suite=suite,
        data_root=data_root,
        device=device,
        precision=precision,
        seeds=seeds,
        protocol=protocol,
        size=size,
        iterations=iterations,
        override=tuple(override or ()),
        encoder_weights=tuple(encoder_weights or ()),
        compile=compile,
        dry_run=dry_run,
        tensorboard=tensorboard,
        threads=threads,
        budget=budget,
        heartbeat_timeout=heartbeat_timeout,
        measure=measure,
        launcher=launcher,
        jobs=jobs,
        ray_address=ray_address,
        results=results,
        reports=reports,
        work=work,
    )
    raise typer.Exit(run_command(options))


@app.command()
def measure(
    names: Names = None,
    everything: AllOption = False,
    size: Annotated[
        list[str] | None,
        typer.Option(help="Input size, height x width; several may be given; default: 360x480."),
    ] = None,
    classes: Annotated[int, typer.Option(help="Number of classes.", min=2)] = 11,
    device: DeviceOption = "auto",
    precision: Annotated[
        list[str] | None, typer.Option(help="fp32, tf32 or bf16; several may be given; default: fp32.")
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="plain, channels-last, compiled or folded (batch norm into convolutions), "
            "joined by + as in channels-last+folded; several may be given; default: plain."
        ),
    ] = None,
    phase: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these: shapes, inference-memory, training-memory, forward, end-to-end, backward, training-step."
        ),
    ] = None,
    step_batch: Annotated[int, typer.Option(help="Images of a training step.", min=1)] = 5,
    up_to_batch: Annotated[int | None, typer.Option(help="Times at no larger batch.", min=1)] = None,
    preset: Annotated[
        str | None, typer.Option(help="full, lease, cpu or quick; default: cpu on a CPU, else full.")
    ] = None,
    again: Annotated[bool, typer.Option("--force", help="Measure even what was measured before.")] = False,
    threads: Threads = 0,
    plugin: Plugins = None,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Measure time, memory and energy (Table 6): each phase in a process of its own, rounds in turns."""
    from harness.cli.measure import MeasureOptions, measure_command

    options = MeasureOptions(
        names=_chosen(names, everything),
        sizes=tuple(dict.fromkeys(size or ("360x480",))),
        classes=classes,
        device=device,
        precisions=tuple(dict.fromkeys(precision or ("fp32",))),
        variants=tuple(dict.fromkeys(variant or ("plain",))),
        phases=tuple(phase or ()),
        step_batch=step_batch,
        most=up_to_batch,
        preset=preset,
        again=again,
        threads=threads,
        results=results,
    )
    raise typer.Exit(measure_command(options))


@app.command("measure-indices")
def measure_indices(
    name: Annotated[str, typer.Argument(help="Architecture that unpools with indices.")] = "segnet",
    size: Annotated[str, typer.Option(help="Input size, height x width.")] = "360x480",
    classes: Annotated[int, typer.Option(help="Number of classes.", min=2)] = 11,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "fp32",
    threads: Threads = 0,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Compare the ways to store pooling indices: bytes, memory and time of a whole network."""
    from harness.cli.measure import measure_indices_command

    code = measure_indices_command(
        name=name,
        size=size,
        classes=classes,
        device=device,
        precision=precision,
        threads=threads,
        results=results,
    )
    raise typer.Exit(code)


@app.command()
def report(
    suite: Annotated[list[str] | None, typer.Option(help="Only these suites; default: all with records.")] = None,
    data_root: DataRoot = None,
    results: Results = DEFAULT_RESULTS,
    reports: Reports = DEFAULT_REPORTS,
) -> None:
    """Regenerate tables, plots and pages from the records alone."""
    from harness.cli.run import report_command

    raise typer.Exit(report_command(results, reports, suite, data_root))


@app.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(help="Results folders of other machines.")],
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Bring results folders together. Records that conflict are named and left as they are."""
    from harness.cli.run import merge_command

    raise typer.Exit(merge_command(folders, results))


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="Architecture.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    suite: Annotated[list[str] | None, typer.Option(help="Only these suites; default: all with records.")] = None,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Two networks side by side: paired differences of their scores on test, with intervals."""
    from harness.cli.compare import compare_command

    raise typer.Exit(compare_command(first, second, suite, results))


@app.command("list")
def list_names(plugin: Plugins = None) -> None:
    """Architectures, datasets, protocols and suites."""
    from harness.cli.list import print_listing

    print_listing()


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="Architecture, such as segnet or smp:Unet/resnet34.")],
    device: DeviceOption = "cpu",
    plugin: Plugins = None,
) -> None:
    """Try an architecture, of anyone: shapes, training, determinism, saving; what is wrong with it."""
    from harness.cli.run import check_command

    raise typer.Exit(check_command(name, device))


@data_app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Dataset.")],
    data_root: Annotated[str, typer.Option(help="Folder to put it in.", envvar="SEGNET_DATA_ROOT")] = "data",
) -> None:
    """Download a dataset from its public source."""
    from harness.cli.run import fetch_command

    raise typer.Exit(fetch_command(name, data_root))


@data_app.command("check")
def check_data(
    name: Annotated[str, typer.Argument(help="Dataset.")],
    data_root: DataRoot = None,
) -> None:
    """Verify counts, sizes, label values and content, and print the class histogram."""
    from harness.cli.run import check_data_command

    raise typer.Exit(check_data_command(name, data_root))


@data_app.command()
def prepare(
    name: Annotated[str, typer.Argument(help="Dataset.")],
    data_root: Annotated[str, typer.Option(help="Folder to make it in.", envvar="SEGNET_DATA_ROOT")] = "data",
    release: Annotated[str | None, typer.Option(help="Folder of the official release; default: the data root.")] = None,
) -> None:
    """Convert a dataset's official release to the layout that is read. Goes on where it was broken off."""
    from harness.cli.run import prepare_command

    raise typer.Exit(prepare_command(name, data_root, release))


app.command()(crf_cli.logits)
app.command()(crf_cli.crf)


def _chosen(names: list[str] | None, everything: bool) -> tuple[str, ...]:
    if names and everything:
        raise typer.BadParameter("give names or --all, not both")
    return tuple(names or ())
