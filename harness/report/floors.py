"""Floors: the two baselines that see no context, scored on drawn data beside the networks."""

import subprocess
import sys
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, TypeAdapter

import datasets
from harness.report.accuracy import summarize
from harness.report.groups import Group, title
from harness.system.errors import UserError
from harness.system.subprocesses import child_environment

# Status of a baseline's row in Table 3, where a network has "finished".
BASELINE = "baseline"
# The order in which a product is summed depends on the threads, and training carries the last bit far.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Floor(BaseModel):
    """A baseline's scores on test, 0 to 1. margin: by how much SegNet's mIoU should exceed its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    margin: float
    global_accuracy: float
    class_accuracy: float
    miou: float
    bf: float
    class_accuracy_all: float
    miou_all: float
    labeled: int
    present: int
    num_classes: int


FLOORS = TypeAdapter(tuple[Floor, ...])


def floors(dataset: datasets.DatasetInfo, size: tuple[int, int]) -> tuple[Floor, ...]:
    """Position prior and per-pixel classifier of a drawn dataset, fitted on train and scored on test.

    They are computed by `harness.report.floor_process` in a process of its own that numpy may give one thread
    only: so they come out the same whatever the number of cores.

    Args:
        dataset: drawn, so that its pictures are at hand.
        size: input (height, width) of the networks; scored at the labels' full size, as theirs.

    Raises:
        UserError: the process failed.
    """
    command = [sys.executable, "-m", "harness.report.floor_process", dataset.name, *map(str, size)]
    environment = {**child_environment(), **dict.fromkeys(_ONE_THREAD, "1")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UserError(f"the baselines of {dataset.name} can't be computed: {last}")
    return FLOORS.validate_json(done.stdout)


def floor_rows(found: Sequence[Floor]) -> list[dict[str, object]]:
    """Rows that `accuracy.table3` appends to a table of drawn data; percent."""
    return [
        {
            "network": f"baseline: {floor.name}",
            "seeds": 0,
            "failed_seeds": 0,
            "status": BASELINE,
            "G_ours": 100 * floor.global_accuracy,
            "C_ours": 100 * floor.class_accuracy,
            "mIoU_ours": 100 * floor.miou,
            "BF_ours": 100 * floor.bf,
            "C_over_classes": floor.labeled,
            "mIoU_over_classes": floor.present,
            "classes": floor.num_classes,
            "C_all_classes": 100 * floor.class_accuracy_all,
            "mIoU_all_classes": 100 * floor.miou_all,
        }
        for floor in found
    ]


def verdicts(group: Group, reference: str, found: Sequence[Floor]) -> list[str]:
    """A line a floor: whether the reference network exceeds it by its margin at the last fixed iteration."""
    summary = summarize(group.of(reference), "test", group.last_label)
    if summary is None:
        return [f"{title(reference)} is not among the finished runs: nothing to hold against the baselines."]
    miou = summary.mean["mIoU"] / 100
    lines = []
    for floor in found:
        ahead = miou - floor.miou
        verdict = "yes" if ahead >= floor.margin else "NO"
        lines.append(
            f"{title(reference)}'s mIoU is {miou:.3f} at '{group.last_label}', that of the {floor.name} "
            f"{floor.miou:.3f}. Exceeds it by {floor.margin:.2f}: **{verdict}** ({ahead:+.3f})."
        )
    return lines
