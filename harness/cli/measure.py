"""`measure` and `measure-indices`: what architectures cost on this machine."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Annotated, get_args

import typer
from rich.text import Text

import architectures
from harness.cli import options as cli
from harness.cli.data import dataset_named
from harness.config.protocol import parse_size
from harness.config.run_spec import Precision, check_precision
from harness.config.suite import check_architecture
from harness.launchers import steps
from harness.profiling.presets import measurement_keys
from harness.profiling.scheduler import Request
from harness.records.measurement import PHASES, MeasureSpec, Optimizer, Option, Preset
from harness.system.console import say, status, terminal
from harness.system.environment import available_cores
from harness.system.errors import UserError, one_of, some_of
from harness.system.locks import measuring_on_this_machine


def shape_of(
    dataset: str | None, data_root: str | None, sizes: Sequence[str] | None, classes: int | None
) -> tuple[list[tuple[int, int]], int]:
    """Sizes and number of classes to measure at: those given, else the dataset's, else the paper's."""
    default, number = "360x480", 11
    if dataset is not None:
        info, _ = dataset_named(dataset, data_root, terminal())
        default, number = f"{info.size[0]}x{info.size[1]}", info.num_classes
    return list(dict.fromkeys(parse_size(one) for one in sizes or (default,))), classes or number


def _specs(
    names: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    precisions: Sequence[Precision],
    options: Sequence[tuple[Option, ...]],
    shared: Mapping[str, object],
) -> list[MeasureSpec]:
    """Every combination, architectures of one setting next to each other; `shared` is alike in all."""
    for name, size in product(names, sizes):
        check_architecture(name, size)
    return [
        MeasureSpec.model_validate(
            {
                **shared,
                "architecture": name,
                "architecture_revision": architectures.info(name).revision,
                "architecture_source": architectures.info(name).source,
                "size": size,
                "precision": precision,
                "options": chosen,
            }
        )
        for size, precision, chosen, name in product(sizes, precisions, options, names)
    ]


def _options(variant: str, optimizer: str) -> tuple[Option, ...]:
    """Of a variant (`plain`, or several joined by plus signs) and an optimizer."""
    parts, optimizers = variant.split("+"), get_args(Optimizer)
    for part in parts:
        one_of(part, ("plain", *(one for one in get_args(Option) if one not in optimizers)), "variant")
    parts.append(one_of(optimizer, optimizers, "optimizer"))
    return tuple(one for one in get_args(Option) if one in parts)


def measure(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Architectures; none: all. With --runtime also ids of runs and folders of weights."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every architecture.")] = False,
    size: Annotated[
        list[str] | None,
        typer.Option(help="Input sizes, height x width: 90x120,360x480; default: that of --dataset, else 360x480."),
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Number of classes; default: that of --dataset, else 11.", min=2)
    ] = None,
    dataset: cli.DatasetShape = None,
    data_root: cli.DataRoot = None,
    device: cli.DeviceOption = "auto",
    precision: Annotated[
        list[str] | None,
        typer.Option(help="Of fp32, tf32, bf16, with --runtime int8: fp32,bf16; default: fp32."),
    ] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option(
            help="Measure inference of runs, folders of weights or architectures in torch, torch-compile, "
            "onnxruntime, openvino instead: torch,openvino."
        ),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="plain, channels-last, compiled or folded (batch norm into convolutions), "
            "joined by + as in channels-last+folded; several with commas; default: plain."
        ),
    ] = None,
    optimizer: Annotated[
        list[str] | None,
        typer.Option(help="Of the training step: sgd, adamw or both (sgd,adamw); default: sgd, as in the paper."),
    ] = None,
    phase: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these: shapes, inference-memory, training-memory, forward, end-to-end, backward, training-step."
        ),
    ] = None,
    step_batch: Annotated[int, typer.Option(help="Images of a training step.", min=1)] = 5,
    up_to_batch: Annotated[int | None, typer.Option(help="Times at no larger batch.", min=1)] = None,
    budget: Annotated[
        str | None, typer.Option(help="Begin no measurement that may end later: 90s, 25m, 1.5h. Exit code 75 if so.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="full, lease, cpu or quick; default: cpu on a CPU, else full.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Measure even what was measured before.")] = False,
    threads: cli.Threads = 0,
    plugin: cli.Plugins = None,
    results: cli.Results = cli.DEFAULT_RESULTS,
    work: cli.Work = cli.DEFAULT_WORK,
) -> None:
    """Read the options, and measure."""
    size, precision, runtime, variant, optimizer, phase = map(
        cli.parts, (size, precision, runtime, variant, optimizer, phase)
    )
    (sizes, num_classes), named = shape_of(dataset, data_root, size, classes), cli.chosen(names, everything)
    if runtime:
        from harness.cli.runtimes import measure_in_runtimes

        others = {"variant": variant, "optimizer": optimizer, "phase": phase, "up-to-batch": up_to_batch}
        others |= {"budget": budget, "force": force, "size a second time": sizes[1:]}  # type: ignore[dict-item]
        if given := next((name for name, value in others.items() if value), ""):
            raise UserError(f"--{given} means nothing with --runtime; leave it out")
        if device == "cuda":
            raise UserError("--runtime measures on the CPU; choose --device cpu")
        code = measure_in_runtimes(
            named,
            runtime,
            precision or ["fp32"],
            shape=(sizes[0], num_classes),
            preset=preset or "cpu",
            threads=threads or available_cores(),
            data_root=data_root,
            results=results,
            work=work,
        )
        raise typer.Exit(code)
    deadline_s = cli.deadline(budget)
    picked = steps.pick_device(device)
    specs = _specs(
        tuple(dict.fromkeys(named)) or architectures.names(baselines=False),
        sizes,
        [check_precision(cli.precision_named(one), picked) for one in precision or ["fp32"]],
        [_options(*one) for one in product(variant or ["plain"], optimizer or ["sgd"])],
        {
            "num_classes": num_classes,
            "device": picked,
            "preset": one_of(preset or ("cpu" if picked == "cpu" else "full"), get_args(Preset), "preset"),
            "threads": threads or available_cores(),
        },
    )
    phases = some_of(phase, PHASES, "phase")
    requests = [Request(spec=spec, keys=measurement_keys(spec, phases, step_batch, up_to_batch)) for spec in specs]
    folder = cli.writable(results, "--results")
    raise typer.Exit(steps.measure_all(requests, folder, terminal(), force=force, deadline_s=deadline_s).exit_code)


def measure_indices(
    name: Annotated[str, typer.Argument(help="Architecture that unpools with indices.")] = "segnet",
    size: Annotated[str, typer.Option(help="Input size, height x width.")] = "360x480",
    classes: cli.Classes = 11,
    device: cli.DeviceOption = "auto",
    precision: cli.PrecisionOption = "fp32",
    threads: cli.Threads = 0,
    plugin: cli.Plugins = None,
    results: cli.Results = cli.DEFAULT_RESULTS,
) -> None:
    """Read the options, and compare."""
    from harness.profiling.indices import compare
    from harness.records.pooling_indices import INDICES

    picked = steps.pick_device(device)
    shared = {"num_classes": classes, "device": picked, "preset": "full", "threads": threads or available_cores()}
    [spec] = _specs([name], [parse_size(size)], [check_precision(cli.precision_named(precision), picked)], [()], shared)
    folder, console = cli.writable(results, "--results"), terminal()
    with measuring_on_this_machine(), status(console, f"{name}: starting") as shown:
        record = compare(spec, lambda phase: shown.update(Text(f"{name}: {phase}")))
    say(console, f"compared in {record.wall_s:.0f} s: {INDICES.save(folder, record)}")
