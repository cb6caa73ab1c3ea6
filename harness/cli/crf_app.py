"""The commands `logits` and `crf`, which `harness.cli.app` adds to its own."""

from pathlib import Path
from typing import Annotated

import typer

DataRoot = Annotated[
    str | None, typer.Option(help="Folder that holds the dataset's own folder.", envvar="SEGNET_DATA_ROOT")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Threads = Annotated[int, typer.Option(help="Threads on a CPU; 0: all cores.", min=0)]
Results = Annotated[Path, typer.Option(help="Folder of the records.")]
Work = Annotated[Path, typer.Option(help="Folder of caches, checkpoints and weights.")]

DEFAULT_RESULTS, DEFAULT_WORK = Path("results"), Path("work")


def logits(
    run: Annotated[str, typer.Argument(help="Id of a finished run, the name of its record's folder.")],
    split: Annotated[
        list[str] | None, typer.Option(help="train, val or test; several may be given; default: val, test.")
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="Of the last iteration, not of the one that val chose.")] = False,
    data_root: DataRoot = None,
    device: DeviceOption = "auto",
    threads: Threads = 0,
    results: Results = DEFAULT_RESULTS,
    work: Work = DEFAULT_WORK,
) -> None:
    """Keep a run's logits beside its weights, as fp16: the dense CRF can do with them alone."""
    from harness.cli.crf import CrfOptions, logits_command

    options = CrfOptions(data_root=data_root, device=device, threads=threads, results=results, work=work)
    raise typer.Exit(logits_command(run, tuple(split or ()), last, options))


def crf(
    runs: Annotated[list[str], typer.Argument(help="Ids of finished runs, their folders' names.")],
    data_root: DataRoot = None,
    device: DeviceOption = "auto",
    threads: Threads = 0,
    budget: Annotated[
        str | None, typer.Option(help="Stop in time with what is done: 90s, 25m, 1.5h. Exit code 75.")
    ] = None,
    heartbeat_timeout: Annotated[str, typer.Option(help="End a run that shows no sign of life for so long.")] = "30m",
    results: Results = DEFAULT_RESULTS,
    work: Work = DEFAULT_WORK,
) -> None:
    """Refine finished runs' output by the dense CRF, as runs of their own: search on val, then score."""
    from harness.cli.crf import CrfOptions, crf_command
    from harness.system.signals import parse_time

    options = CrfOptions(data_root=data_root, device=device, threads=threads, results=results, work=work)
    budget_s = parse_time(budget, "budget") if budget else None
    raise typer.Exit(crf_command(tuple(runs), budget_s, heartbeat_timeout, options))
