"""Resources in full as files: narrow tables, each with a line on what it means; Markdown, CSV and LaTeX."""

from dataclasses import dataclass

import pandas as pd

from harness.config.suite import Table
from harness.records.measurement import INFERENCE_BATCH, THROUGHPUT_BATCH, TIME_BATCH, TRAINING_BATCH, Phase
from harness.report.inference_memory import LIVE_PARTS
from harness.report.readings import Use
from harness.report.resource_tables import doubts, with_origin
from harness.report.resources import MeasurementGroup
from harness.report.resources_full import RANGES, cell_name, resources_full, timed_cells
from harness.report.sheets import Cells, Footnotes, Part, Sheet, sheet_latex, sheet_markdown
from harness.report.tables import csv, significant
from harness.report.wording import describe, input_notes, made_with

_PHASES = {
    "forward": ("Forward pass", "The network alone, on images that lie on the device already."),
    "end-to-end": (
        "End to end",
        "From an image in the host's memory to its label map there: copies, enlarging and argmax included.",
    ),
    "backward": ("Backward pass", "`loss.backward()` alone, in training mode."),
    "training-step": ("Training step", "Forward, loss, backward and optimizer."),
}
_THROUGHPUT: tuple[Phase, int] = ("forward", THROUGHPUT_BATCH)
_RANGE_HEADS = {
    "sm_clock_mhz": "SM clock, MHz",
    "memory_clock_mhz": "memory clock, MHz",
    "temperature_c": "temperature, °C",
    "power_w": "power, W",
}
_MEMORY_HEADS = {
    "allocated_mib": "allocator's peak",
    "reserved_mib": "allocator's reserve",
    "warmup_allocated_mib": "allocator's peak in warm-up",
    "workspace_mib": "workspaces",
    "nvml_mib": "NVML used minus idle",
    "context_mib": "CUDA context alone",
    "process_mib": "process's peak RSS",
    "process_idle_mib": "process's RSS before",
}


def full_files(group: MeasurementGroup, table: Table) -> dict[str, str]:
    """`resources-full-<device>.md`, `.csv` and `.tex`; `table` is the suite's."""
    frame = resources_full(group)
    sheet = full_sheet(group, frame, table)
    return {
        f"{sheet.file}.md": sheet_markdown(sheet, _GENERAL),
        f"{sheet.file}.csv": csv(with_origin(group, _told(frame))),
        f"{sheet.file}.tex": sheet_latex(sheet, _GENERAL, f"{group.slug}-full"),
    }


def _told(frame: pd.DataFrame) -> pd.DataFrame:
    """Without what no network has for one and the same reason, which the notes of the table give."""
    left_out = [
        column
        for reason in frame
        if str(reason).endswith("_reason") and frame[reason].nunique(dropna=False) == 1
        for column in (str(reason).removesuffix("_reason"), reason)
        if column in frame and frame[str(reason).removesuffix("_reason")].isna().all()
    ]
    return frame.drop(columns=left_out).dropna(axis="columns", how="all")


_GENERAL = (
    "Times are medians of the rounds' medians; p90 and the interquartile range (IQR) are of all n samples; "
    "spread: largest minus smallest median of a round, over the headline.",
    "MiB = 2^20 bytes.",
)


def full_sheet(group: MeasurementGroup, frame: pd.DataFrame, table: Table) -> Sheet:
    """The tables and notes of one device, from `resources_full.resources_full`."""
    footnotes = Footnotes()
    maker = _Maker(group=group, cells=Cells(frame=frame, footnotes=footnotes))
    parts = [
        *(maker.times(phase, batch) for phase, batch in timed_cells(group)),
        maker.energy(),
        *(maker.window(phase, batch) for phase, batch in maker.main_cells),
        *(maker.shares(phase, batch) for phase, batch in maker.main_cells),
        maker.overhead(),
        *(maker.device_memory(use) for use in ("inference", "training")),
        *(maker.live(use) for use in ("inference", "training")),
    ]
    small = input_notes(group.size, table) if group.reduced else []
    return Sheet(
        heading=f"Resources in full on {describe(group)}",
        file=f"resources-full-{group.slug}",
        mark=f"REDUCED: {group.reduced}" if group.reduced else "",
        parts=tuple(part for part in parts if part.frame.shape[1] > 1),
        notes=(*maker.cells.left_out_notes(), *doubts(group), made_with(group), *small),
        reasons=tuple(footnotes.reasons),
    )


