"""The accuracy tables of one group as files: Markdown, CSV and LaTeX."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from datasets import DatasetInfo
from harness.config.suite import Table
from harness.records.run import BEST
from harness.report.accuracy import FINISHED, METRICS, SPLITS
from harness.report.comparability import as_column, difference_note, not_like_for_like
from harness.report.dense_crf import crf_notes, crf_time_cells
from harness.report.groups import BLOCK, SCORE_NAMES, Group
from harness.report.samples import TIE_NOTE
from harness.report.tables import csv, latex, listing, markdown, percent, signed, spread
from harness.report.wording import group_title, ranking_notes, reduced_mark

# What the table of accuracies is called, by the paper's table that its suite fills.
TABLE_NAMES = {"table3": "Table 3", "none": "Accuracy"}

DRAWN = "†"  # marks networks whose fully connected layers were drawn where others were loaded

METRICS_NOTE = (
    "G: share of labeled pixels that are right. C: mean of the classes' accuracies. mIoU: mean of their "
    "intersection over union. BF: boundary F1, mean over classes, then over images. All in percent."
)


def table3_files(
    group: Group,
    dataset: DatasetInfo,
    frame: pd.DataFrame,
    table: Table = "table3",
) -> dict[str, str]:
    """`table3.md`, `.csv` and `.tex` of a group, from `accuracy.table3`.

    `accuracy.md` and so on where the recipe is not the paper's.
    """
    heading = f"{TABLE_NAMES[table]} on {dataset.title}, test split: {group_title(group)}"
    mark = reduced_mark(group)
    notes = table3_notes(group, dataset, frame, table)
    text = [f"# {heading}\n", f"**{mark}**\n" if mark else "", markdown(table3_text(frame, dataset), 2)]
    text.append(listing(notes))
    caption = ". ".join(part.rstrip(".") for part in (heading, mark) if part) + "."
    return {
        f"{stem(table)}.md": "\n".join(part for part in text if part),
        f"{stem(table)}.csv": csv(with_origin(group, renamed(frame, dataset))),
        f"{stem(table)}.tex": latex(
            latex_text(frame, dataset),
            caption=caption,
            label=f"tab:{group.slug}-accuracy",
            notes=notes,
            text_columns=2,
        ),
    }


def stem(table: Table) -> str:
    """Of the names of the table's files."""
    return TABLE_NAMES[table].lower().replace(" ", "")


def table3_text(frame: pd.DataFrame, dataset: DatasetInfo) -> pd.DataFrame:
    """Table 3 as text cells under the heads that a reader sees."""
    return _text(frame, dataset, f"difference ({not_like_for_like(dataset)})", " %, ")


def _text(frame: pd.DataFrame, dataset: DatasetInfo, difference: str, join: str) -> pd.DataFrame:
    columns: dict[str, Sequence[str]] = {
        "network": list(frame["network"]),
        "checkpoint": [plain(value) for value in frame["checkpoint"]],
    }
    beside = _beside_paper(frame)
    if beside:
        columns["iterations, paper"] = [whole(value) for value in frame["paper_iterations"]]
    columns["iterations, ours"] = [plain(value) for value in frame["iterations"]]
    columns["initial weights"] = weights_cells(frame)
    columns["seeds"] = seeds_cells(frame)
    for metric in METRICS:
        if beside:
            columns[f"{metric}{join}paper"] = [percent(value) for value in frame[f"{metric}_paper"]]
        columns[f"{metric}{join}ours"] = ours_cells(frame, metric)
        if beside:
            columns[f"{metric}{join}{difference}"] = [signed(value) for value in frame[f"{metric}_difference"]]
    return pd.DataFrame(columns | crf_time_cells(frame) | _class_columns(frame))


def _beside_paper(frame: pd.DataFrame) -> bool:
    """Whether the paper's figures stand in the table."""
    return "paper_iterations" in frame


def weights_cells(frame: pd.DataFrame) -> list[str]:
    """What the networks started from; marked where fully connected layers were drawn, see `drawn_notes`."""
    started = zip(frame["initial_weights"], frame["layers_loaded"], frame["layers_drawn"], strict=True)
    return [
        plain(weights)
        if plain(layers) == "–"
        else f"loaded: {layers} layers{'' if plain(drawn) == '–' else f' {DRAWN}'}"
        for weights, layers, drawn in started
    ]


def drawn_notes(frame: pd.DataFrame) -> list[str]:
    """What the mark of drawn layers is, where it occurs."""
    names = sorted(set(frame["layers_drawn"].dropna()))
    return [f"`{DRAWN}`: {' or '.join(names)} drawn (He et al.), not loaded."] if names else []


