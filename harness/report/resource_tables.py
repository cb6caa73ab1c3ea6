"""Table 6 of one device as files: Markdown, CSV and LaTeX."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness import paper
from harness.records.measurement import INFERENCE_BATCH, TRAINING_BATCH
from harness.report.groups import title
from harness.report.inference_memory import inference_memory_notes
from harness.report.readings import Use
from harness.report.resources import MeasurementGroup
from harness.report.sheets import Cells, Footnotes, Part, Sheet, sheet_latex, sheet_markdown
from harness.report.table6 import COMPARED, TIMES, Comparison
from harness.report.tables import csv
from harness.report.wording import describe, extent, input_notes, made_with

# Columns that a kind of device does not have are left out of the Markdown, with one line that says why.
_DEVICE_MEMORY = {
    "allocated_mib": "allocator's peak",
    "reserved_mib": "allocator's reserve",
    "nvml_mib": "NVML used minus idle",
    "process_mib": "process's peak RSS",
}
NO_DIFFERENCE = " (no difference)"


def table6_files(group: MeasurementGroup, against: Comparison, frame: pd.DataFrame) -> dict[str, str]:
    """`table6-<device>.md`, `.csv` and `.tex`, from `table6.table6`."""
    sheet = sheet_of(group, against, frame)
    name = sheet.file
    general = general_notes(against)
    names = {f"{column}_paper": f"{theirs}_paper" for column, theirs in COMPARED.items()}
    return {
        f"{name}.md": sheet_markdown(sheet, general),
        # The paper's size of memory is MB.
        f"{name}.csv": csv(with_origin(group, frame.rename(columns=names))),
        f"{name}.tex": sheet_latex(sheet, general, f"{group.slug}-resources"),
    }


def sheet_of(group: MeasurementGroup, against: Comparison, frame: pd.DataFrame) -> Sheet:
    """The tables and notes of one device."""
    footnotes = Footnotes()
    maker = _Maker(cells=Cells(frame=frame, footnotes=footnotes), against=against)
    parts = (
        Part(title="Time of one image (batch 1)", frame=maker.times()),
        Part(title=f"Training memory (batch {TRAINING_BATCH})", frame=maker.memory("training")),
        Part(title=f"Inference memory (batch {INFERENCE_BATCH})", frame=maker.memory("inference")),
        Part(title="Size and work", frame=maker.size()),
    )
    return Sheet(
        heading=f"{against.name} on {describe(group)}",
        file=f"{against.file_start}-{group.slug}",
        mark=f"REDUCED: {group.reduced}" if group.reduced else "",
        parts=tuple(part for part in parts if _has_ours(part)),
        notes=tuple([*maker.cells.left_out_notes(), *_notes(group, against, frame)]),
        reasons=tuple(footnotes.reasons),
    )


def _has_ours(part: Part) -> bool:
    return any(" here" in str(head) for head in part.frame.columns)


@dataclass(frozen=True, kw_only=True)
class _Maker:
    """Makes the parts; reasons are numbered in the order of reading."""

    cells: Cells
    against: Comparison

    @property
    def frame(self) -> pd.DataFrame:
        return self.cells.frame

    def times(self) -> pd.DataFrame:
        columns = self.cells.networks()
        for phase in ("forward", "backward"):
            if self.cells.lacks(f"{phase}_ms", phase):
                continue
            head = f"{phase}, ms"
            columns |= self._paper(f"{phase}_ms", head)
            columns[f"{head}, median here"] = self.cells.column(f"{phase}_ms")
            columns[f"{head}, p90 here"] = self.cells.column(f"{phase}_p90_ms")
            columns |= self._ratios(f"{phase}_ms", phase)
        return pd.DataFrame(columns)

    def memory(self, use: Use) -> pd.DataFrame:
        name = f"{use}_live_mib"
        columns = self.cells.networks() | self._paper(name, "nvidia-smi, MB")
        if not self.cells.lacks(name, f"{use} live tensors' peak"):
            columns["live tensors' peak here, MiB"] = self.cells.column(name)
            columns |= self._ratios(name, "live tensors")
        for suffix, head in _DEVICE_MEMORY.items():
            self.cells.add(columns, f"{head} here, MiB", f"{use}_{suffix}", what=f"{use} {head}")
        return pd.DataFrame(columns)

    def size(self) -> pd.DataFrame:
        columns = self.cells.networks()
        if not self.cells.lacks("model_size_mb", "model size"):
            columns |= self._paper("model_size_mb", "model size, MB")
            columns["model size here, MB"] = self.cells.column("model_size_mb", digits=4)
            columns |= self._ratios("model_size_mb", "model size")
        self.cells.add(columns, "parameters here", "parameters", what="parameters", show=_whole)
        self.cells.add(columns, "GMACs here", "gmacs", what="GMACs", digits=4)
        head = "GMACs with backward here"
        self.cells.add(columns, head, "training_gmacs", what="GMACs with backward", digits=4)
        return pd.DataFrame(columns)

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
        cells = self.cells.column(f"{name}_ratio", show="{:.2f}".format)
        if name in TIMES:
            same = self.frame[f"{name}_ratio_no_difference"].fillna(False)
            cells = [f"{text}{NO_DIFFERENCE if mark else ''}" for text, mark in zip(cells, same, strict=True)]
        columns[f"{ratio}, here"] = cells
        return columns


def _whole(value: float) -> str:
    return f"{int(value):,}"


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
        f"'no difference': the time differs from {title(against.reference)}'s by less than twice the larger "
        "of the two spreads of rounds (largest minus smallest median of a round).",
        "MiB = 2^20 bytes, MB = 10^6 bytes (4 bytes a parameter, as the paper's Caffe files). GMACs: 10^9 "
        "multiply-accumulates of one image, forward, and forward with backward.",
        "Live tensors' peak: bytes of all tensor storages alive at once, weights and input included, counted "
        "on torch's CPU code path, whatever the device. The allocator's and NVML's figures contain library "
        "workspaces, and NVML's the CUDA context too.",
    ]


def _notes(group: MeasurementGroup, against: Comparison, frame: pd.DataFrame) -> list[str]:
    notes = []
    spread = frame.reindex(columns=["forward_spread_percent", "backward_spread_percent"]).max().max()
    if pd.notna(spread):
        notes.append(f"The rounds of one time differ by up to {spread:.1f} %.")
    if (precision := group.first.spec.precision) != "fp32":
        notes.append(
            f"Weights stay fp32; the copies in {precision} that layers compute with are held besides, in the "
            "live tensors' peak under 'rest'."
        )
    notes += inference_memory_notes(group, against)
    notes += _counting_notes(group)
    notes += doubts(group)
    if not group.plain and not any(record.shapes for record in group.records):
        notes.append("What follows from shapes alone (live tensors, sizes, GMACs) stands with the plain rows.")
    notes.append(made_with(group))
    return notes + (input_notes(group.size, against.table) if group.reduced else [])


def _counting_notes(group: MeasurementGroup) -> list[str]:
    """On how many threads live tensors were counted, where it was not one."""
    threads = set()
    for record in group.records:
        for cell in record.cells:
            if cell.shapes and cell.shapes.inference_live.threads is None:
                threads.add(record.environments[cell.environment].get("torch_threads", 1))
    return [
        f"Live tensors were counted on {count} threads. On a CPU pooling goes by pieces that grow with them: "
        "in inference, networks that keep indices may have counted for some MiB more than on one thread, on "
        "which is counted today."
        for count in sorted(threads - {1})
    ]


def doubts(group: MeasurementGroup) -> list[str]:
    """Flags and failures of each network's measurement."""
    notes = []
    for record in group.records:
        name = title(record.spec.architecture)
        notes += [f"{name}: {flag}" for flag in record.flags]
        notes += [f"{name}: FAILED, {cell.key}: {cell.failure.message}" for cell in record.failures if cell.failure]
    return notes


def with_origin(group: MeasurementGroup, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame, each row headed by what its figures were measured on."""
    spec = group.first.spec
    origin: dict[str, Any] = {
        "device": group.first.device_name,
        "input": extent(group.size),
        "precision": spec.precision,
        "options": " ".join(spec.options),
        "preset": spec.preset,
        "threads": str(spec.threads) if spec.device == "cpu" else "",
        "reduced": group.reduced,
    }
    described = pd.DataFrame([origin] * len(frame), index=frame.index)
    return pd.concat([described, frame], axis=1)
