"""Train, val and test of each network side by side: how far scores fall from the training images to others."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from harness.records.run import History
from harness.report.accuracy import SPLITS, Scores, scored_at, span, split_label
from harness.report.grouping import Group
from harness.report.scored_data import class_names
from harness.report.sections import Section
from harness.report.store import architecture_info, title
from harness.report.tables.cells import SCORES_TABLES, PaperScores, column, loaded, mean_or_nan, paper_scores
from harness.report.tables.render import percent, signed
from harness.report.tables.spec import Column, Row, TableSpec

# Share of a run's iterations whose mean losses are compared.
TAIL = 0.1
# A class is hardly predicted where less than this share of its pixels is right.
HARDLY = 0.01


def loss_change(history: History) -> tuple[float, float] | None:
    """Mean loss of the last tenth of the iterations, and by what share it is above that of the tenth before."""
    if not history.iteration:
        return None
    at, loss = np.array(history.iteration), np.array(history.loss)
    end = at[-1]
    last, before = at > (1 - TAIL) * end, (at > (1 - 2 * TAIL) * end) & (at <= (1 - TAIL) * end)
    if not last.any() or not before.any():
        return None
    return float(loss[last].mean()), float(loss[last].mean() / loss[before].mean() - 1)


def splits(group: Group, published: PaperScores) -> pd.DataFrame:
    """A row a network at the group's shown checkpoint; percent, over seeds.

    Columns network, architecture, class_weighting, what it started from, seeds, then for each split
    S_iterations, S_images, and of G, C and mIoU S_M and S_M_std; train_minus_test and paper_minus_test of
    mIoU; loss_last (mean over the last tenth of the iterations), loss_change (percent, against the tenth
    before), loss_stride (side in pixels of the cells that the loss is taken over), never (classes predicted
    nowhere on test), hardly (those predicted, but right in under 1 % of their pixels), others (mIoU over the
    other classes).
    """
    rows = []
    for network in group.networks:
        runs = group.of(network)
        changes = [change for run in runs if (change := loss_change(run.history)) is not None]
        cells: dict[str, object] = {
            "network": title(network),
            "architecture": network,
            "class_weighting": group.protocol.class_weighting,
            **loaded(group, runs),
            "seeds": len(runs),
        }
        for split in SPLITS:
            found = Scores.of(runs, split, split_label(runs, split, group.shown_label))
            cells[f"{split}_iterations"] = span(found.iterations) if found else None
            cells[f"{split}_images"] = found.scored[0].evaluation.images if found else None
            for metric in ("G", "C", "mIoU"):
                cells[f"{split}_{metric}"] = found.mean[metric] if found else np.nan
                cells[f"{split}_{metric}_std"] = found.std.get(metric, np.nan) if found else np.nan
        cells["loss_last"] = mean_or_nan([last for last, _ in changes])
        cells["loss_change"] = 100 * mean_or_nan([share for _, share in changes])
        info = architecture_info(runs[0].record.spec.architecture)
        cells["loss_stride"] = info.output_stride if info else np.nan
        rows.append(cells | _classes(group, network))
    frame = pd.DataFrame(rows)
    if frame.empty:
        return frame
    row = group.protocol.class_weighting, group.shown_label
    theirs = [published.get((network, *row), {}).get("mIoU", np.nan) for network in frame["network"]]
    gap = frame["train_mIoU"] - frame["test_mIoU"]
    return frame.assign(train_minus_test=gap, paper_minus_test=np.array(theirs) - frame["test_mIoU"])


def _classes(group: Group, network: str) -> dict[str, object]:
    """Classes that are never or hardly right on test, all seeds together, and the mean IoU of the others."""
    scored = scored_at(group.of(network), "test", group.shown_label)
    if not scored:
        return {"never": "", "hardly": "", "others": np.nan}
    matrix = np.sum([one.matrix for one in scored], axis=0)
    right, truth, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    never = (truth > 0) & (predicted == 0)
    hardly = (truth > 0) & ~never & (right < HARDLY * truth)
    rest = (truth > 0) & ~never & ~hardly
    names = np.array(class_names(group.of(network)[0].record))
    iou = 100 * right[rest] / (truth + predicted - right)[rest]
    found = {"never": ", ".join(names[never]), "hardly": ", ".join(names[hardly])}
    return found | {"others": iou.mean() if rest.any() else np.nan}


def _values(section: Section) -> pd.DataFrame:
    published = paper_scores(section)
    frames = [splits(group, published) for group in section.groups]
    return pd.concat([frame for frame in frames if len(frame)] or [pd.DataFrame()], ignore_index=True)


def _columns(section: Section, frame: pd.DataFrame) -> list[Column]:
    found = [column("network", "network", text=True)]
    if frame["class_weighting"].nunique() > 1:
        found.append(column("class weights", "class_weighting", text=True))
    for split in SPLITS:
        if frame[f"{split}_mIoU"].notna().any():
            found.append(column(f"mIoU % on {split}", f"{split}_mIoU", percent))
    if frame["train_minus_test"].notna().any():
        found.append(column("train − test", "train_minus_test", signed))
    # a mean over cells of 8 x 8 pixels is no figure of the same kind as one over pixels
    for stride in sorted(frame.loc[frame["loss_last"].notna(), "loss_stride"].dropna().unique()):
        found.append(Column(header=_loss_header(stride), cell=_loss(stride)))
    if (frame["never"] + frame["hardly"]).any():
        found += [column("never predicted", "never"), column("right in under 1 %", "hardly")]
    return found


def _loss_header(stride: float) -> str:
    return "training loss" if stride == 1 else f"training loss over 1/{stride:g} cells"


def _loss(stride: float) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        own = row["loss_stride"] == stride and not pd.isna(row["loss_last"])
        return f"{row['loss_last']:.3f} ({signed(row['loss_change'])} %)" if own else "–"

    return cell


TABLE = TableSpec(
    name="splits",
    heading="From training images to test images",
    place=30,
    values=_values,
    fills=SCORES_TABLES,
    columns=_columns,
    notes=lambda section, frame: ("loss",) if frame["loss_last"].notna().any() else (),
)
