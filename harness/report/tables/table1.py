"""Table 1: decoder variants x class weighting x split, at the iteration chosen on val."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from harness import paper
from harness.metrics.bootstrap import SCORES
from harness.records.run import BEST, RunRecord
from harness.report.accuracy import CLASS_COUNTS, Scores, score_cells, seed_cells, span, with_marks
from harness.report.costs import BY_NAME
from harness.report.measurement_frame import storage_bytes
from harness.report.sections import Section
from harness.report.store import Run, title
from harness.report.tables.cells import column, score, score_notes, seeds
from harness.report.tables.render import percent, significant
from harness.report.tables.spec import Column, TableSpec
from harness.system.quantities import Quantity

# Both are scored at the iteration chosen on val, BF on test only.
SPLITS = ("test", "train")
# Bytes kept for the decoder are multiples of this network's: the paper's multiplier is 1 for it.
REFERENCE = "segnet-basic"
NO_MEASUREMENT = "no whole measurement in the runs' precision or fp32, at the paper's size or the runs'"
NOT_MEASURED = "not measured on this device at this size"
# What the resources of a variant are, each with a reason where there is none.
RESOURCES = ("parameters", "model_size_mb", "storage_bytes", "storage_ratio", "forward_ms")
PAPER_RESOURCES = ("params_m", "storage_multiplier", "infer_ms")
# Columns of whole numbers, some of them missing.
_COUNTS = ("seeds", "images", *CLASS_COUNTS, "parameters", "storage_bytes")


@lru_cache(maxsize=1)  # two tables are made of it
def table1(section: Section) -> pd.DataFrame:
    """A row for each variant, class weighting and split in the paper's order; ours and beside it the paper's.

    Columns network, architecture, class_weighting, split, seeds, failed_seeds, status, chosen_iteration,
    trained_iterations (text: seeds may differ), images, for each metric M_paper, M_ours, M_difference, M_std,
    M_low, M_high, and what the class means are over; then the variant's resources, the same in all its rows:
    params_m_paper, storage_multiplier_paper, infer_ms_paper and each of RESOURCES with its reason; then of
    each metric M_tie and M_best: whether it is the highest of that class weighting on test or not told from it.
    """
    rows = []
    for variant, architecture, published in _variants(section):
        resources = resource_cells(section, architecture)
        resources |= {f"{name}_paper": getattr(published, name) if published else np.nan for name in PAPER_RESOURCES}
        for weighting in section.class_weightings:
            for split in SPLITS:
                scores = published.scores.get((weighting, split), {}) if published else {}
                cells: dict[str, object] = {"network": variant, "architecture": architecture}
                cells |= {"class_weighting": weighting, "split": split}
                rows.append(cells | _scores(section, architecture, weighting, split, scores) | resources)
    frame = pd.DataFrame(rows).astype(dict.fromkeys(_COUNTS, "Int64"))
    return with_marks(frame, ["class_weighting", "split"])


def _variants(section: Section) -> list[tuple[str, str | None, paper.Decoder | None]]:
    """Title, architecture and the paper's rows of each variant: the paper's, then what else was run."""
    titles = {name: title(name) for name in dict.fromkeys([*section.suite.architectures, *section.networks])}
    published = paper.decoders()
    named = {text: name for name, text in titles.items()}
    rows: list[tuple[str, str | None, paper.Decoder | None]] = [
        (row.variant, named.get(row.variant), row) for row in published
    ]
    known = {row.variant for row in published}
    return rows + [(text, name, None) for text, name in named.items() if text not in known]


def _scores(
    section: Section, architecture: str | None, weighting: str, split: str, published: Mapping[str, float]
) -> dict[str, object]:
    group = section.of(weighting)
    runs: Sequence[Run] = group.of(architecture) if group and architecture else ()
    failed: Sequence[RunRecord] = group.failed_of(architecture) if group and architecture else ()
    found = Scores.of(runs, split, BEST)
    chosen = [run.record for run in found.runs] if found else []
    trained = sorted(record.trained_iterations or record.spec.protocol.iterations for record in chosen)
    cells: dict[str, object] = {
        **seed_cells(found, failed, ran=bool(runs)),
        "chosen_iteration": span(found.iterations) if found else None,
        "trained_iterations": span(trained) if trained else None,
        "images": found.scored[0].evaluation.images if found else None,
        # on train a tie would say nothing of other streets
        "scores": found if split == "test" else None,
    }
    return cells | score_cells(found, published)


def resource_cells(section: Section, architecture: str | None) -> dict[str, object]:
    """Our resources of a variant: each value, and beside it why there is none."""
    measured = section.costs
    record = measured.of(architecture) if measured and architecture else None
    base = measured.of(REFERENCE) if measured else None
    none = Quantity(reason=NOT_MEASURED if measured else NO_MEASUREMENT)
    storage = storage_bytes(record) if record else none
    counted = next(
        (run.record.parameters for run in section.runs if run.record.spec.architecture == architecture), None
    )
    values = {name: BY_NAME[name].read(record) if record else none for name in RESOURCES if name in BY_NAME}
    values |= {"storage_bytes": storage, "storage_ratio": _ratio(storage, storage_bytes(base) if base else none)}
    if counted is not None:
        values["parameters"] = Quantity(value=counted)
    cells: dict[str, object] = {}
    for name in RESOURCES:
        cells |= {name: values[name].value, f"{name}_reason": values[name].reason}
    return cells


def _ratio(value: Quantity, base: Quantity) -> Quantity:
    if value.value is None:
        return value
    if not base.value:
        return Quantity(reason=f"{title(REFERENCE)}: {base.reason or 'keeps nothing'}")
    return Quantity(value=value.value / base.value)


def _columns(section: Section, frame: pd.DataFrame) -> list[Column]:
    found = [
        column("variant", "network", text=True),
        column("class weights", "class_weighting", text=True),
        Column(header="seeds", cell=seeds),
        column("chosen at", "chosen_iteration"),
    ]
    for metric in SCORES:
        found += [
            Column(header=f"{metric} %", cell=score(metric, interval=metric == "mIoU"), top="ours"),
            column(f"{metric} %, paper", f"{metric}_paper", percent, top="paper"),
        ]
    return sorted(found, key=lambda column: ("", "ours", "paper").index(column.top))


def _resource_values(section: Section) -> pd.DataFrame:
    own = [f"{name}_paper" for name in PAPER_RESOURCES]
    reasons = [f"{column}_reason" for column in RESOURCES]
    return table1(section).drop_duplicates("network")[["network", "architecture", *own, *RESOURCES, *reasons]]


def _resource_columns(section: Section, frame: pd.DataFrame) -> list[Column]:
    return [
        column("variant", "network", text=True),
        column("parameters, M", "parameters", lambda value: f"{value / 1e6:.3f}", top="ours"),
        column("kept for the decoder, bytes", "storage_bytes", "{:,.0f}".format, top="ours"),
        column("of SegNet-Basic's", "storage_ratio", "{:.4g}".format, top="ours"),
        column("forward, ms", "forward_ms", significant, top="ours"),
        column("parameters, M, paper", "params_m_paper", "{:.3f}".format, top="paper"),
        column("storage multiplier, paper", "storage_multiplier_paper", "{:g}".format, top="paper"),
        column("inference, ms, paper", "infer_ms_paper", "{:.1f}".format, top="paper"),
    ]


TABLE = (
    TableSpec(
        name="table1",
        heading="Table 1: scores of the decoders on test",
        rows=lambda frame: frame[frame["split"] == "test"],
        place=10,
        values=table1,
        fills=("table1",),
        columns=_columns,
        notes=lambda section, frame: [*score_notes(section, frame), "chosen"],
        latex=True,
    ),
    TableSpec(
        name="table1-resources",
        heading="Table 1: size, storage and time",
        place=20,
        values=_resource_values,
        fills=("table1",),
        columns=_resource_columns,
        notes=lambda section, frame: ("storage", "costs"),
        latex=True,
    ),
)
