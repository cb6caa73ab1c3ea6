"""What `measure --runtime` does: models in other runtimes, their table, their records."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from rich.table import Table

from datasets import DatasetError
from harness.cli.options import writable
from harness.config.protocol import parse_size
from harness.deploy.weights import build, check_names, find_or_draw
from harness.records.measurement import Preset
from harness.records.runtimes import RUNTIMES, RuntimeName, RuntimePrecision, RuntimeRecord
from harness.system.console import terminal
from harness.system.environment import available_cores
from harness.system.errors import UserError, one_of
from harness.system.locks import measuring_on_this_machine
from harness.system.quantities import Quantity


@dataclass(frozen=True, kw_only=True)
class RuntimeOptions:
    """The command-line options of `measure --runtime`, as given. Of lists each value may hold several, by comma."""

    names: tuple[str, ...]
    runtimes: tuple[str, ...]
    precisions: tuple[str, ...]
    sizes: tuple[str, ...]
    classes: int
    device: str
    preset: str | None
    threads: int
    data_root: str | None
    results: Path
    work: Path


def runtimes_command(options: RuntimeOptions) -> int:
    """`measure --runtime`: 0, or 1 where nothing but failures came of a model.

    Raises:
        UserError: a bad option, or something else trains or measures here.
    """
    if options.device == "cuda":
        raise UserError("--runtime measures on the CPU; choose --device cpu")
    if not options.names:
        raise UserError("--runtime: name what to measure: ids of runs, folders that `weights` made, or architectures")
    kinds: tuple[RuntimeName, ...] = get_args(RuntimeName)
    known: tuple[RuntimePrecision, ...] = get_args(RuntimePrecision)
    chosen = [one_of(one, kinds, "runtime") for one in _parts(options.runtimes)]
    precisions = [one_of(one, known, "precision") for one in _parts(options.precisions)]
    preset = one_of(options.preset or "cpu", get_args(Preset), "preset")
    sizes = [parse_size(size) for size in options.sizes]
    sources = [find_or_draw(name, options.results, options.work, sizes[0], options.classes) for name in options.names]
    check_names(sources)
    results = writable(options.results, "--results")

    import torch

    from harness.deploy.export import split_of, why_no_val
    from harness.profiling.runtimes import RuntimeRequest, measure_runtimes

    console, threads, code = terminal(), options.threads or available_cores(), 0
    torch.set_num_threads(threads)
    with measuring_on_this_machine():
        for source in sources:
            data, train, why = None, None, why_no_val(source, options.data_root)
            if not why:
                try:
                    data, train = (split_of(source, one, options.data_root, options.work) for one in ("val", "train"))
                except (UserError, DatasetError) as error:
                    if len(sources) == 1:
                        raise
                    why = str(error)  # the data root is another model's
            request = RuntimeRequest(
                source=source,
                runtimes=[one for one in kinds if one in chosen],
                precisions=[one for one in known if one in precisions],
                preset=preset,  # type: ignore[arg-type]  # checked above
                threads=threads,
                data=data,
                train=train,
                why_no_data=why,
            )
            with console.status(f"{source.name}: starting") as status:
                records = measure_runtimes(
                    request,
                    build(source),
                    lambda what, name=source.name: status.update(f"{name}: {what}"),  # type: ignore[misc]
                )
            for record in records:
                if not (record.failure and RUNTIMES.has(results, record)):  # figures are worth more than a failure
                    RUNTIMES.save(results, record)
            console.print(_table(source.name, records))
            for record in records:
                if record.failure:
                    line = f"{record.runtime} {record.precision}: {record.failure}"
                    console.print(line, highlight=False, markup=False, soft_wrap=True)
            asked = [one for one in records if one.runtime in chosen and one.precision in precisions]
            code = 1 if all(one.failure for one in asked) else code
    return code


def _parts(texts: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(part.strip() for text in texts for part in text.split(",")))


def _table(title: str, records: list[RuntimeRecord]) -> Table:
    """A row a runtime and precision; what is not there says why."""
    columns = ("runtime", "ms", "of torch fp32", "memory, MiB", "file, MB", "mIoU, %", "equal labels", "codes changed")
    table = Table(*columns, title=title, title_justify="left")
    for record in records:
        name = f"{record.runtime} {record.precision}"
        if record.time is None:
            table.add_row(name, "n/a")
            continue
        milliseconds = record.time.median_ms
        table.add_row(
            name,
            f"{milliseconds:.1f}",
            f"{milliseconds / (record.baseline_ms.value or milliseconds):.2f}",
            _shown(record.peak_rss_bytes, "{:,.0f}", 1 / 2**20),
            _shown(record.file_bytes, "{:,.1f}", 1e-6),
            _shown(record.miou, "{:.2f}"),
            _shown(record.equal_labels, "{:.3%}"),
            _shown(record.codes_changed, "{:.3%}"),
        )
    return table


def _shown(quantity: Quantity, form: str, factor: float = 1.0) -> str:
    return form.format(quantity.value * factor) if quantity.value is not None else f"n/a: {quantity.reason}"
