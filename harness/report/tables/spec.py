"""What a table is: rows of values, columns of text made from them, and notes by id."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from harness.metrics.bootstrap import BLOCK
from harness.report.comparability import not_like_for_like, training_remark
from harness.report.grouping import SCORE_NAMES, input_size
from harness.report.render import render
from harness.report.sections import Section
from harness.report.tables.render import csv, latex, markdown
from harness.system.registry import Registry, entries_of_package

Row = Mapping[Any, Any]
Subject = Literal["scores", "costs"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of text. top: in LaTeX a head above the header, which spans neighbors of the same. text: flush left."""

    header: str
    cell: Callable[[Row], str]
    top: str = ""
    text: bool = False


def text_table(frame: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """The cells of a frame's rows as text."""
    rows = frame.to_dict("records")
    return pd.DataFrame({column.header: [column.cell(row) for row in rows] for column in columns})


def pipe_table(frame: pd.DataFrame, columns: Sequence[Column]) -> str:
    """The same as a Markdown table."""
    return markdown(text_table(frame, columns), sum(column.text for column in columns))


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """A table of reports.

    name: of its files. place: on the page, lowest first. values: rows of values, which the CSV file holds;
    an empty frame: there is no such table here. columns: what the page shows of them. notes: ids of notes in
    `templates/notes.md.j2`, for what occurs. latex: whether it is a table of the paper. csv: whether it has a file
    of values. shown: whether the page shows it, not only its file. fills: the tables of suites that have it; none:
    all. rows: those that the page shows.
    """

    name: str
    heading: str
    place: int
    values: Callable[[Section], pd.DataFrame]
    columns: Callable[[Section, pd.DataFrame], Sequence[Column]] = lambda section, frame: ()
    notes: Callable[[Section, pd.DataFrame], Sequence[str]] = lambda section, frame: ()
    subject: Subject = "scores"
    latex: bool = False
    csv: bool = True
    shown: bool = True
    fills: Collection[str] = ()
    rows: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with its values, ready to be written down."""

    spec: TableSpec
    section: Section
    frame: pd.DataFrame

    @property
    def columns(self) -> Sequence[Column]:
        """Those that stand here."""
        return self.spec.columns(self.section, self.frame)

    @property
    def rows(self) -> pd.DataFrame:
        """Those that stand here; the file has all."""
        return self.spec.rows(self.frame)

    @property
    def text(self) -> pd.DataFrame:
        """The cells as text."""
        return text_table(self.rows, self.columns)

    @property
    def markdown(self) -> str:
        """The pipe table alone."""
        return pipe_table(self.rows, self.columns)

    @property
    def notes(self) -> dict[str, str]:
        """Id -> text of its notes, Markdown of one line each."""
        return {name: note(name, self.section, self.frame) for name in self.spec.notes(self.section, self.frame)}

    def files(self, caption: str, stem: str = "") -> dict[str, str]:
        """Name -> content: CSV, and LaTeX of a table of the paper."""
        stem = stem or self.spec.name
        files = {f"{stem}.csv": csv(_with_origin(self.section, self.frame))} if self.spec.csv else {}
        if self.spec.latex:
            text, tops = self.text, [column.top for column in self.columns]
            if any(tops):
                text.columns = pd.MultiIndex.from_tuples(zip(tops, (c.header for c in self.columns), strict=True))
            label, left = f"tab:{stem}", sum(column.text for column in self.columns)
            notes = list(self.notes.values())
            files[f"{stem}.tex"] = latex(text, caption=caption, label=label, notes=notes, text_columns=left)
        return files


def _with_origin(section: Section, frame: pd.DataFrame) -> pd.DataFrame:
    """What a figure was made under travels with it, in every row of a file."""
    origin: dict[str, object] = {}
    if section.groups:
        group = section.group
        origin |= {"protocol": section.name, "data": group.spec.dataset_variant}
        origin |= {"data_sha256": group.spec.dataset_hash}
        origin |= {"precision": group.computed, "reduced": "; ".join(group.reduced)}
        if any(str(column).endswith("_difference") for column in frame):
            origin["difference"] = not_like_for_like(section.dataset)
    elif section.device:
        origin |= {"device": section.device.heading, "reduced": section.device.reduced}
    own = {name: value for name, value in origin.items() if name not in frame}
    return pd.concat([pd.DataFrame([own] * len(frame), index=frame.index), frame], axis=1)


def note(name: str, section: Section, frame: Any) -> str:
    """One note of `templates/notes.md.j2`, in one line."""
    words = {
        "BLOCK": BLOCK,
        "SCORE_NAMES": SCORE_NAMES,
        "unlike": not_like_for_like,
        "remark": training_remark,
        "input_size": input_size,
    }
    return " ".join(render("notes.md.j2", name=name, section=section, frame=frame, **words).split())


_SHARED = ("cells", "render", "spec")
# A module of this package each, which has it as `TABLE`.
# Several where they are parts of one.
TABLES: Registry[TableSpec | tuple[TableSpec, ...]] = Registry(
    "table",
    (entry for entry in entries_of_package("harness.report.tables", "TABLE") if entry[0] not in _SHARED),
)


def tables_of(section: Section, subject: Subject) -> Iterator[Table]:
    """The tables of a section in the order of the page, those that there are."""
    entries = [TABLES[name] for name in TABLES]
    specs = [spec for entry in entries for spec in (entry if isinstance(entry, tuple) else (entry,))]
    here = [spec for spec in specs if spec.subject == subject and (not spec.fills or section.suite.table in spec.fills)]
    for spec in sorted(here, key=lambda spec: spec.place):
        frame = spec.values(section)
        if len(frame):
            yield Table(spec=spec, section=section, frame=frame)
