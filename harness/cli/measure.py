"""What `measure` and `measure-indices` do, apart from parsing: each returns the exit code."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import get_args

from rich.console import Console

import architectures
from harness.cli.options import precision_named, writable
from harness.config.protocol import parse_size
from harness.config.suite import check_architecture
from harness.launchers import run as running
from harness.profiling.scheduler import Request, cell_keys
from harness.records.measurement import PHASES, MeasureSpec, Option, Phase, Preset
from harness.system.environment import Device, available_cores
from harness.system.errors import UserError, one_of

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
    phases: tuple[str, ...]
    step_batch: int
    most: int | None
    preset: str | None
    again: bool
    threads: int
    results: Path


def measure_command(options: MeasureOptions) -> int:
    """`measure`.

    Raises:
        UserError: a bad option.
    """
    requests = _requests(options, _device(options.device))
    return running.measure_all(requests, writable(options.results, "--results"), Console(), options.again).exit_code


def _requests(options: MeasureOptions, device: Device) -> list[Request]:
    level = one_of(options.preset or ("cpu" if device == "cpu" else "full"), get_args(Preset), "preset")
    phases: tuple[Phase, ...] = tuple(one for one in PHASES if one in options.phases)
    for phase in options.phases:
        one_of(phase, PHASES, "phase")
    names = options.names or tuple(architectures.names(baselines=False))
    sizes = [parse_size(text) for text in options.sizes]
    for name, size in product(names, sizes):
        check_architecture(name, size)
    requests = []
    for size, precision, variant in product(sizes, options.precisions, options.variants):
        for name in names:
            spec = MeasureSpec.model_validate(
                {
                    "architecture": name,
                    "architecture_revision": architectures.info(name).revision,
                    "architecture_source": architectures.info(name).source,
                    "num_classes": options.classes,
                    "size": size,
                    "precision": _possible(precision, device),
                    "options": _variant(variant),
                    "device": device,
                    "preset": level,
                    "threads": options.threads or available_cores(),
                }
            )
            requests.append(Request(spec=spec, keys=cell_keys(spec, phases, options.step_batch, options.most)))
    return requests


def _variant(text: str) -> tuple[Option, ...]:
    """`plain`, or options joined by plus signs."""
    parts = text.split("+")
    for part in parts:
        one_of(part, (PLAIN, *get_args(Option)), "variant")
    return tuple(one for one in get_args(Option) if one in parts)


def _possible(text: str, device: Device) -> str:
    precision = precision_named(text)
    if precision == "tf32" and device == "cpu":
        raise UserError("precision tf32 exists on a GPU only; choose fp32 or bf16, or the device cuda")
    return precision


def _device(text: str) -> Device:
    return running.pick_device(one_of(text, ("auto", "cpu", "cuda"), "device"))


def measure_indices_command(
    *, name: str, size: str, classes: int, device: str, precision: str, threads: int, results: Path
) -> int:
    """`measure-indices`.

    Raises:
        UserError: a bad option, or an architecture without pooling indices.
    """
    from harness.profiling.indices import IndexSpec, compare
    from harness.records.pooling_indices import save_indices

    height, width = parse_size(size)
    check_architecture(name, (height, width))
    spec = IndexSpec(
        architecture=name,
        num_classes=classes,
        size=(height, width),
        precision=precision_named(precision),
        device=_device(device),
        threads=threads or available_cores(),
    )
    folder, console = writable(results, "--results"), Console()
    with console.status(f"{name}: starting") as status:
        record = compare(spec, lambda phase: status.update(f"{name}: {phase}"))
    path = save_indices(folder, record)
    console.print(f"compared in {record.wall_s:.0f} s: {path}", highlight=False, soft_wrap=True)
    return 0
