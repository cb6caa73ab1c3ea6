"""Table 1 of one family as text cells and as files: Markdown, CSV and LaTeX."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from datasets import DatasetInfo
from harness import paper
from harness.records.measurement import PAPER_SIZE
from harness.report.accuracy import METRICS
from harness.report.accuracy_tables import (
    METRICS_NOTE,
    chosen_note,
    has_absent,
    ours_cells,
    plain,
    seeds_cells,
    spread_notes,
)
from harness.report.families import Family
from harness.report.groups import input_size, title
from harness.report.resources import MeasurementGroup
from harness.report.sheets import Footnotes
from harness.report.table1 import REFERENCE
from harness.report.tables import csv, latex, listing, markdown, percent, signed, significant
from harness.report.wording import (
    BALANCINGS,
    describe,
    extent,
    group_title,
    map_size,
    ranking_notes,
    reduced_mark,
)

_MAPS = 64  # of the encoder's first stage
_CODE_BITS, _FLOAT_BYTES = 2, 4


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of the tables that Table 1 is split into. text_columns: flush left."""

    title: str
    frame: pd.DataFrame
    text_columns: int = 1


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Table 1 of a family, ready to be written down. Notes are lines under the parts that they are on."""

    heading: str
    mark: str
    resources: Part
    resource_notes: tuple[str, ...]
    scores: tuple[Part, ...]
    score_notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Table1:
    """What the texts are made of. frame: from `table1.table1`; measured: of its resources, if any."""

    family: Family
    dataset: DatasetInfo
    frame: pd.DataFrame
    measured: MeasurementGroup | None


def family_title(family: Family) -> str:
    """Protocol without its class_weighting, data, precision and initial weights in one line."""
    group = family.first
    return group_title(group).replace(group.protocol.title, family.name)


def unlike_paper(family: Family) -> str:
    """Why a difference to the paper is not like for like; empty where data and recipe are the paper's."""
    if family.first.reduced:
        return "reduced run, not like for like"
    changed = family.name != family.first.protocol.name or family.first.weights.kind != "none"
    return "changed recipe, not like for like" if changed else ""


def sheet_of(table: Table1) -> Sheet:
    """The tables and notes of a family."""
    footnotes = Footnotes()
    resources = _resources_text(table.frame, footnotes)
    reasons = [f"n/a ({number}): {reason}" for number, reason in enumerate(footnotes.reasons, 1)]
    return Sheet(
        heading=f"Table 1 on {table.dataset.title}: {family_title(table.family)}",
        mark=reduced_mark(table.family.first),
        resources=Part(title="Size, storage and time", frame=resources),
        resource_notes=(*reasons, *_resource_notes(table)),
        scores=tuple(_score_parts(table, join=" %, ")),
        score_notes=tuple(_score_notes(table)),
    )


def table1_files(table: Table1) -> dict[str, str]:
    """`table1.md`, `.csv` and `.tex` of a family."""
    sheet = sheet_of(table)
    text = [f"# {sheet.heading}\n", f"**{sheet.mark}**\n" if sheet.mark else "", *body(sheet, level=2)]
    return {
        "table1.md": "\n".join(part for part in text if part),
        "table1.csv": csv(_with_origin(table)),
        "table1.tex": _latex(table, sheet),
    }


def body(sheet: Sheet, level: int) -> list[str]:
    """The tables and their notes in Markdown; heads of the given level."""
    parts = [(sheet.resources, sheet.resource_notes), *((part, ()) for part in sheet.scores)]
    text = []
    for part, notes in parts:
        text.append(f"{'#' * level} {part.title}\n\n{markdown(part.frame, part.text_columns)}")
        if notes:
            text.append(listing(notes))
    return [*text, listing(sheet.score_notes)]


