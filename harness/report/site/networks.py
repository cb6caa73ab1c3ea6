"""What a network's own page shows."""

import ast
import importlib.util
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from harness.report import frames
from harness.report.accuracy import confusion
from harness.report.grouping import grouped
from harness.report.metrics import CLASS_METRICS
from harness.report.site.content import Content, SiteGroup, slug
from harness.report.site.pictures import Images
from harness.report.site.quantities import Row, cells, records, rounded, value_or_none
from harness.report.store import Run, architecture_info
from harness.report.tables.per_class import class_means

# Headings of an architecture's header, as CONTRIBUTING has them.
_PARTS = ("Paper", "Official definition", "As defined", "Differences", "Parameters")
_WORST = 20
# Parts of live tensors' peak, in the order of the bar.
LIVE = (
    *(("weights", "weights"), ("gradients", "gradients"), ("optimizer_state", "optimizer's state")),
    *(("kept_for_backward", "kept for backward"), ("decoder_storage", "kept for the decoder")),
    *(("input", "images and labels"), ("rest", "being computed")),
)


def network_pages(content: Content, images: Sequence[Images]) -> Iterator[tuple[str, Row]]:
    """Name of each page without ending, and what its template needs."""
    tested = {one.group.id: one for one in images}
    for network, title in content.titles.items():
        groups = [group for group in content.groups if network in group.scores[group.shown]]
        architecture, _, refined = network.partition("+")
        yield (
            f"network-{slug(network)}",
            {
                "network": network,
                "title": title,
                "refined": refined,
                "about": about(architecture),
                "scores": [row for row in content.rows if row["network"] == network],
                "sections": [_section(group, network, tested.get(group.id)) for group in groups],
                "costs": _costs(content.measurements[content.measurements["architecture"] == network]),
                "bars": _bars(content.measurements[content.measurements["architecture"] == network]),
            },
        )


def about(architecture: str) -> Row:
    """Summary and reference of the registry, and the parts of the header of the architecture's file."""
    info = architecture_info(architecture)
    if info is None:
        return {"summary": "", "reference": "", "header": []}
    return {"summary": info.summary, "reference": info.reference, "header": _header(info.target)}


def _header(target: str) -> list[Row]:
    """Parts of the docstring of the module, read without importing it; a list where its lines begin with a dash."""
    try:
        spec = importlib.util.find_spec(target.partition(":")[0])
        text = ast.get_docstring(ast.parse(Path(spec.origin).read_text("utf-8"))) if spec and spec.origin else None
    except (ImportError, OSError, SyntaxError, ValueError):
        return []
    pieces = re.split(rf"^({'|'.join(_PARTS)}):\s*", text or "", flags=re.MULTILINE)[1:]
    found = []
    for name, body in zip(pieces[::2], pieces[1::2], strict=True):
        items = [" ".join(one.split()) for one in re.split(r"(?:^|\n)- ", body)]
        found.append({"name": name, "lines": [one for one in items if one]})
    return found


def _section(group: SiteGroup, network: str, images: Images | None) -> Row:
    scored = group.scores[group.shown][network].scored
    means = class_means(scored, group.classes)
    return {
        "group": group,
        "classes": [
            {"name": name, **{metric.name: value_or_none(means[metric.name][at]) for metric in CLASS_METRICS}}
            for at, name in enumerate(group.classes)
        ],
        "confusion": [cells(row) for row in confusion(scored, len(group.classes))],
        "worst": _worst(images, network) if images else [],
    }


def _worst(images: Images, network: str) -> list[tuple[str, float]]:
    """The images with the lowest mIoU of the network: id and percent."""
    values = images.means[:, list(images.scored).index(network)]
    order = [int(at) for at in np.argsort(values, kind="stable") if not np.isnan(values[at])]
    return [(images.names[at], rounded(float(values[at]))) for at in order[:_WORST]]


def curves(content: Content) -> dict[str, list[Row]]:
    """`group/network` -> what is drawn of each seed: [iterations, values] of loss, and of mIoU of val and train."""
    frame = frames.load_curves(content.store)
    found: dict[str, list[Row]] = {}
    for group in content.groups:
        for network in group.networks:
            runs = [_curve(frame[frame["run_id"] == run.record.run_id], run) for run in group.networks[network]]
            found[f"{group.id}/{network}"] = [run for run in runs if run["loss"][0] or run["val"][0]]
    return found


def _curve(own: pd.DataFrame, run: Run) -> Row:
    def columns(name: str) -> list[list[float]]:
        there = own[own[name].notna()]
        return [there["iteration"].tolist(), [float(f"{value:.4g}") for value in there[name]]]

    curve: Row = {"seed": run.record.spec.seed, "loss": columns("loss")}
    return curve | {split: columns(f"{split}_miou") for split in ("val", "train")}


def _costs(own: pd.DataFrame) -> list[Row]:
    """A row a device, size, precision, variant, phase and batch."""
    rows = []
    ordered = own[own["phase"] != "shapes"].sort_values("device_kind", ascending=False, kind="stable")  # GPUs first
    keys = ["measurement_id", "device_name", "height", "width", "precision", "variant", "preset", "phase", "batch"]
    for found in grouped(records(ordered), lambda row: tuple(row[key] for key in keys)):
        values = {(row["quantity"], row["statistic"]): row for row in found}
        wanted = {
            "time": ("latency_ms", "median"),
            "throughput": ("throughput_images_s", "median"),
            "energy": ("energy_j_per_image", "above_idle"),
            "allocated": ("peak_allocated_mib", "value"),
            "nvml": ("nvml_mib", "value"),
            "live": ("live_peak_mib", "value"),
        }
        shown = {name: values.get(where) or values.get((where[0], "value")) for name, where in wanted.items()}
        rows.append({key: found[0][key] for key in keys} | {name: _figure(one) for name, one in shown.items()})
    return rows


def _figure(found: Row | None) -> Row | None:
    """None: not of this phase."""
    if found is None:
        return None
    return {name: value_or_none(found[name]) for name in ("value", "low", "high")} | {"why": found["reason"]}


def _bars(own: pd.DataFrame) -> list[Row]:
    """Live tensors at their peak by part, MiB, of each use and input size; the same on every machine."""
    bars = []
    for use, phase in (("inference", "inference-memory"), ("training", "training-memory")):
        for size, found in own[own["phase"] == phase].groupby(["height", "width", "batch", "precision"]):
            first = found[found["measurement_id"] == found["measurement_id"].iloc[0]]
            values = dict(zip(first["quantity"], first["value"], strict=True))
            parts = [(at, title, values.get(f"live_{name}_mib", np.nan)) for at, (name, title) in enumerate(LIVE)]
            total = values.get("live_peak_mib", np.nan)
            if total == total:
                bars.append(
                    {"use": use, "size": size, "total": rounded(total), "parts": [p for p in parts if p[2] > 0]}
                )
    return bars