def seeds_cells(frame: pd.DataFrame) -> list[str]:
    """How many seeds were scored, and how many failed."""
    return [
        f"{seeds} ({failed} failed)" if failed else str(seeds or "–")
        for seeds, failed in zip(frame["seeds"], frame["failed_seeds"], strict=True)
    ]


def ours_cells(frame: pd.DataFrame, metric: str) -> list[str]:
    """Our scores with their spread and a mark for ties, or why there are none."""
    cells = []
    for row in frame.to_dict("records"):
        value = row[f"{metric}_ours"]
        shown = spread(value, std=row[f"{metric}_std"], low=row[f"{metric}_low"], high=row[f"{metric}_high"])
        shown += " =" if row[f"{metric}_tie"] else ""
        cells.append(shown if row["status"] == FINISHED else str(row["status"]))
    return cells


def _class_columns(frame: pd.DataFrame) -> dict[str, list[str]]:
    """What C and mIoU are the mean over, only where a class is absent in some row."""
    if not has_absent(frame):
        return {}
    columns: dict[str, list[str]] = {}
    for metric in ("C", "mIoU"):
        over = zip(frame[f"{metric}_over_classes"], frame["classes"], strict=True)
        columns[f"{metric}: classes"] = ["–" if pd.isna(n) else f"{int(k)} of {int(n)}" for k, n in over]
        columns[f"{metric} %, divided by all classes"] = [percent(v) for v in frame[f"{metric}_all_classes"]]
    return columns


def has_absent(frame: pd.DataFrame) -> bool:
    """Whether C or mIoU of some row is not over all classes."""
    scored = frame[frame["classes"].notna()]
    whole = scored["C_over_classes"].eq(scored["classes"]) & scored["mIoU_over_classes"].eq(scored["classes"])
    return not bool(whole.all())


def table3_notes(group: Group, dataset: DatasetInfo, frame: pd.DataFrame, table: Table = "table3") -> list[str]:
    """What a reader must know of the table's figures."""
    notes = [METRICS_NOTE]
    if _beside_paper(frame):
        notes.append(difference_note(dataset))
    notes += [*spread_notes(frame), *drawn_notes(frame)]
    if (frame["checkpoint"] == BEST).any():
        notes.append(chosen_note(group, dataset, "; the fixed iterations are the ones to compare"))
    if has_absent(frame):
        notes.append(
            "Classes absent from truth and prediction are left out of the means ('k of n'); the column "
            "'divided by all classes' counts them as 0, as the authors' script does."
        )
    return notes + crf_notes(group) + ranking_notes(group, dataset, table)


def spread_notes(frame: pd.DataFrame) -> list[str]:
    """What `±`, `[low, high]` and `=` are, where they occur."""
    notes = []
    if (frame["seeds"] > 1).any():
        notes.append("`±`: standard deviation over seeds (sample, n − 1).")
    if frame["G_low"].notna().any():
        notes.append(
            f"`[low, high]`: 95 % bootstrap interval of one seed, over blocks of {BLOCK} neighboring "
            "frames; it holds the choice of test images, not what another seed would change."
        )
    if frame[[f"{metric}_tie" for metric in METRICS]].to_numpy().any():
        notes.append(TIE_NOTE)
    return notes


def chosen_note(group: Group, dataset: DatasetInfo, advice: str = "") -> str:
    """By which score the iteration was chosen and, on CamVid, what that says; `advice` ends its sentence."""
    text = f"'{BEST}': the iteration of highest val {SCORE_NAMES[group.protocol.select_by]}."
    remark = val_remark(dataset, advice)
    return f"{text} {remark}" if remark else text


def val_remark(dataset: DatasetInfo, advice: str = "") -> str:
    """What val says, ended by `advice`; only of CamVid is there anything to say."""
    if dataset.name != "camvid":
        return ""
    return (
        "All 101 val frames come from the sequence of 204 of the training frames, so val says little of "
        f"unseen streets{advice}."
    )


def latex_text(frame: pd.DataFrame, dataset: DatasetInfo) -> pd.DataFrame:
    """Table 3 as text cells under heads of two levels: score, then paper, ours and difference."""
    text = _text(frame, dataset, "diff.", "|")
    heads = [tuple(head.split("|")) if "|" in head else ("", head) for head in text.columns]
    text.columns = pd.MultiIndex.from_tuples(heads)
    return text


