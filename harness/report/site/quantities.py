"""What is measured of a network: the columns of the leaderboard and the axes of the trade-off, with their values."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal

import pandas as pd

from harness import paper
from harness.report.costs import BY_NAME as costs_by_name
from harness.report.frames import CHECKPOINTS
from harness.report.metrics import BY_NAME

Row = dict[str, Any]
_PRESETS = ("full", "lease", "cpu", "quick")


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One quantity.

    key: its name in the site's data and exports. kind: score (percent), run (of a run's record) or cost (of a
    measurement). where: phase, quantity and statistic in the frame of measurements. batched: whether the page's
    choice of batch applies. budget: whether it has a slider. digits: after the point, or `significant`: three.
    """

    key: str
    label: str
    kind: Literal["score", "run", "cost"]
    definition: str
    digits: int | str = "significant"
    unit: str = ""
    short: str = ""
    where: tuple[str, str, str] | None = None
    batched: bool = False
    budget: bool = False

    @property
    def places(self) -> tuple[tuple[str, str, str], ...]:
        """Where its value is, or the reason why there is none."""
        return (self.where, (*self.where[:2], "value")) if self.where else ()

    def as_json(self) -> Row:
        """What scripts need of it; a score's `name` is its header, `interval` whether it has one."""
        metric = BY_NAME.get(self.key)
        more = {"name": metric.header if metric else self.label, "interval": metric is not None and metric.interval}
        return asdict(self) | more | {"short": self.short or self.label}


def _score(name: str) -> Quantity:
    metric = BY_NAME[name]
    also = f" ({metric.elsewhere})" if metric.elsewhere and metric.elsewhere != metric.header else ""
    label = f"{metric.header}{also}, %"
    return Quantity(key=name, label=label, kind="score", definition=metric.definition, digits=2, unit="%")


def _cost(key: str, label: str, unit: str, cost: str, definition: str, **more: Any) -> Quantity:
    phase, _, quantity, statistic = costs_by_name[cost].of
    where = (phase, quantity, statistic)
    return Quantity(key=key, label=label, kind="cost", unit=unit, where=where, definition=definition, **more)


def _run(key: str, label: str, unit: str, definition: str, **more: Any) -> Quantity:
    return Quantity(key=key, label=label, kind="run", unit=unit, definition=definition, **more)


QUANTITIES: tuple[Quantity, ...] = (
    *(_score(name) for name in ("miou", "bf", "global_accuracy", "class_accuracy", "fwiou")),
    _run(
        *("parameters_m", "Params, M", "M", "weights that the network has, 10^6"),
        digits=1,
        short="Parameters",
        budget=True,
    ),
    _cost(
        *("gmacs", "GMACs", "GMACs", "gmacs"),
        "multiply-accumulates of a forward pass, batch 1",
        digits=1,
    ),
    _cost(
        *("memory_mib", "Memory, MiB", "MiB", "inference_allocated_mib"),
        "peak of the CUDA allocator in inference, batch 1",
        short="Inference memory",
        budget=True,
    ),
    _cost(
        *("live_mib", "Live, MiB", "MiB", "inference_live_mib"),
        "peak of live tensors in inference, batch 1, counted from shapes",
        short="Live tensors",
        budget=True,
    ),
    _cost(
        *("latency_ms", "Latency, ms", "ms", "forward_ms"),
        "median time of a forward pass of the whole batch",
        short="Latency",
        batched=True,
        budget=True,
    ),
    _cost(
        *("end_to_end_ms", "Image to labels, ms", "ms", "end_to_end_ms"),
        "median time from an image in the host's memory to its full-size label map there, of the whole batch",
        short="Image to labels",
        batched=True,
    ),
    _cost(
        *("energy_j", "Energy, J", "J", "energy_j"),
        "energy above idle of a forward pass, an image",
        short="Energy an image",
        batched=True,
        budget=True,
    ),
    _cost(
        *("training_memory_mib", "Training memory, MiB", "MiB", "training_allocated_mib"),
        "peak of the CUDA allocator in training, batch 4",
    ),
    _run(
        *("train_hours", "Training, h", "h"),
        "wall time of this run's training on the machine that it ran on; no measurement of speed",
    ),
)
# Column groups of the leaderboard.
SECTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "scores": ("miou", "bf", "global_accuracy", "class_accuracy"),
        "size": ("parameters_m", "gmacs"),
        "inference": ("memory_mib", "live_mib", "latency_ms", "end_to_end_ms", "energy_j"),
        "training": ("training_memory_mib", "train_hours"),
    }
)


