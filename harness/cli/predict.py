"""The command `predict`: a trained model on one's own pictures."""

import time
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options as cli

_PATHS = "Pictures, folders, videos, folder:PATH (the images of your own dataset), or a webcam: '<video0>'."


def predict(
    model: cli.Trained,
    paths: Annotated[list[str], typer.Argument(help=_PATHS)],
    output: cli.Output = Path("predictions"),
    native: Annotated[
        bool, typer.Option("--native", help="Run at each picture's own size, not at the size of training.")
    ] = False,
    batch: Annotated[int, typer.Option(help="Pictures a forward pass.", min=1)] = 1,
    device: cli.DeviceOption = "auto",
    precision: Annotated[
        str | None, typer.Option(help="fp32, tf32 or bf16; default: that of training, where the device can.")
    ] = None,
    threads: cli.Threads = 0,
    force: cli.Force = False,
    plugin: cli.Plugins = None,
    results: cli.Results = cli.DEFAULT_RESULTS,
    work: cli.Work = cli.DEFAULT_WORK,
) -> None:
    """Label pictures with a trained model: class indices, colors, overlay with legend, shares of the classes."""
    from rich.progress import BarColumn, MofNCompleteColumn

    from harness.deploy.items import TABLE, collect
    from harness.deploy.pictures import predict_items
    from harness.deploy.weights import find
    from harness.launchers.steps import pick_device
    from harness.system.console import progress, say, terminal, text_column
    from harness.system.environment import available_cores

    source = find(model, results, work)
    items = collect(paths, output, force)
    wanted = cli.precision_named(precision) if precision else None
    cli.writable(output, "--output")
    picked = pick_device(device)

    import torch

    from harness.deploy.predict import predictor

    torch.set_num_threads(threads or available_cores())
    console, ready = terminal(), predictor(source, picked, wanted)
    total = None if any(item.video for item in items) else len(items)
    columns = (text_column("predicting"), BarColumn(), MofNCompleteColumn(), text_column("{task.fields[rate]}"))
    began = time.perf_counter()
    with progress(console, *columns) as bars:
        task, done = bars.add_task("", total=total, rate=""), 0

        def show(pictures: int) -> None:
            nonlocal done
            done += pictures
            rate = f"{done / (time.perf_counter() - began):.2f} pictures/s"
            bars.update(task, advance=pictures, rate=rate)

        outcome = predict_items(ready, items, output, batch=batch, native=native, on_pictures=show)
    seconds = time.perf_counter() - began
    for line in outcome.failed:
        say(console, f"left out: {line}")
    say(
        console,
        f"{outcome.done} pictures in {seconds:.1f} s ({outcome.done / seconds:.2f} a second) on {picked}, "
        f"{ready.precision}; files read and written included",
    )
    say(console, f"written: {output}, {output / TABLE}")
    raise typer.Exit(1 if outcome.failed else 0)
