"""Short texts that name a group, a device or a setting."""

from harness.records.measurement import MeasurementRecord
from harness.report.grouping import Group
from harness.report.resources import MeasurementGroup, Series

# Class weights in the loss, by a protocol's name for them.
BALANCINGS = {
    "natural": "classes not weighted",
    "inverse-root": "classes weighted by frequency to the -1/2",
    "median": "classes weighted by median frequency balancing",
    "segnet-release": "classes weighted as in SegNet's definition files",
}


def extent(size: tuple[int, int]) -> str:
    """`360 x 480`, height first."""
    return f"{size[0]} x {size[1]}"


def describe(group: MeasurementGroup) -> str:
    """Device, input size, precision, options and preset in one line."""
    return _described(group.first, f"input {extent(group.size)}")


def describe_series(series: Series) -> str:
    """The same of measurements at several sizes."""
    return _described(series.first, "")


def _described(record: MeasurementRecord, size: str) -> str:
    spec = record.spec
    threads = f"{spec.threads} thread{'s' if spec.threads > 1 else ''}" if spec.device == "cpu" else ""
    parts = [record.device_name, threads, size, precision_words(record), *spec.options, f"preset {spec.preset}"]
    return ", ".join(part for part in parts if part)


def precision_words(record: MeasurementRecord) -> str:
    """The precision; of a GPU's fp32 that it is without TF32, which torch's own default is not everywhere."""
    spec = record.spec
    return "fp32 without TF32" if (spec.precision, spec.device) == ("fp32", "cuda") else spec.precision


def group_title(group: Group) -> str:
    """Protocol, data variant, precision and initial weights in one line."""
    made = f"{group.protocol.title}, data {group.variant}, {group.computed}"
    return f"{made}, initial weights {group.weights.title}"


def reduced_mark(*groups: Group) -> str:
    """`REDUCED: ...`, every reason once; empty for full groups."""
    reasons = dict.fromkeys(reason for group in groups for reason in group.reduced)
    return f"REDUCED: {'; '.join(reasons)}" if reasons else ""
