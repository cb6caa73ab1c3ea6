"""What `plan-cost` does, apart from parsing: it returns the exit code."""

from pathlib import Path

from rich.console import Console

from harness.report.costs.matrix import load_matrix
from harness.report.costs.page import page
from harness.report.costs.plan import make_plan
from harness.system.errors import UserError
from harness.system.files import write_atomically


def plan_cost_command(
    *, devices: str, seeds: int | None, gpu_tflops: float | None, written: Path | None, results: Path
) -> int:
    """`plan-cost`.

    Raises:
        UserError: a bad option, or a page that can't be written.
    """
    matrix = load_matrix().changed(seeds=seeds, gpu_tflops=gpu_tflops)
    text = page(make_plan(matrix, results, _numbers(devices)), results)
    console = Console()
    if written is None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    else:
        write_atomically(written, text.encode())
        console.print(f"page: {written}", highlight=False, soft_wrap=True)
    return 0


def _numbers(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() and int(part) for part in parts):
        raise UserError(f"devices {text!r}: write whole numbers with commas between them, such as 1,8,64")
    return sorted({int(part) for part in parts})