def _resources_text(frame: pd.DataFrame, footnotes: Footnotes) -> pd.DataFrame:
    rows = frame.drop_duplicates("variant").to_dict("records")

    def given(name: str, shape: str) -> list[str]:
        return ["not given" if pd.isna(row[name]) else shape.format(row[name]) for row in rows]

    def ours(name: str, show: Callable[[float], str]) -> list[str]:
        return [_ours(row, name, show, footnotes) for row in rows]

    reference = title(REFERENCE)
    return pd.DataFrame(
        {
            "variant": [row["variant"] for row in rows],
            "parameters, M, paper": given("params_m_paper", "{:.3f}"),
            "parameters, M, here": ours("parameters", lambda value: f"{value / 1e6:.3f}"),
            "model size here, MB": ours("model_size_mb", lambda value: significant(value, 4)),
            "storage multiplier, paper": given("storage_multiplier_paper", "{:g}"),
            "kept for the decoder here, bytes": ours("storage_bytes", lambda value: f"{value:,.0f}"),
            f"times {reference}'s, here": ours("storage_ratio", lambda value: f"{value:.4g}"),
            "inference, ms, paper": given("infer_ms_paper", "{:.1f}"),
            "forward, ms, median here": ours("forward_ms", significant),
        }
    )


def _ours(row: Mapping[Any, Any], name: str, show: Callable[[float], str], footnotes: Footnotes) -> str:
    return footnotes.mark(str(row[f"{name}_reason"])) if pd.isna(row[name]) else show(float(row[name]))


def _resource_notes(table: Table1) -> list[str]:
    """What the figures were measured on, and what the paper counts otherwise."""
    half = map_size(PAPER_SIZE, 2)
    codes, float_map = half[0] * half[1] * _MAPS * _CODE_BITS // 8, half[0] * half[1] * _FLOAT_BYTES
    reduced_maps = table.dataset.num_classes
    notes = [
        "Kept for the decoder: bytes of one image at the encoder's first pooled resolution, indices as 2-bit "
        "codes and encoder maps as floats; the coarser ones, a quarter each, are left out, as in the paper.",
        f"The paper's multiplier counts maps, and takes {title(REFERENCE)}'s codes for one float map "
        f"('{float_map / 1e6:.2f} MB'), {codes // float_map} times too little: at {extent(PAPER_SIZE)}, "
        f"{_MAPS} maps of 2-bit codes ({extent(half)}) are {codes:,} bytes, {codes // float_map} float maps; "
        f"{reduced_maps} float maps are {reduced_maps * float_map:,} and {_MAPS} are {_MAPS * float_map:,} "
        "bytes.",
        f"The paper's time is of its own GPU and Caffe (its Table 6: {paper.RESOURCE_DEVICE}) at "
        f"{extent(paper.RESOURCE_SIZE)}: compare the order of the variants, not milliseconds.",
    ]
    measured = table.measured
    if measured is None:
        return notes
    size = input_size(table.family.first.protocol, table.dataset)
    differs = f"; the runs' input is {extent(size)}" if size != measured.size else ""
    mark = f" **REDUCED: {measured.reduced}.**" if measured.reduced else ""
    head = f"Storage, model size and time here, batch 1: measured on {describe(measured)}{differs}.{mark}"
    return [head, *notes]


def _score_parts(table: Table1, join: str) -> list[Part]:
    """Test and train of each class weighting; a difference is headed by what it is not."""
    unlike = unlike_paper(table.family)
    difference = "diff." if join == "|" else f"difference ({unlike})" if unlike else "difference"
    weights = table.family.first.weights.title
    parts = []
    for class_weighting in table.family.class_weightings:
        for split, metrics in (("test", METRICS), ("train", METRICS[:3])):
            rows = table.frame["class_weighting"].eq(class_weighting) & table.frame["split"].eq(split)
            name = f"{split.capitalize()} split, {class_weighting} weighting: {BALANCINGS[class_weighting]}"
            text = _scores_text(table.frame[rows], metrics, weights, difference, join)
            parts.append(Part(title=name, frame=text, text_columns=2))
    return parts


