"""`data`: fetch, prepare and check datasets; how a command finds the dataset that it is given."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import datasets
from datasets import DatasetInfo, folder
from datasets.check import CheckReport, SplitCheck, check
from datasets.folder.check import FolderReport, check_folder
from harness.cli import options
from harness.cli.options import DataRoot, DatasetName, DatasetOrFolder, DataTarget, Plugins, Release
from harness.config.suite import OWN, QUICK, Suite, load_suite, on_own_data, suite_names
from harness.system.console import progress, say, terminal
from harness.system.errors import UserError, printable

PROBLEMS_SHOWN = 20  # of each kind
Overlays = Annotated[Path, options.folder("Folder for eight pictures of own data with their labels, to look at.")]


def dataset_named(name: str, root: str | None, console: Console) -> tuple[DatasetInfo, str | None]:
    """The description of a dataset, `folder:PATH` too, and its data root; says what was found in a folder."""
    known, root = datasets.resolve(name, root)
    if not folder.is_name(known):
        return datasets.info(known, root), root
    with _reading(name, console) as show:
        read = folder.read_folder(folder.place_of(root), show)
    read.require_sound()
    say(console, f"{read.info.title}: layout {read.layout}; {read.info.num_classes} classes")
    for note in read.notes:
        say(console, f"note: {note}")
    return read.info, root


def suite_on(suite: str | None, dataset: str | None, root: str | None, console: Console) -> tuple[Suite, str | None]:
    """The suite that is asked for, on the dataset that is asked for, and the data root.

    Without a suite it is the dataset's, and without a dataset `quick`.

    Raises:
        UserError: the suite is of another dataset, or needs one; datasets.DatasetError: bad data.
    """
    if dataset is None:
        found = load_suite(suite or QUICK)
        if found.dataset == OWN:
            raise UserError(f"suite {found.name} needs your data: --dataset folder:PATH, or a plugin's name")
        return found, root
    info, root = dataset_named(dataset, root, console)
    if suite is None:
        suites = (load_suite(name) for name in (info.name, QUICK) if name in suite_names())
        suite = next((one.name for one in suites if one.dataset == info.name), OWN)
    found = load_suite(suite)
    if found.dataset == OWN and info.own:
        return on_own_data(found, [info])[0], root
    if found.dataset != info.name:
        raise UserError(f"suite {found.name} is of dataset {found.dataset}, not of {dataset}; leave out --suite")
    return found, root


@contextmanager
def _reading(name: str, console: Console) -> Iterator[Callable[[int, int], None]]:
    """A bar of how many pictures are read."""
    with progress(console) as bars:
        task = bars.add_task(f"reading {name}", total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


data = typer.Typer(
    help="Download, convert and check datasets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@data.command()
def fetch(name: DatasetName, data_root: DataTarget = "data") -> None:
    """Download a dataset from its public source."""
    from datasets.fetch import fetch

    say(terminal(), fetch(name, data_root))


@data.command("check")
def check_data(
    name: DatasetOrFolder,
    data_root: DataRoot = None,
    overlays: Overlays = Path("work/overlays"),
    plugin: Plugins = None,
) -> None:
    """Verify counts, sizes, label values and content, and print the class histogram."""
    console = terminal()
    known, root = datasets.resolve(name, data_root)
    with _reading(name, console) as show:
        if folder.is_name(known):
            report = check_folder(folder.place_of(root), overlays, show)
        else:
            found = check(name, data_root, show)
    raise typer.Exit(print_folder(report, console) if folder.is_name(known) else print_check(found, console))


@data.command()
def prepare(name: DatasetName, data_root: DataTarget = "data", release: Release = None) -> None:
    """Convert a dataset's official release to the layout that is read. Goes on where it was broken off."""
    from datasets.registry import prepare

    console = terminal()
    with _reading(name, console) as show:
        made = prepare(name, data_root, release, show)
    say(console, f"{made.folder}: {made.made} pairs made, {made.before} were there already")


def _say_problems(console: Console, kind: str, lines: Sequence[str]) -> None:
    for line in lines[:PROBLEMS_SHOWN]:
        say(console, f"{kind}: {printable(line)}")
    if len(lines) > PROBLEMS_SHOWN:
        say(console, f"{kind}: and {len(lines) - PROBLEMS_SHOWN:,} more")


def print_check(report: CheckReport, console: Console) -> int:
    """Print what a check found; returns 0 if all is sound, else 1."""
    info = report.info
    say(console, f"{info.title}: {report.folder or 'embedded'}")
    say(console, f"content {report.content_hash or 'not taken'}: {report.variant or 'no variant'}")
    for split in report.splits:
        console.print(_histogram(split, info.classes))
    _say_problems(console, "problem", report.problems)
    console.print("sound" if report.sound else f"{len(report.problems)} problems", style="bold")
    return 0 if report.sound else 1


def _histogram(split: SplitCheck, classes: tuple[str, ...]) -> Table:
    sizes = ", ".join(f"{height} x {width}" for height, width in split.sizes)
    title = f"{split.split}: {split.images} images (expected {split.expected_images}), {sizes}"
    table = Table("class", title=title, title_justify="left")
    for column in ("pixels", "share", "expected", "difference"):
        table.add_column(column, justify="right")
    total = max(1, sum(split.pixels))
    for n, name in enumerate((*classes, "void")):
        pixels = split.pixels[n]
        known = split.expected_pixels
        beside = ("", "") if known is None else (f"{known[n]:,}", f"{pixels - known[n]:+,}")
        table.add_row(printable(name), f"{pixels:,}", f"{pixels / total:.2%}", *beside)
    return table


def print_folder(report: FolderReport, console: Console) -> int:
    """Print what the check of own data found; returns 0 if all is sound, else 1."""
    read = report.folder
    say(console, f"{read.info.title}: {read.path}")
    say(console, f"layout: {read.layout}; settings: {report.origin}; content {report.content_hash or 'not taken'}")
    say(console, f"read at {read.info.size[0]} x {read.info.size[1]} (height x width) unless --size says otherwise")
    say(console, f"label values in the files: {report.values}")
    console.print(_folder_table(report))
    for note in read.notes:
        say(console, f"note: {note}")
    for kind, lines in read.problems.items():
        _say_problems(console, kind, lines)
    images, factor = report.stretched
    if images:
        say(
            console,
            f"note: {images:,} of {sum(split.images for split in report.splits):,} images are of another shape and are "
            f"stretched by up to {factor:.2f}; `run` with --override keep_ratio=true pads them instead",
        )
    for path in report.overlays:
        say(console, f"look at: {path}")
    counts = ", ".join(f"{len(lines):,} of {kind}" for kind, lines in read.problems.items())
    console.print(f"problems: {counts}" if counts else "sound", style="bold")
    return 1 if counts else 0


def _folder_table(report: FolderReport) -> Table:
    """Pixels of each class a split, and the weight that median frequency balancing gives it."""
    info = report.folder.info
    title = "; ".join(f"{split.split}: {split.images:,} images, {split.sizes}" for split in report.splits)
    table = Table("class", title=title, title_justify="left")
    for split in report.splits:
        table.add_column(split.split, justify="right")
    table.add_column("median weight", justify="right")
    for number, name in enumerate((*info.classes, "void")):
        shares = [f"{split.pixels[number] / max(1, sum(split.pixels)):.2%}" for split in report.splits]
        weight = f"{report.weights[number]:.3g}" if number < len(report.weights) else ""
        table.add_row(printable(name), *shares, weight)
    return table