def renamed(frame: pd.DataFrame, dataset: DatasetInfo) -> pd.DataFrame:
    """CSV heads: what a difference is not travels with it; scores are percent."""
    reason = as_column(not_like_for_like(dataset))
    names = {f"{metric}_difference": f"{metric}_difference_{reason}" for metric in METRICS}
    return frame.rename(columns=names)


def with_origin(group: Group, frame: pd.DataFrame) -> pd.DataFrame:
    """What a figure was made under travels with it, in every row."""
    origin: Mapping[str, str] = {
        "protocol": group.protocol.title,
        "data": group.variant,
        "data_sha256": group.digest,
        "precision": group.computed,
        "reduced": "; ".join(group.reduced),
    }
    return pd.concat([pd.DataFrame([origin] * len(frame), index=frame.index), frame], axis=1)


def splits_files(group: Group, dataset: DatasetInfo, frame: pd.DataFrame) -> dict[str, str]:
    """`splits.md` and `.csv` of a group, from `accuracy.splits`."""
    images = {split: frame[f"{split}_images"].dropna() for split in SPLITS}
    counted = ", ".join(f"{split} {int(found.iloc[0])}" for split, found in images.items() if len(found))
    text = [
        f"# Train, val and test side by side on {dataset.title}: {group_title(group)}\n",
        f"**{reduced_mark(group)}**\n" if group.reduced else "",
        markdown(splits_text(frame)),
        listing(
            [
                f"Images scored: {counted}. Mean over seeds, `±` their standard deviation (sample, n − 1). "
                "A large step from train to test is over-fitting.",
                *drawn_notes(frame),
            ]
        ),
    ]
    return {
        "splits.md": "\n".join(part for part in text if part),
        "splits.csv": csv(with_origin(group, frame)),
    }


def splits_text(frame: pd.DataFrame) -> pd.DataFrame:
    """The splits side by side as text cells; each column is of one split."""
    columns: dict[str, list[str]] = {
        "network": list(frame["network"]),
        "initial weights": weights_cells(frame),
        "seeds": [str(seeds) for seeds in frame["seeds"]],
    }
    iterations = frame[[f"{split}_iterations" for split in SPLITS]]
    if (iterations.nunique(axis=1) <= 1).all():
        columns["iteration"] = [plain(value) for value in frame["test_iterations"]]
    for split in SPLITS:
        if "iteration" not in columns:
            columns[f"{split}: iteration"] = [plain(value) for value in iterations[f"{split}_iterations"]]
        for metric in METRICS[:3]:
            values = zip(frame[f"{split}_{metric}"], frame[f"{split}_{metric}_std"], strict=True)
            columns[f"{split}: {metric} %"] = [spread(value, std=std, low=np.nan, high=np.nan) for value, std in values]
    return pd.DataFrame(columns)


def per_class_files(group: Group, dataset: DatasetInfo, frame: pd.DataFrame) -> dict[str, str]:
    """`per-class.md` and `.csv` of a group, from `accuracy.per_class`."""
    mark = reduced_mark(group)
    text = [f"# Per-class values on {dataset.title}, test split: {group_title(group)}\n"]
    text.append(
        f"Checkpoint {group.shown_checkpoint}. Percent, mean over seeds, `±` their standard deviation "
        f"(sample, n − 1).{f' **{mark}**' if mark else ''}\n"
    )
    ran = frame.drop_duplicates("network")
    started = zip(ran["network"], ran["seeds"], weights_cells(ran), strict=True)
    lines = [f"{name}: seeds {seeds}, initial weights {given}" for name, seeds, given in started]
    text.append(listing([*lines, *drawn_notes(ran)]))
    for column, name in (("accuracy", "Accuracy"), ("iou", "Intersection over union")):
        shown = frame.assign(
            shown=[
                "absent" if pd.isna(value) else f"{value:.1f}" + ("" if pd.isna(std) else f" ± {std:.1f}")
                for value, std in zip(frame[column], frame[f"{column}_std"], strict=True)
            ]
        )
        cells = shown.pivot(index="class", columns="network", values="shown")
        cells = cells.reindex(index=list(dataset.classes), columns=list(ran["network"])).reset_index()
        text += [f"## {name}\n", markdown(cells)]
    return {"per-class.md": "\n".join(text), "per-class.csv": csv(with_origin(group, frame))}


def whole(value: float) -> str:
    """A whole number, or `–` for what there is not."""
    return "–" if pd.isna(value) else f"{int(value):,}"


def plain(value: object) -> str:
    """A value as it is, or `–` for what there is not."""
    return "–" if value is None or value != value else str(value)
