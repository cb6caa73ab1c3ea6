"""Command-line options, each stated once; a bad value raises with what is allowed. Imports no torch."""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Any, get_args

import typer

from harness.config.run_spec import Precision
from harness.system.errors import UserError, one_of
from harness.system.signals import parse_time
from harness.system.surroundings import expanded, unchanged


def folder(text: str, *names: str, **more: Any) -> Any:
    """An option that takes a folder, with its help; `~` is resolved."""
    return typer.Option(*names, help=text, metavar="FOLDER", **{"parser": expanded, **more})


def _expanded_text(text: str) -> str:
    return str(expanded(text))


def _add_plugins(values: list[str] | None) -> list[str] | None:
    """Make plugins known before the command begins, so that a bad one shows at once."""
    if values:
        from architectures.external.plugins import add
        from datasets.plugins import add as add_datasets

        with unchanged():
            add(add_datasets(values))
    return values


Names = Annotated[list[str] | None, typer.Argument(help="Architectures; none: all of the suite.")]
AllOption = Annotated[bool, typer.Option("--all", help="Every architecture of the suite.")]
Name = Annotated[str, typer.Argument(help="Architecture, such as segnet or smp:Unet/resnet34.")]
DatasetName = Annotated[str, typer.Argument(help="Dataset.")]
DatasetOrFolder = Annotated[str, typer.Argument(help="Dataset, or folder:PATH.")]
DatasetOption = Annotated[
    str | None, typer.Option(help="Dataset: folder:PATH is your own images and labels; default: the suite's.")
]
Suites = Annotated[list[str] | None, typer.Option("--suite", help="Only these suites; default: all with records.")]
Size = Annotated[
    str | None,
    typer.Option(help="Another input size, height x width: 90x120; larger than the dataset's for own data alone."),
]
Classes = Annotated[int, typer.Option(help="Number of classes.", min=2)]
DatasetShape = Annotated[
    str | None, typer.Option("--dataset", help="Take size and classes from a dataset, such as folder:PATH.")
]
EncoderWeights = Annotated[
    list[str] | None,
    typer.Option(
        help="none, imagenet, a file, or a folder that `weights` made; several may be given: each network takes "
        "the first that fits its encoder; default: the suite's."
    ),
]
Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        help="Another network or dataset, by the function that makes it: module:function; several may be given.",
        callback=_add_plugins,
    ),
]
DataRoot = Annotated[
    str | None,
    folder(
        "Folder that holds the dataset's own folder (data, for data/CamVid); of own data that folder itself.",
        envvar="SEGNET_DATA_ROOT",
        parser=_expanded_text,
    ),
]
DataTarget = Annotated[
    str, folder("Folder to put it in.", "--data-root", envvar="SEGNET_DATA_ROOT", parser=_expanded_text)
]
Release = Annotated[
    str | None, folder("Folder of the official release; default: the data root.", parser=_expanded_text)
]
Results = Annotated[Path, folder("Folder of the records.")]
Reports = Annotated[Path, folder("Folder of the reports.")]
Work = Annotated[Path, folder("Folder of caches, checkpoints and weights.")]
Output = Annotated[Path, folder("Folder to write to.")]
ResultsFolders = Annotated[
    list[Path], typer.Argument(help="Results folders of other machines.", parser=expanded, metavar="FOLDERS...")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
PrecisionOption = Annotated[str, typer.Option(help="fp32, tf32 or bf16.")]
Threads = Annotated[int, typer.Option(help="Threads on a CPU; 0: all cores.", min=0)]
Budget = Annotated[str | None, typer.Option(help="Stop in time with a checkpoint: 90s, 25m, 1.5h. Exit code 75 if so.")]
HeartbeatTimeout = Annotated[str, typer.Option(help="End a run that shows no sign of life for so long.")]
LauncherOption = Annotated[str, typer.Option(help="Where runs are carried out: local, slurm or ray.")]
Jobs = Annotated[int, typer.Option(help="Launcher local: runs at once, a GPU or a share of the threads each.", min=1)]
GpusPerRun = Annotated[int, typer.Option(help="GPUs that share each run's batch; with --device cpu: processes.", min=1)]
RayAddress = Annotated[
    str | None,
    typer.Option(help="Launcher ray: an existing cluster, such as 10.0.0.1:6379; default: one started here."),
]
SlurmOptions = Annotated[
    list[str] | None,
    typer.Option(
        help="Launcher slurm: partition=…, time=8h, gpus=1, cpus=8, memory=32 (GB), setup='module load cuda', or any "
        "option of sbatch as name=value; several may be given."
    ),
]
Trained = Annotated[
    str, typer.Argument(help="Id of a finished run, or a folder that `weights` made.", metavar="RUN|WEIGHTS")
]
Force = Annotated[bool, typer.Option("--force", help="Replace files that are there already.")]

DEFAULT_RESULTS, DEFAULT_REPORTS, DEFAULT_WORK = Path("results"), Path("reports"), Path("work")


def parts(values: Sequence[str] | None) -> list[str]:
    """What an option names that may be given several times, or once with commas; each once."""
    return list(dict.fromkeys(part.strip() for value in values or () for part in value.split(",")))


def chosen(names: list[str] | None, everything: bool) -> tuple[str, ...]:
    """The architectures that were named; empty for all, which may be said by --all, but not both."""
    if names and everything:
        raise UserError("give names or --all, not both")
    return tuple(names or ())


def pairs(values: list[str] | None, option: str) -> dict[str, str]:
    """Values such as name=value, by name; UserError for one without an equals sign."""
    found = {}
    for item in values or ():
        name, mark, value = item.partition("=")
        if not (mark and name.strip() and value.strip()):
            raise UserError(f"--{option} {item!r}: write name=value")
        found[name.strip()] = value.strip()
    return found


def deadline(budget: str | None) -> float | None:
    """The end of a budget such as 25m by time.monotonic; none without one."""
    return time.monotonic() + parse_time(budget, "budget") if budget else None


def precision_named(value: str) -> Precision:
    """The precision of that name; UserError where there is none."""
    found: Precision = one_of(value, get_args(Precision), "precision")
    return found


def writable(folder: Path, option: str) -> Path:
    """The folder, made if need be and tried by writing to it; UserError, which names the option, if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):  # a name of its own: other commands may try the same folder now
            pass
    except OSError as error:
        raise UserError(f"{option} {folder}: {error.strerror}; choose a folder that can be written") from None
    return folder