def _scores_text(frame: pd.DataFrame, metrics: Sequence[str], weights: str, difference: str, join: str) -> pd.DataFrame:
    columns: dict[str, Sequence[str]] = {
        "variant": list(frame["variant"]),
        "initial weights": [weights] * len(frame),
        "seeds": seeds_cells(frame),
        "trained": [plain(value) for value in frame["trained_iterations"]],
        "chosen at": [plain(value) for value in frame["chosen_iteration"]],
    }
    # An interval over training images says nothing of other streets.
    blank = {f"{metric}_{end}": np.nan for metric in metrics for end in ("low", "high")}
    shown = frame.assign(**blank) if frame["split"].eq("train").all() else frame
    for metric in metrics:
        columns[f"{metric}{join}paper"] = [percent(value) for value in frame[f"{metric}_paper"]]
        columns[f"{metric}{join}ours"] = ours_cells(shown, metric)
        columns[f"{metric}{join}{difference}"] = [signed(value) for value in frame[f"{metric}_difference"]]
    return pd.DataFrame(columns)


def _score_notes(table: Table1) -> list[str]:
    """What a reader must know of the scores."""
    family, dataset = table.family, table.dataset
    unlike = unlike_paper(family)
    likewise = ", as the paper's" if family.first.protocol.select_by == "G" else ""
    notes = [
        METRICS_NOTE,
        f"Differences are ours minus the paper's{f': {unlike}' if unlike else ''}. Trained on "
        f"{dataset.splits['train']} images of CamVid; the paper trained Table 1 on its "
        f"{paper.DECODER_TRAINING_IMAGES}, and not on further sets as for Table 3.",
        f"All scores are at the iteration chosen on val{likewise}. {chosen_note(family.first, dataset)}",
        "The paper gives no BF for train, and none is scored here.",
        *spread_notes(table.frame),
    ]
    if has_absent(table.frame):
        notes.append(
            "Classes absent from truth and prediction are left out of C and mIoU; table1.csv counts them and "
            "has the means over all classes, absent ones as 0, as the authors' script does."
        )
    return notes + ranking_notes(family.first, dataset, "table1")


def _with_origin(table: Table1) -> pd.DataFrame:
    """What a figure was made under travels with it, in every row, and what a difference is not."""
    group, measured = table.family.first, table.measured
    origin = {
        "protocol": table.family.name,
        "data": group.variant,
        "data_sha256": group.digest,
        "precision": group.computed,
        "initial_weights": group.weights.title,
        "reduced": "; ".join(group.reduced),
    }
    resources = {"resources_measured_on": describe(measured) if measured else ""}
    unlike = unlike_paper(table.family).replace(",", "").replace(" ", "_")
    names = {f"{metric}_difference": f"{metric}_difference_{unlike}" for metric in METRICS} if unlike else {}
    frame = table.frame.rename(columns=names)
    first, last = (pd.DataFrame([cells] * len(frame), index=frame.index) for cells in (origin, resources))
    at = list(frame.columns).index("params_m_paper")
    return pd.concat([first, frame.iloc[:, :at], last, frame.iloc[:, at:]], axis=1)


def _latex(table: Table1, sheet: Sheet) -> str:
    """A table each for the resources and for each class weighting and split, whose heads have two levels."""
    slug = table.family.slug
    parts = [sheet.resources, *_score_parts(table, join="|")]
    text = []
    for number, part in enumerate(parts, 1):
        caption = ". ".join(words for words in (f"{sheet.heading}: {part.title}", sheet.mark) if words) + "."
        notes = sheet.resource_notes if number == 1 else sheet.score_notes if number == len(parts) else ()
        frame = part.frame
        heads = [tuple(head.split("|")) if "|" in head else ("", head) for head in frame.columns]
        if number > 1:
            frame.columns = pd.MultiIndex.from_tuples(heads)
        label = f"tab:{slug}-{number}"
        text.append(latex(frame, caption=caption, label=label, notes=notes, text_columns=part.text_columns))
    return "\n".join(text)