@dataclass(frozen=True, kw_only=True)
class _Maker:
    """Makes the parts; a part with the networks' names alone has nothing to show."""

    group: MeasurementGroup
    cells: Cells

    @property
    def main_cells(self) -> tuple[tuple[Phase, int], tuple[Phase, int]]:
        """Of inference and of training, for what is shown of one cell each."""
        return ("forward", TIME_BATCH), ("training-step", self.group.step_batch)

    def times(self, phase: Phase, batch: int) -> Part:
        name, meaning = _PHASES[phase]
        start, what = cell_name(phase, batch), _cell_words(phase, batch)
        columns = self.cells.networks()
        for head, field in (("median, ms", "median_ms"), ("p90, ms", "p90_ms"), ("IQR, ms", "iqr_ms")):
            self.cells.add(columns, head, f"{start}_{field}", what=f"{what}: time")
        for head, field in (("n", "n"), ("rounds", "rounds"), ("processes", "processes")):
            self.cells.add(columns, head, f"{start}_{field}", what=f"{what}: time", show=_whole)
        spread = f"{start}_spread_percent"
        self.cells.add(columns, "spread of rounds, %", spread, what=f"{what}: time", show="{:.1f}".format)
        if batch > 1:
            rate = f"{start}_images_per_s"
            self.cells.add(columns, "images/s", rate, what=f"{what}: time")
        return Part(title=f"{name}, batch {batch}", frame=pd.DataFrame(columns), meaning=meaning)

    def energy(self) -> Part:
        columns = self.cells.networks()
        for batch in (TIME_BATCH, THROUGHPUT_BATCH):
            start, what = cell_name("forward", batch), f"{_cell_words('forward', batch)}: energy"
            for head, field in (("raw", "raw_mj"), ("above idle", "above_idle_mj")):
                head = f"forward, batch {batch}: {head}, mJ an image"
                self.cells.add(columns, head, f"{start}_{field}_per_image", what=what)
        batch = self.group.step_batch
        start, what = cell_name("training-step", batch), f"{_cell_words('training-step', batch)}: energy"
        for head, field in (("raw", "raw_mj"), ("above idle", "above_idle_mj")):
            head = f"training step, batch {batch}: {head}, J a step"
            self.cells.add(columns, head, f"{start}_{field}", what=what, show=_thousandth)
        for phase, batch in self.main_cells:
            what = _cell_words(phase, batch)
            head = f"{what}: windows, s in all"
            self.cells.add(columns, head, f"{cell_name(phase, batch)}_window_s", what=f"{what}: energy")
        meaning = (
            "Of the whole board, by the GPU's own counter, over windows of passes; above idle: less idle "
            "power times time."
        )
        return Part(title="Energy", frame=pd.DataFrame(columns), meaning=meaning)

    def window(self, phase: Phase, batch: int) -> Part:
        start, what = cell_name(phase, batch), f"{_cell_words(phase, batch)}: state of the GPU"
        columns = self.cells.networks()
        for field in RANGES:
            medians: dict[str, list[str]] = {}
            self.cells.add(medians, field, f"{start}_{field}_median", what=what, show=_whole)
            if medians:
                columns[_RANGE_HEADS[field]] = self._range(f"{start}_{field}")
        self.cells.add(columns, "throttled by", f"{start}_throttle_reasons", what=what, show=str)
        self.cells.add(columns, "samples at work", f"{start}_busy_samples", what=what, show=_whole)
        return Part(
            title=f"State of the GPU: {_cell_words(phase, batch)}",
            frame=pd.DataFrame(columns),
            meaning="Lowest to highest (median) of samples ten times a second while the rounds ran.",
        )

    def _range(self, name: str) -> list[str]:
        columns = [self.cells.column(f"{name}_{end}", show=_whole) for end in ("low", "high", "median")]
        return [
            middle if middle.startswith("n/a") else f"{low} to {high} ({middle})"
            for low, high, middle in zip(*columns, strict=True)
        ]

    def shares(self, phase: Phase, batch: int) -> Part:
        start, what = cell_name(phase, batch), f"{_cell_words(phase, batch)}: share of the peak"
        columns = self.cells.networks()
        self.cells.add(columns, "TFLOP/s", f"{start}_achieved_tflops", what=what, show=_small)
        self.cells.add(columns, "of matmul peak, %", f"{start}_share_of_matmul", what=what, show=_percent)
        self.cells.add(columns, "of roofline, %", f"{start}_share_of_roof", what=what, show=_percent)
        self.cells.add(columns, "matmul peak, TFLOP/s", f"{start}_matmul_tflops", what=what, show=_small)
        self.cells.add(columns, "copy peak, GB/s", f"{start}_copy_gbs", what=what)
        return Part(
            title=f"Share of the device's peak: {_cell_words(phase, batch)}",
            frame=pd.DataFrame(columns),
            meaning="Peaks are those of a matrix product and a copy, timed in the same process; the roofline "
            "allows for the bytes that the operators move, each by itself. 1 MAC = 2 FLOP.",
        )

    def overhead(self) -> Part:
        columns = self.cells.networks()
        for field, head, show in (
            ("outside_kernels", "outside kernels, % of wall time", _percent),
            ("compile_s", "compiling, s", significant),
        ):
            for phase, batch in (self.main_cells[0], _THROUGHPUT, self.main_cells[1]):
                what = f"{_cell_words(phase, batch)}: {head.split(',')[0]}"
                name = f"{cell_name(phase, batch)}_{field}"
                self.cells.add(columns, f"{_cell_words(phase, batch)}: {head}", name, what=what, show=show)
        meaning = "Outside kernels: no operator ran; compiling: time of the first pass beyond a later one's."
        return Part(title="Time that computes nothing", frame=pd.DataFrame(columns), meaning=meaning)

    def device_memory(self, use: Use) -> Part:
        columns = self.cells.networks()
        for field, head in _MEMORY_HEADS.items():
            self.cells.add(columns, f"{head}, MiB", f"{use}_{field}", what=f"{use}: {head}")
        return Part(
            title=f"Device memory in {_use_words(use)}",
            frame=pd.DataFrame(columns),
            meaning="Workspaces: allocator's peak minus live tensors, what kernels need while they run. "
            "NVML's figure contains the CUDA context and what the allocator keeps in reserve.",
        )

    def live(self, use: Use) -> Part:
        columns = self.cells.networks()
        for part in ("peak", *LIVE_PARTS):
            name = f"{use}_live_{part}_mib"
            self.cells.add(columns, f"{part.replace('_', ' ')}, MiB", name, what=f"{use}: live tensors", show=_mib)
        return Part(
            title=f"Live tensors at the peak of {_use_words(use)}",
            frame=pd.DataFrame(columns),
            meaning="Bytes alive at once on torch's CPU code path; the parts add up to the peak. Decoder "
            "storage: pooling indices or encoder maps kept for the decoder.",
        )


def _cell_words(phase: Phase, batch: int) -> str:
    return f"{phase.replace('-', ' ')}, batch {batch}"


def _use_words(use: Use) -> str:
    return f"{use} (batch {TRAINING_BATCH if use == 'training' else INFERENCE_BATCH})"


def _small(value: float) -> str:
    """Three digits that count, below 1 too."""
    return f"{value:.3g}" if value < 1 else significant(value)


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _thousandth(value: float) -> str:
    return significant(value / 1000)


def _mib(value: float) -> str:
    return f"{value:,.1f}"
