"""What `measure --runtime` does: models in other runtimes, their table, their records."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from shlex import quote
from typing import get_args

from rich.table import Table

from datasets import DatasetError
from harness.cli.options import DEFAULT_REPORTS, DEFAULT_RESULTS, writable
from harness.deploy.runtimes import check_installed, why_not
from harness.deploy.weights import build, check_names, find_or_draw
from harness.records.measurement import Preset
from harness.records.runtimes import RUNTIMES, RuntimeName, RuntimePrecision, RuntimeRecord
from harness.system.console import say, terminal
from harness.system.errors import UserError, one_of, some_of
from harness.system.locks import measuring_on_this_machine
from harness.system.quantities import Quantity


def measure_in_runtimes(
    names: Sequence[str],
    chosen: Sequence[str],
    precisions: Sequence[str],
    *,
    shape: tuple[tuple[int, int], int],
    preset: str,
    threads: int,
    data_root: str | None,
    results: Path,
    work: Path,
) -> int:
    """Carry out `measure --runtime`; gives 0, or 1 where nothing but failures came of a model.

    Args:
        names: of runs, folders of weights, or architectures, which get size (H, W) and number of classes of `shape`.
        chosen: runtimes; the other arguments are those of `measure`.

    Raises:
        UserError: a bad option, or something else trains or measures here.
    """
    if not names:
        raise UserError("--runtime: name what to measure: ids of runs, folders that `weights` made, or architectures")
    length: Preset = one_of(preset, get_args(Preset), "preset")
    runtimes = some_of(chosen, get_args(RuntimeName), "runtime")
    kinds = some_of(precisions, get_args(RuntimePrecision), "precision")
    tried = [one for one in product(runtimes, kinds) if not why_not(*one)]
    check_installed(name for one in tried for name in one)
    sources = [find_or_draw(name, results, work, *shape) for name in names]
    check_names(sources)
    results = writable(results, "--results")

    import torch

    from harness.deploy.parity import split_of, why_no_val
    from harness.profiling.runtimes import RuntimeRequest, measure_runtimes

    console, code = terminal(), 0
    torch.set_num_threads(threads)
    with measuring_on_this_machine():
        for source in sources:
            data, train, why = None, None, why_no_val(source, data_root)
            if not why:
                try:
                    data, train = (split_of(source, one, data_root, work) for one in ("val", "train"))
                except (UserError, DatasetError) as error:
                    if len(sources) == 1:
                        raise
                    why = str(error)  # the data root is another model's
            request = RuntimeRequest(
                source=source,
                runtimes=runtimes,
                precisions=kinds,
                preset=length,
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
                    say(console, f"{record.runtime} {record.precision}: {record.failure}")
            asked = [one for one in records if one.runtime in runtimes and one.precision in kinds]
            code = 1 if all(one.failure for one in asked) else code
    where = "" if results == DEFAULT_RESULTS else f" --results {quote(str(results))}"
    page = DEFAULT_REPORTS / RUNTIMES.name / "README.md"
    say(console, f"records: {RUNTIMES.folder(results)}; then `python -m harness report{where}` writes {page}")
    return code


def _table(title: str, records: list[RuntimeRecord]) -> Table:
    """A row a runtime and precision; what is not there says why."""
    columns = ("runtime", "ms", "of torch fp32", "memory, MiB", "file, MB", "mIoU, %", "equal labels", "codes changed")
    table = Table(*columns, title=title, title_justify="left")
    # a narrow terminal breaks names, and does not cut them
    table.columns[0].min_width = max(len(one.runtime) for one in records)
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
