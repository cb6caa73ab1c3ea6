"""Table 1 of one family of runs: decoder variants x class weighting x split, as a tidy frame.

Scores in the frame are percent, at the iteration chosen on val; sizes are bytes, times are milliseconds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness import paper
from harness.config.suite import Suite
from harness.paper.claims import Sample
from harness.records.measurement import INFERENCE_BATCH, PAPER_SIZE, TIME_BATCH, MeasurementRecord
from harness.records.run import BEST, RunRecord
from harness.report.accuracy import CLASS_COUNTS, score_cells, span, status, summarize
from harness.report.families import Family
from harness.report.groups import Run, title
from harness.report.readings import median_ms, shape_figure
from harness.report.resources import MeasurementGroup, Measurements
from harness.report.samples import sample, with_ties
from harness.report.table6 import REFERENCES
from harness.system.quantities import Quantity

# Both are scored at the iteration chosen on val, BF on test only.
SPLITS = ("test", "train")
# Bytes kept for the decoder are multiples of this network's: the paper's multiplier is 1 for it.
REFERENCE = REFERENCES["table1"]
NO_MEASUREMENT = "no measurement in the runs' precision, at the paper's size or the runs'"
NOT_MEASURED = "not measured on this device at this size"
# What the resources of a variant are, each with a reason where there is none.
RESOURCES = ("parameters", "model_size_mb", "storage_bytes", "storage_ratio", "forward_ms")

# Columns of whole numbers, some of them missing.
_COUNTS = ("seeds", "images", *CLASS_COUNTS, "parameters", "storage_bytes")


def table1(family: Family, suite: Suite, measured: MeasurementGroup | None) -> pd.DataFrame:
    """Table 1: variant x class weighting x split in the paper's order; ours and beside it the paper's.

    Columns variant, architecture, class_weighting, split, seeds, failed_seeds, status, chosen_iteration,
    trained_iterations (text: seeds may differ), images, for each metric M_paper, M_ours, M_difference, M_std,
    M_low, M_high, and what the class means are over; then the variant's resources, the same in all its rows:
    params_m_paper, storage_multiplier_paper, infer_ms_paper and each of RESOURCES with its reason; then of
    each metric M_tie: whether it ties with the highest of that class weighting on test.
    """
    rows = []
    for variant, architecture, published in _variants(family, suite):
        resources = resource_cells(family, architecture, measured) | _paper_resources(published)
        for class_weighting in family.class_weightings:
            for split in SPLITS:
                scores = published.scores.get((class_weighting, split), {}) if published else {}
                cells: dict[str, object] = {"variant": variant, "architecture": architecture}
                cells |= {"class_weighting": class_weighting, "split": split}
                rows.append(cells | _scores(family, architecture, class_weighting, split, scores) | resources)
    frame = pd.DataFrame(rows).astype(dict.fromkeys(_COUNTS, "Int64"))
    return with_ties(frame, ["class_weighting", "split"], lambda row, metric: _on_test(family, row, metric))


def _on_test(family: Family, row: Mapping[Any, Any], metric: str) -> Sample | None:
    """Of a variant and class weighting; none on train, of which a tie would say nothing of other streets."""
    group = family.of(row["class_weighting"])
    if group is None or row["split"] != "test":
        return None
    return sample(group.of(row["architecture"]), "test", BEST, metric)


def _variants(family: Family, suite: Suite) -> list[tuple[str, str | None, paper.Decoder | None]]:
    """Title, architecture and the paper's rows of each variant: the paper's, then what else was run."""
    titles = {name: title(name) for name in dict.fromkeys([*suite.architectures, *family.networks])}
    published = paper.decoders()
    named = {text: name for name, text in titles.items()}
    rows: list[tuple[str, str | None, paper.Decoder | None]] = [
        (row.variant, named.get(row.variant), row) for row in published
    ]
    known = {row.variant for row in published}
    return rows + [(text, name, None) for text, name in named.items() if text not in known]


def _scores(
    family: Family, architecture: str | None, class_weighting: str, split: str, published: Mapping[str, float]
) -> dict[str, object]:
    group = family.of(class_weighting)
    runs: Sequence[Run] = group.of(architecture) if group and architecture else ()
    failed: Sequence[RunRecord] = group.failed_of(architecture) if group and architecture else ()
    summary = summarize(runs, split, BEST)
    chosen = [run for run in runs if run.at(split, BEST) is not None]
    trained = sorted(run.record.trained_iterations or run.record.spec.protocol.iterations for run in chosen)
    cells: dict[str, object] = {
        "seeds": summary.seeds if summary else 0,
        "failed_seeds": len(failed),
        "status": status(summary, failed, ran=bool(runs)),
        "chosen_iteration": span(summary.iterations) if summary else None,
        "trained_iterations": span(trained) if trained else None,
        "images": summary.images if summary else None,
    }
    return cells | score_cells(summary, published)


def _paper_resources(published: paper.Decoder | None) -> dict[str, object]:
    return {
        "params_m_paper": published.params_m if published else np.nan,
        "storage_multiplier_paper": published.storage_multiplier if published else np.nan,
        "infer_ms_paper": published.infer_ms if published else np.nan,
    }


def resource_cells(family: Family, architecture: str | None, measured: MeasurementGroup | None) -> dict[str, object]:
    """Our resources of a variant: each value, and beside it why there is none."""
    record = measured.of(architecture) if measured and architecture else None
    base = measured.of(REFERENCE) if measured else None
    none = Quantity(reason=NOT_MEASURED if measured else NO_MEASUREMENT)
    storage = storage_bytes(record) if record else none
    values = {
        "parameters": _parameters(family, architecture)
        or (shape_figure(record, lambda shapes: shapes.parameters) if record else none),
        "model_size_mb": shape_figure(record, lambda shapes: shapes.model_size_mb) if record else none,
        "storage_bytes": storage,
        "storage_ratio": _ratio(storage, storage_bytes(base) if base else none),
        "forward_ms": median_ms(record, "forward", TIME_BATCH) if record else none,
    }
    cells: dict[str, object] = {}
    for name in RESOURCES:
        cells |= {name: values[name].value, f"{name}_reason": values[name].reason}
    return cells


def _parameters(family: Family, architecture: str | None) -> Quantity | None:
    """As a finished run counted them."""
    counted = (run.record.parameters for run in family.runs if run.record.spec.architecture == architecture)
    found = next((number for number in counted if number is not None), None)
    return None if found is None else Quantity(value=found)


def storage_bytes(record: MeasurementRecord) -> Quantity:
    """Bytes kept for the decoder of one image at the first pooled resolution, indices as 2-bit codes."""
    if record.shapes is None:
        return Quantity(reason=record.reason("shapes", INFERENCE_BATCH))
    found = record.shapes.decoder_storage.two_bit_bytes
    if not found:
        return Quantity(reason="no network whose decoder the measurement knows")
    return Quantity(value=found[0])


def _ratio(value: Quantity, base: Quantity) -> Quantity:
    if value.value is None:
        return value
    if not base.value:
        return Quantity(reason=f"{title(REFERENCE)}: {base.reason or 'keeps nothing'}")
    return Quantity(value=value.value / base.value)


def measurement_for(family: Family, size: tuple[int, int], measurements: Measurements) -> MeasurementGroup | None:
    """The one group of plain measurements that Table 1 takes: the paper's size first, then the runs' own.

    Of several, the one that holds most of the networks; among equals the first, which is a GPU's.

    Args:
        family: whose precision is taken.
        size: (height, width) of the input of the family's runs.
        measurements: the suite's.
    """
    for wanted in (PAPER_SIZE, size):
        fitting = [
            group
            for group in measurements.groups
            if group.plain and group.size == wanted and group.first.spec.precision == family.first.precision
        ]
        if fitting:
            return max(fitting, key=lambda group: len(group.records))
    return None
