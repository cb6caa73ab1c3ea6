"""What `data check` prints."""

from rich.console import Console
from rich.table import Table

from datasets.check import CheckReport, SplitCheck
from harness.system.errors import printable

PROBLEMS_SHOWN = 20


def print_check(report: CheckReport, console: Console) -> int:
    """Print what a check found; returns 0 if all is sound, else 1."""
    info = report.info
    console.print(f"{info.title}: {report.folder or 'embedded'}", highlight=False, soft_wrap=True)
    console.print(f"content {report.content_hash or 'not taken'}: {report.variant or 'no variant'}", highlight=False)
    for split in report.splits:
        console.print(_histogram(split, info.classes))
    for problem in report.problems[:PROBLEMS_SHOWN]:
        console.print(f"problem: {printable(problem)}", highlight=False, markup=False, soft_wrap=True)
    if len(report.problems) > PROBLEMS_SHOWN:
        console.print(f"and {len(report.problems) - PROBLEMS_SHOWN} more problems")
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
        table.add_row(name, f"{pixels:,}", f"{pixels / total:.2%}", *beside)
    return table
