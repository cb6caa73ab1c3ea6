"""The command `export`: trained models in other formats."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import DEFAULT_RESULTS, DEFAULT_WORK, DataRoot, Force, Output, Plugins, Results, Threads, Work

Models = Annotated[
    list[str],
    typer.Argument(
        help="Ids of finished runs, folders that `weights` made, or architectures, whose weights are then drawn.",
        metavar="MODEL...",
    ),
]


def export(
    models: Models,
    kind: Annotated[
        list[str] | None,
        typer.Option("--format", help="onnx, openvino or torch-export; several may be given; default: onnx."),
    ] = None,
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="For images of any size, not for the size of training alone.")
    ] = False,
    output: Output = Path("exports"),
    size: Annotated[str, typer.Option(help="Of architectures with drawn weights: height x width.")] = "360x480",
    classes: Annotated[int, typer.Option(help="Of architectures with drawn weights.", min=2)] = 11,
    data_root: DataRoot = None,
    threads: Threads = 0,
    force: Force = False,
    plugin: Plugins = None,
    results: Results = DEFAULT_RESULTS,
    work: Work = DEFAULT_WORK,
) -> None:
    """Export models, each with how its logits, labels and mIoU on val differ from torch's, written beside it."""
    from rich.progress import Progress, TaskID
    from rich.table import Table

    from datasets import DatasetError
    from harness.cli.options import writable
    from harness.config.protocol import parse_size
    from harness.deploy.runtimes import check_installed
    from harness.deploy.weights import check_names, find_or_draw
    from harness.system.console import say, terminal
    from harness.system.environment import available_cores
    from harness.system.errors import UserError, one_of

    console, names = terminal(), ("onnx", "openvino", "torch-export")
    kinds = [one_of(one, names, "format") for one in kind or ("onnx",)]
    check_installed(kinds)
    sources = [find_or_draw(one, results, work, parse_size(size), classes) for one in models]
    check_names(sources)
    writable(output, "--output")

    import torch

    from harness.deploy.export import FORMATS, Exported, check_free
    from harness.deploy.export import export as export_model
    from harness.deploy.parity import Val, val_of
    from harness.deploy.weights import build

    formats = [one for one in FORMATS if one in kinds]
    if not force:
        check_free(sources, formats, output, dynamic)
    torch.set_num_threads(threads or available_cores())
    rows: list[Exported] = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for source in sources:
            task = progress.add_task(f"exporting {source.name}", total=None)
            model = build(source)

            def show(images: int, task: TaskID = task) -> None:
                progress.advance(task, images)

            try:
                val = val_of(source, model, data_root, work, show)
            except (UserError, DatasetError) as error:
                if len(sources) == 1:
                    raise
                val = Val(why_not=str(error))  # the data root is another model's
            for form in formats:
                rows.append(export_model(source, model, form, output, dynamic=dynamic, val=val, on_images=show))
            progress.remove_task(task)
    table = Table("model", "format", "file, MB", "largest difference", "equal labels", "mIoU before", "after")
    table.columns[0].overflow = "fold"
    reasons: dict[str, str] = {}
    for row in rows:
        if row.failure is not None or row.parity is None or row.file_bytes is None:
            table.add_row(row.name, row.format, "not exported")
            reasons[f"{row.name}, {row.format}: not exported"] = str(row.failure)
            continue
        found, mious = row.parity, (row.parity.miou_before, row.parity.miou_after)
        shown = [f"{one.value:.2f} %" if one.value is not None else "n/a" for one in mious]
        if found.miou_after.reason is not None:
            reasons[f"{row.name}: no mIoU"] = found.miou_after.reason
        difference = f"{found.largest_difference:.2g} of {found.logits_deviation:.2g}"
        table.add_row(
            row.name, row.format, f"{row.file_bytes / 1e6:.1f}", difference, f"{found.equal_labels:.4%}", *shown
        )
    console.print(table)
    for what, reason in reasons.items():
        say(console, f"{what}: {reason}")
    say(
        console, "Differences are of logits, beside the logits' standard deviation; each file has its own as FILE.json."
    )
    raise typer.Exit(1 if any(row.failure for row in rows) else 0)
