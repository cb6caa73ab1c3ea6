"""`measure` and `measure-indices`: what architectures cost on this machine."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.text import Text

import architectures
from harness.cli.data import dataset_named
from harness.cli.options import (
    DEFAULT_RESULTS,
    DEFAULT_WORK,
    Classes,
    DataRoot,
    DatasetShape,
    DeviceOption,
    Plugins,
    PrecisionOption,
    Results,
    Threads,
    Work,
    check_precision,
    chosen,
    precision_named,
    writable,
)
from harness.config.protocol import parse_size
from harness.config.run_spec import Precision
from harness.config.suite import check_architecture
from harness.launchers import steps
from harness.profiling.scheduler import Request, measurement_keys
from harness.records.measurement import PHASES, MeasureSpec, Optimizer, Option, Phase, Preset
from harness.system.console import say, status, terminal
from harness.system.environment import Device, available_cores
from harness.system.errors import UserError, one_of
from harness.system.locks import measuring_on_this_machine
from harness.system.signals import parse_time

PLAIN = "plain"


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """The command-line options of `measure`, as given."""

    names: tuple[str, ...]
    sizes: tuple[str, ...]
    classes: int
    device: str
    precisions: tuple[str, ...]
    variants: tuple[str, ...]
    optimizers: tuple[str, ...]
    phases: tuple[str, ...]
    step_batch: int
    most: int | None
    budget: str | None
    preset: str | None
    force: bool
    threads: int
    results: Path


def measure_command(options: MeasureOptions) -> int:
    """`measure`.

    Raises:
        UserError: a bad option.
    """
    deadline_s = time.monotonic() + parse_time(options.budget, "budget") if options.budget else None
    requests = _requests(options, _device(options.device))
    results = writable(options.results, "--results")
    return steps.measure_all(requests, results, terminal(), force=options.force, deadline_s=deadline_s).exit_code


def shape_of(
    dataset: str | None, data_root: str | None, sizes: Sequence[str] | None, classes: int | None
) -> tuple[tuple[str, ...], int]:
    """Sizes and number of classes to measure at: those given, else the dataset's, else the paper's.

    Raises:
        datasets.DatasetError: an unknown dataset, or bad data.
    """
    default, number = "360x480", 11
    if dataset is not None:
        info, _ = dataset_named(dataset, data_root, terminal())
        default, number = f"{info.size[0]}x{info.size[1]}", info.num_classes
    return tuple(dict.fromkeys(sizes or (default,))), classes or number


def _requests(options: MeasureOptions, device: Device) -> list[Request]:
    level = one_of(options.preset or ("cpu" if device == "cpu" else "full"), get_args(Preset), "preset")
    phases: tuple[Phase, ...] = tuple(one for one in PHASES if one in options.phases)
    for phase in options.phases:
        one_of(phase, PHASES, "phase")
    names = tuple(dict.fromkeys(options.names)) or tuple(architectures.names(baselines=False))
    sizes = [parse_size(text) for text in options.sizes]
    for name, size in product(names, sizes):
        check_architecture(name, size)
    requests = []
    chosen = product(sizes, options.precisions, options.variants, options.optimizers)
    for size, precision, variant, optimizer in chosen:
        for name in names:
            spec = MeasureSpec.model_validate(
                {
                    "architecture": name,
                    "architecture_revision": architectures.info(name).revision,
                    "architecture_source": architectures.info(name).source,
                    "num_classes": options.classes,
                    "size": size,
                    "precision": _possible(precision, device),
                    "options": _options(variant, optimizer),
                    "device": device,
                    "preset": level,
                    "threads": options.threads or available_cores(),
                }
            )
            requests.append(Request(spec=spec, keys=measurement_keys(spec, phases, options.step_batch, options.most)))
    return requests


def _options(variant: str, optimizer: str) -> tuple[Option, ...]:
    """Of a variant (`plain`, or several joined by plus signs) and an optimizer."""
    parts, optimizers = variant.split("+"), get_args(Optimizer)
    for part in parts:
        one_of(part, (PLAIN, *(one for one in get_args(Option) if one not in optimizers)), "variant")
    parts.append(one_of(optimizer, optimizers, "optimizer"))
    return tuple(one for one in get_args(Option) if one in parts)


def _possible(text: str, device: Device) -> Precision:
    precision = precision_named(text)
    check_precision(precision, device)
    return precision


def _device(text: str) -> Device:
    return steps.pick_device(one_of(text, ("auto", "cpu", "cuda"), "device"))


def measure_indices_command(
    *, name: str, size: str, classes: int, device: str, precision: str, threads: int, results: Path
) -> int:
    """`measure-indices`.

    Raises:
        UserError: a bad option, or an architecture without pooling indices.
    """
    from harness.profiling.indices import IndexSpec, compare
    from harness.records.pooling_indices import INDICES

    height, width = parse_size(size)
    check_architecture(name, (height, width))
    picked = _device(device)
    spec = IndexSpec(
        architecture=name,
        num_classes=classes,
        size=(height, width),
        precision=_possible(precision, picked),
        device=picked,
        threads=threads or available_cores(),
    )
    folder, console = writable(results, "--results"), terminal()
    with measuring_on_this_machine(), status(console, f"{name}: starting") as shown:
        record = compare(spec, lambda phase: shown.update(Text(f"{name}: {phase}")))
    path = INDICES.save(folder, record)
    say(console, f"compared in {record.wall_s:.0f} s: {path}")
    return 0


def measure(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Architectures; none: all. With --runtime also ids of runs and folders of weights."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every architecture.")] = False,
    size: Annotated[
        list[str] | None,
        typer.Option(help="Input size, height x width; several may be given; default: 360x480."),
    ] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes; default: 11.", min=2)] = None,
    dataset: DatasetShape = None,
    data_root: DataRoot = None,
    device: DeviceOption = "auto",
    precision: Annotated[
        list[str] | None,
        typer.Option(help="fp32, tf32 or bf16, with --runtime int8 too; several may be given; default: fp32."),
    ] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option(
            help="Measure inference of runs, folders of weights or architectures in torch, torch-compile, "
            "onnxruntime, openvino instead; several may be given."
        ),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="plain, channels-last, compiled or folded (batch norm into convolutions), "
            "joined by + as in channels-last+folded; several may be given; default: plain."
        ),
    ] = None,
    optimizer: Annotated[
        list[str] | None,
        typer.Option(help="Of the training step: sgd or adamw; several may be given; default: sgd, as in the paper."),
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
    threads: Threads = 0,
    plugin: Plugins = None,
    results: Results = DEFAULT_RESULTS,
    work: Work = DEFAULT_WORK,
) -> None:
    """Read the options, and measure."""
    sizes, num_classes = shape_of(dataset, data_root, size, classes)
    if runtime:
        from harness.cli.runtimes import RuntimeOptions, runtimes_command

        others = {"variant": variant, "optimizer": optimizer, "phase": phase, "up-to-batch": up_to_batch}
        others |= {"budget": budget, "force": force, "size a second time": sizes[1:]}  # type: ignore[dict-item]
        if given := next((name for name, value in others.items() if value), ""):
            raise UserError(f"--{given} means nothing with --runtime; leave it out")
        asked = RuntimeOptions(
            names=chosen(names, everything),
            runtimes=tuple(runtime),
            precisions=tuple(precision or ("fp32",)),
            sizes=sizes,
            classes=num_classes,
            device=device,
            preset=preset,
            threads=threads,
            data_root=data_root,
            results=results,
            work=work,
        )
        raise typer.Exit(runtimes_command(asked))
    options = MeasureOptions(
        names=chosen(names, everything),
        sizes=sizes,
        classes=num_classes,
        device=device,
        precisions=tuple(dict.fromkeys(precision or ("fp32",))),
        variants=tuple(dict.fromkeys(variant or ("plain",))),
        optimizers=tuple(dict.fromkeys(optimizer or ("sgd",))),
        phases=tuple(phase or ()),
        step_batch=step_batch,
        most=up_to_batch,
        budget=budget,
        preset=preset,
        force=force,
        threads=threads,
        results=results,
    )
    raise typer.Exit(measure_command(options))


def measure_indices(
    name: Annotated[str, typer.Argument(help="Architecture that unpools with indices.")] = "segnet",
    size: Annotated[str, typer.Option(help="Input size, height x width.")] = "360x480",
    classes: Classes = 11,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "fp32",
    threads: Threads = 0,
    plugin: Plugins = None,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Read the options, and compare."""
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
