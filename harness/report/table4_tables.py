"""Tables 4 and 5 of one family as text cells and as files: Markdown, CSV and LaTeX."""

from dataclasses import dataclass

import pandas as pd

from datasets import DatasetInfo
from harness import paper
from harness.records.run import BEST
from harness.report.accuracy import PAPER_BEST
from harness.report.accuracy_tables import latex_text, renamed, table3_notes, table3_text, with_origin
from harness.report.comparability import as_column, difference_note, not_like_for_like
from harness.report.families import Family
from harness.report.groups import Group, title
from harness.report.table4 import BALANCED, REFERENCE, own_group, published_rows
from harness.report.tables import csv, latex, listing, markdown, percent, signed, spread
from harness.report.wording import group_title, reduced_mark


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What the texts are made of: the frames of `table4` and `table5`."""

    family: Family
    dataset: DatasetInfo
    accuracies: pd.DataFrame
    classes: pd.DataFrame | None

    @property
    def heading(self) -> str:
        """Of the family's section."""
        return f"Table 4 on {self.dataset.title}, test split: {_family_title(self.family)}"

    @property
    def mark(self) -> str:
        """`REDUCED: ...`, empty for full runs."""
        return reduced_mark(self.family.first)


def _family_title(family: Family) -> str:
    group = family.first
    return group_title(group).replace(group.protocol.title, family.name)


def body(tables: Tables, level: int) -> list[str]:
    """Both tables with their notes in Markdown; the head of Table 5 of the given level."""
    text = [markdown(table3_text(tables.accuracies, tables.dataset), 2), listing(_notes(tables))]
    if tables.classes is not None:
        text.append(f"{'#' * level} {_class_heading(tables)}\n\n{markdown(class_text(tables))}")
        text.append(listing(_class_notes(tables)))
    return text


def _notes(tables: Tables) -> list[str]:
    notes = table3_notes(tables.family.first, tables.dataset, tables.accuracies)
    if len(published_rows(tables.family)) < len(paper.sun_accuracies()):
        notes.append(
            "The paper's rows at fixed iterations are left out, since no iteration here answers to them: its "
            f"best rows stand beside ours '{BEST}'."
        )
    return notes


def tables_files(tables: Tables) -> dict[str, str]:
    """`table4.md`, `.csv` and `.tex` of a family and, where SegNet has finished, `table5` likewise."""
    mark = f"**{tables.mark}**\n" if tables.mark else ""
    frame, dataset = tables.accuracies, tables.dataset
    text = [f"# {tables.heading}\n", mark, markdown(table3_text(frame, dataset), 2), listing(_notes(tables))]
    files = {
        "table4.md": "\n".join(part for part in text if part),
        "table4.csv": csv(renamed(frame, dataset)),
        "table4.tex": latex(
            latex_text(frame, dataset),
            caption=_caption(tables.heading, tables.mark),
            label=f"tab:{tables.family.slug}-accuracy",
            notes=_notes(tables),
            text_columns=2,
        ),
    }
    return files if tables.classes is None else files | _class_files(tables, tables.classes, mark)


def _class_files(tables: Tables, frame: pd.DataFrame, mark: str) -> dict[str, str]:
    heading, cells = _class_heading(tables), class_text(tables)
    text = [f"# {heading}\n", mark, markdown(cells), listing(_class_notes(tables))]
    return {
        "table5.md": "\n".join(part for part in text if part),
        "table5.csv": csv(with_origin(tables.family.first, _marked(frame, tables.dataset))),
        "table5.tex": latex(
            cells,
            caption=_caption(heading, tables.mark),
            label=f"tab:{tables.family.slug}-classes",
            notes=_class_notes(tables),
        ),
    }


def _marked(frame: pd.DataFrame, dataset: DatasetInfo) -> pd.DataFrame:
    """Table 5 with CSV heads: what a difference is not travels with it."""
    mark = as_column(not_like_for_like(dataset))
    names = {name: f"{name}_{mark}" for name in map(str, frame) if name.endswith("_difference")}
    return frame.rename(columns=names)


def _caption(heading: str, mark: str) -> str:
    return ". ".join(part.rstrip(".") for part in (heading, mark) if part) + "."


def _class_heading(tables: Tables) -> str:
    return (
        f"Table 5 on {tables.dataset.title}, test split: accuracy of {title(REFERENCE)} by class, "
        f"{_family_title(tables.family)}"
    )


def class_text(tables: Tables) -> pd.DataFrame:
    """Table 5 as text cells under the heads that a reader sees."""
    frame = tables.classes
    if frame is None:
        return pd.DataFrame()
    columns: dict[str, list[str]] = {"class": list(frame["class"])}
    columns["labeled pixels"] = [f"{int(value):,}" for value in frame["labeled_pixels"]]
    columns[f"{title(REFERENCE)} %, paper"] = [percent(value) for value in frame["paper"]]
    own = own_group(tables.family)
    for group in tables.family.groups:
        name = group.protocol.class_weighting
        if f"{name}_ours" not in frame:
            continue
        head = f"{title(REFERENCE)}{'' if group is own else BALANCED[name]} %"
        values = zip(frame[f"{name}_ours"], frame[f"{name}_std"], strict=True)
        columns[f"{head}, ours"] = [_cell(value, std) for value, std in values]
        if group is own:
            mark = not_like_for_like(tables.dataset)
            columns[f"{head}, difference ({mark})"] = [signed(value) for value in frame[f"{name}_difference"]]
    return pd.DataFrame(columns)


def _cell(value: float, std: float) -> str:
    return "absent" if pd.isna(value) else spread(value, std=std, low=float("nan"), high=float("nan"))


def _class_notes(tables: Tables) -> list[str]:
    ran = [group for group in tables.family.groups if group.of(REFERENCE)]
    iterations = "; ".join(f"{_whose(tables, group)} {_iterations(group)}" for group in ran)
    notes = [
        f"Accuracy of a class: share of its labeled pixels that are right, percent, at '{BEST}' (iteration "
        f"{iterations}), mean over seeds. The last row is the mean over the classes that are there."
    ]
    best = next(row for row in paper.sun_accuracies() if row.checkpoint == PAPER_BEST)
    notes.append(f"The paper's column is {best.network}'s best row of Table 4, at {best.iterations:,} iterations.")
    return [*notes, difference_note(tables.dataset)]


def _whose(tables: Tables, group: Group) -> str:
    ending = "" if group is own_group(tables.family) else BALANCED[group.protocol.class_weighting]
    return f"{title(REFERENCE)}{ending}:"


def _iterations(group: Group) -> str:
    scored = [run.at("test", BEST) for run in group.of(REFERENCE)]
    found = {one.evaluation.iteration for one in scored if one is not None}
    return ", ".join(f"{iteration:,}" for iteration in sorted(found)) or "not scored"