def costs(measurements: pd.DataFrame) -> list[Row]:
    """A row a network, size, number of classes, device and precision, of its plain variant.

    values: quantity -> value. why: quantity -> why there is none. Batched ones are named as `latency_ms@8`.
    """
    plain = measurements[(measurements["variant"] == "") & (measurements["outdated"] == "")]
    rows = []
    for _, found in plain.groupby(["architecture", "height", "width", "classes", "device", "precision"]):
        one = found[found["preset"] == min(found["preset"].unique(), key=_PRESETS.index)]
        facts = records(one[one["threads"] == one["threads"].max()])
        first = facts[0]
        values: dict[str, float] = {}
        why: dict[str, str] = {}
        for quantity in QUANTITIES:
            for fact in facts:
                if (fact["phase"], fact["quantity"], fact["statistic"]) not in quantity.places:
                    continue
                key = f"{quantity.key}@{fact['batch']}" if quantity.batched else quantity.key
                if math.isnan(fact["value"]):
                    why[key] = str(fact["reason"])
                else:
                    values[key] = rounded(fact["value"])
        row = {"network": first["architecture"], "size": f"{first['height']} x {first['width']}"}
        row |= {name: first[name] for name in ("classes", "device", "precision")}
        record = f"records/measurements/{first['measurement_id']}.json"
        rows.append(row | {"values": values, "why": why, "record": record})
    return rows


def devices(measurements: pd.DataFrame) -> list[Row]:
    """Devices that something was measured on, GPUs first, with their precisions and the batches of passes."""
    rows = []
    for device, own in measurements.groupby("device"):
        batches = sorted(int(one) for one in own[own["phase"] == "forward"]["batch"].unique())
        precisions = sorted(own["precision"].unique(), key=("fp32", "tf32", "bf16").index)
        row = {"slug": device, "title": own["device_name"].iloc[0], "kind": own["device_kind"].iloc[0]}
        rows.append(row | {"precisions": precisions, "batches": batches or [1]})
    return sorted(rows, key=lambda row: (row["kind"] != "cuda", row["slug"]))


def paper_points(dataset: str, titles: Mapping[str, str]) -> list[Row]:
    """The paper's own figures on a dataset, a point a network and row of its table, with costs at its input size.

    A point's `checkpoint` is our word for the row.

    Args:
        dataset: by name.
        titles: network -> title, as the paper has it.
    """
    tables = {"camvid": paper.accuracies, "sunrgbd": paper.sun_accuracies}
    if dataset not in tables:
        return []
    networks = {title: name for name, title in titles.items()}
    names = {"G": "global_accuracy", "C": "class_accuracy", "mIoU": "miou", "BF": "bf"}
    resources = {one.network: one for one in paper.resources()}
    points = []
    for row in tables[dataset]():
        title = row.network
        values = {names[name]: value for name, value in row.scores.items() if name in names}
        if title in resources:
            cost = resources[title]
            values |= {"parameters_m": cost.model_size_mb / 4, "latency_ms": cost.forward_ms}
            values |= {"memory_mib": cost.inference_memory_mb, "training_memory_mib": cost.train_memory_mb}
        checkpoint = CHECKPOINTS.get(row.checkpoint, row.checkpoint)
        points.append({"title": title, "network": networks.get(title, ""), "checkpoint": checkpoint, "values": values})
    return points


def records(frame: pd.DataFrame) -> list[Row]:
    """The rows of a frame, by column."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def cells(values: Iterable[float]) -> list[float | None]:
    """Numbers for JSON: rounded to what a page can show, none for NaN."""
    return [value_or_none(value) for value in values]


def value_or_none(value: float) -> float | None:
    """One of them."""
    return None if value != value else rounded(float(value))


def rounded(value: float) -> float:
    """To seven significant digits."""
    return float(f"{value:.7g}")


def significant(value: float) -> str:
    """Three significant digits, thousands with commas."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{float(f'{value:.3g}'):g}"
    return text.replace("-", "−")


def quantities(keys: Sequence[str]) -> list[Quantity]:
    """Those of these keys, in the order of `QUANTITIES`."""
    return [one for one in QUANTITIES if one.key in keys]
