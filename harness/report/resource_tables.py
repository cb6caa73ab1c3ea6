"""Table 6 of one device as files: Markdown, CSV and LaTeX."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from harness import paper
from harness.measure.record import INFERENCE_BATCH, TRAINING_BATCH
from harness.report.groups import title
from harness.report.resources import COMPARED, Comparison, Footnotes, MeasurementGroup
from harness.report.tables import csv, latex, listing, markdown, significant
from harness.report.wording import extent, input_notes

# Columns that a kind of device does not have are left out of the Markdown, with one line that says why.
_DEVICE_MEMORY = {
    "allocated_mib": "allocator's peak",
    "reserved_mib": "allocator's reserve",
    "nvml_mib": "NVML used minus idle",
    "process_mib": "process's peak RSS",
}


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of the tables that Table 6 is split into, since together they are too wide for a page."""

    title: str
    frame: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Table 6 of one device, ready to be written down.

    file: start of its files' names. notes: lines under the tables, on this device alone. reasons: of each
    `n/a (n)`.
    """

    heading: str
    file: str
    mark: str
    parts: tuple[Part, ...]
    notes: tuple[str, ...]
    reasons: tuple[str, ...] = field(default=())


def table6_files(group: MeasurementGroup, against: Comparison, frame: pd.DataFrame) -> dict[str, str]:
    """`table6-<device>.md`, `.csv` and `.tex`, from `resources.table6`."""
    sheet = sheet_of(group, against, frame)
    name = sheet.file
    general = general_notes(against)
    return {
        f"{name}.md": _markdown(sheet, general),
        f"{name}.csv": csv(_with_origin(group, frame)),
        f"{name}.tex": _latex(sheet, general, group.slug),
    }


def sheet_of(group: MeasurementGroup, against: Comparison, frame: pd.DataFrame) -> Sheet:
    """The tables and notes of one device."""
    footnotes = Footnotes()
    maker = _Maker(frame=frame, footnotes=footnotes, against=against)
    parts = (
        Part(title="Time of one image (batch 1)", frame=maker.times()),
        Part(title=f"Training memory (batch {TRAINING_BATCH})", frame=maker.memory("training")),
        Part(title=f"Inference memory (batch {INFERENCE_BATCH})", frame=maker.memory("inference")),
        Part(title="Size and work", frame=maker.size()),
    )
    left_out = [f"n/a for every network: {', '.join(what)}: {why}" for why, what in maker.left_out.items()]
    return Sheet(
        heading=f"{against.name} on {describe(group)}",
        file=f"{against.file_start}-{group.slug}",
        mark=f"REDUCED: {group.reduced}" if group.reduced else "",
        parts=parts,
        notes=tuple([*left_out, *_notes(group, against, frame)]),
        reasons=tuple(footnotes.reasons),
    )


def describe(group: MeasurementGroup) -> str:
    """Device, input size, precision and effort in one line."""
    spec = group.first.spec
    threads = f", {spec.threads} thread{'s' if spec.threads > 1 else ''}" if spec.device == "cpu" else ""
    made = f"{spec.precision}, effort {spec.effort}"
    return f"{group.first.device_name}{threads}, input {extent(group.size)}, {made}"


@dataclass(kw_only=True)
class _Maker:
    """Makes the text cells of the parts; reasons are numbered in the order of reading."""

    frame: pd.DataFrame
    footnotes: Footnotes
    against: Comparison
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def times(self) -> pd.DataFrame:
        columns = self._networks()
        for phase in ("forward", "backward"):
            head = f"{phase}, ms"
            columns |= self._paper(f"{phase}_ms", head)
            columns[f"{head}, median here"] = self._cells(f"{phase}_ms")
            columns[f"{head}, p90 here"] = self._cells(f"{phase}_p90_ms")
            columns |= self._ratios(f"{phase}_ms", phase)
        return pd.DataFrame(columns)

    def memory(self, phase: str) -> pd.DataFrame:
        name = f"{phase}_live_mib"
        columns = self._networks() | self._paper(name, "nvidia-smi, MB")
        columns["live tensors' peak here, MiB"] = self._cells(name)
        columns |= self._ratios(name, "live tensors")
        for suffix, head in _DEVICE_MEMORY.items():
            measured = f"{phase}_{suffix}"
            reasons = self.frame.loc[self.frame["status"] != "not measured", f"{measured}_reason"]
            if reasons.notna().all() and reasons.nunique() == 1:
                self.left_out.setdefault(str(reasons.iloc[0]), []).append(f"{phase} {head}")
            else:
                columns[f"{head} here, MiB"] = self._cells(measured)
        return pd.DataFrame(columns)

    def size(self) -> pd.DataFrame:
        columns = self._networks() | self._paper("model_size_mb", "model size, MB")
        columns["model size here, MB"] = self._cells("model_size_mb", digits=4)
        columns |= self._ratios("model_size_mb", "model size")
        columns["parameters here"] = self._cells("parameters", show=lambda value: f"{int(value):,}")
        columns["GMACs here"] = self._cells("gmacs", digits=4)
        return pd.DataFrame(columns)

    def _networks(self) -> dict[str, list[str]]:
        return {"network": list(self.frame["network"])}

    def _paper(self, name: str, head: str) -> dict[str, list[str]]:
        if not self.against.with_paper:
            return {}
        return {f"{head}, paper": [_given(value, "{:,.10g}") for value in self.frame[f"{name}_paper"]]}

    def _ratios(self, name: str, what: str) -> dict[str, list[str]]:
        columns = {}
        ratio = f"{what}: ratio to {title(self.against.reference)}"
        if self.against.with_paper:
            ratios = self.frame[f"{name}_ratio_paper"]
            columns[f"{ratio}, paper"] = [_given(value, "{:.2f}") for value in ratios]
        columns[f"{ratio}, here"] = self._cells(f"{name}_ratio", show="{:.2f}".format)
        return columns

    def _cells(self, name: str, digits: int = 3, show: Callable[[float], str] | None = None) -> list[str]:
        rows: list[dict[Any, Any]] = self.frame.to_dict("records")
        return [self._cell(row, name, show or (lambda value: significant(value, digits))) for row in rows]

    def _cell(self, row: dict[Any, Any], name: str, show: Callable[[float], str]) -> str:
        if row["status"] == "not measured":
            return "not measured"
        value = row[name]
        return self.footnotes.mark(str(row[f"{name}_reason"])) if pd.isna(value) else show(float(value))


def _given(value: float | None, shape: str) -> str:
    return "not given" if value is None or pd.isna(value) else shape.format(value)


def general_notes(against: Comparison) -> list[str]:
    """What holds for the tables of every device."""
    notes = []
    if against.with_paper:
        notes.append(
            f"The paper's figures: {paper.RESOURCE_DEVICE}, Caffe, input {extent(paper.RESOURCE_SIZE)}; its "
            f"memory is nvidia-smi's MB with batch {TRAINING_BATCH} (training) and {INFERENCE_BATCH} "
            "(inference). Device and software differ here: compare the ratios to SegNet, not milliseconds or "
            "megabytes."
        )
    return [
        *notes,
        "Times are medians of the rounds' medians; backward is `loss.backward()` alone, in training mode.",
        "MiB = 2^20 bytes, MB = 10^6 bytes (4 bytes a parameter, as the paper's Caffe files).",
        "Live tensors' peak: bytes of all tensor storages alive at once, weights and input included, counted "
        "on torch's CPU code path, whatever the device. The allocator's and NVML's figures contain library "
        "workspaces, and NVML's the CUDA context too.",
    ]


def _notes(group: MeasurementGroup, against: Comparison, frame: pd.DataFrame) -> list[str]:
    notes = []
    spread = frame.reindex(columns=["forward_spread_percent", "backward_spread_percent"]).max().max()
    if pd.notna(spread):
        notes.append(
            f"The rounds of one time differ by up to {spread:.1f} %: times that differ by less than "
            f"{2 * spread:.1f} % are no difference."
        )
    for record in group.records:
        notes += [f"{title(record.spec.architecture)}: {flag}" for flag in record.flags]
        if record.failure:
            notes.append(f"{title(record.spec.architecture)}: FAILED, {record.failure.message}")
    return notes + (input_notes(group.size, against.table) if group.reduced else [])


def _markdown(sheet: Sheet, general: Sequence[str]) -> str:
    text = [f"# {sheet.heading}\n"] + ([f"**{sheet.mark}**\n"] if sheet.mark else [])
    return "\n".join([*text, *body(sheet, level=2), listing(general)])


def body(sheet: Sheet, level: int) -> list[str]:
    """The tables, the reasons of what is n/a and the notes, in Markdown; heads of the given level."""
    text = [f"{'#' * level} {part.title}\n\n{markdown(part.frame)}" for part in sheet.parts]
    notes = listing([*_reasons(sheet), *sheet.notes])
    return [*text, notes] if notes else text


def _reasons(sheet: Sheet) -> list[str]:
    return [f"n/a ({number}): {reason}" for number, reason in enumerate(sheet.reasons, 1)]


def _latex(sheet: Sheet, general: Sequence[str], slug: str) -> str:
    text = []
    for number, part in enumerate(sheet.parts, 1):
        caption = ". ".join(words for words in (f"{sheet.heading}: {part.title}", sheet.mark) if words) + "."
        notes = [*_reasons(sheet), *sheet.notes, *general] if number == len(sheet.parts) else ()
        text.append(latex(part.frame, caption=caption, label=f"tab:{slug}-resources-{number}", notes=notes))
    return "\n".join(text)


def _with_origin(group: MeasurementGroup, frame: pd.DataFrame) -> pd.DataFrame:
    """What a figure was measured on travels with it, in every row; the paper's size of memory is MB."""
    spec = group.first.spec
    origin = {
        "device": group.first.device_name,
        "input": extent(group.size),
        "precision": spec.precision,
        "effort": spec.effort,
        "threads": str(spec.threads) if spec.device == "cpu" else "",
        "reduced": group.reduced,
    }
    names = {f"{name}_paper": f"{theirs}_paper" for name, theirs in COMPARED.items()}
    described = pd.DataFrame([origin] * len(frame), index=frame.index)
    return pd.concat([described, frame.rename(columns=names)], axis=1)
