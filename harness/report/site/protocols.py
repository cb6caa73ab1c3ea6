"""What the page of protocols and measuring shows: protocol cards, system sheets, what is left out."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from harness.config.protocol import Protocol, load_protocol, toml_names, written
from harness.config.run_spec import EVALUATION_REVISION, RunSpec
from harness.records.measurement import MeasurementRecord
from harness.report.card import Setting, paper_table
from harness.report.comparability import paper_protocol, paper_training_images, share_of_epochs
from harness.report.grouping import outdated
from harness.report.site.content import Content, SiteGroup
from harness.report.site.quantities import Row

# Fields of a protocol that a card leaves out, since it says them elsewhere.
_ELSEWHERE = {"name", "overrides", "summary", "source", "dataset", "quick", "report_at"}
_MACHINE = (
    *("gpu_name", "gpu_memory_bytes", "driver", "cuda", "cudnn", "cpu_model", "cpu_cores", "torch_threads"),
    *("ram_bytes", "torch", "torchvision", "timm", "segmentation_models_pytorch", "python", "system", "kernel"),
)


def identity(group: SiteGroup) -> list[tuple[str, str]]:
    """What all runs of a group share, (name, value): two that differ in one of these are not compared."""
    spec = group.spec
    return [
        ("dataset", spec.dataset),
        ("edition of the data", f"{spec.dataset_variant} {spec.dataset_hash[:12]}"),
        ("protocol", spec.protocol.title),
        ("precision", spec.precision),
        ("compiled", spec.compiled),
        ("initial weights", _weights(group)),
        ("revision of evaluation", str(spec.evaluation_revision)),
        ("scored on", group.split),
    ]


def _weights(group: SiteGroup) -> str:
    """Title of the weights that the runs began with; of networks that have their own, what is common to them."""
    titles = dict.fromkeys(run.record.spec.initial_weights.title for run in group.group.runs)
    weights = group.group.key.weights
    key = f" ({weights[:8]})" if weights else ""
    return (
        f"{'; '.join(titles)}{key}"
        if len(titles) <= 2
        else f"{group.spec.initial_weights.kind}, of {len(titles)} kinds{key}"
    )


def badges(group: SiteGroup) -> list[Row]:
    """Status of a group: seeds, share of the schedule, initial weights, and what limits it."""
    spec = group.spec
    seeds = [len(runs) for runs in group.networks.values()]
    low, high = min(seeds), max(seeds)
    text = f"{low}" if low == high else f"{low} to {high}"
    found = [{"text": f"seeds: {text}", "kind": "warn" if low == 1 else "good"}]
    share = share_of_epochs(spec.protocol, group.info, paper_table(spec)) if group.info else None
    if share is not None:
        found.append({"text": f"schedule: {100 * share:.0f} %", "kind": "warn" if share < 1 else "good"})
    size = f"input {group.size[0]} x {group.size[1]}"
    smaller = group.info is not None and group.size[0] * group.size[1] < group.info.size[0] * group.info.size[1]
    found.append({"text": size, "kind": "warn" if smaller else ""})
    found.append({"text": f"start: {_weights(group)}", "kind": ""})
    found.append({"text": f"trained in {spec.precision}", "kind": ""})
    if spec.evaluation_revision != EVALUATION_REVISION:
        found.append({"text": f"evaluation {spec.evaluation_revision}, now {EVALUATION_REVISION}", "kind": "warn"})
    if group.synthetic:
        found.append({"text": "drawn data", "kind": "warn"})
    return found


def _recipe(spec: RunSpec) -> str | None:
    """The protocol that follows the paper's recipe for the table that a run belongs beside; none on other data."""
    recipe = paper_protocol(paper_table(spec))
    return recipe.name if recipe.dataset == spec.dataset else None


def cards(content: Content) -> list[Row]:
    """A card a group: its settings beside the paper's recipe, and what bears on the comparison."""
    found = []
    for group in content.groups:
        protocol, splits = group.spec.protocol, group.info.splits if group.info else {}
        reference = _recipe(group.spec)
        found.append(
            {
                "group": group,
                "badges": badges(group),
                "summary": protocol.summary,
                "source": protocol.source,
                "reference": reference,
                "settings": _settings(group, reference),
                "identity": identity(group),
                "images": ", ".join(f"{split} {count:,}" for split, count in splits.items()),
            }
        )
    return found


def _settings(group: SiteGroup, reference: str | None) -> list[Setting]:
    """Training images, then every field of the protocol, those first that are not the paper's."""
    protocol, theirs = group.spec.protocol, load_protocol(reference) if reference else None
    rows = [
        Setting(
            name=name.replace("_", " "),
            here=_shown(getattr(protocol, name)),
            paper=_shown(getattr(theirs, name)) if theirs else "",
            meaning=field.description or "",
        )
        for name, field in Protocol.model_fields.items()
        if name not in _ELSEWHERE
    ]
    rows.sort(key=lambda row: not row.differs)
    info = group.info
    images = paper_training_images(info, paper_table(group.spec)) if info else None
    if info is None or images is None:
        return rows
    meaning = "in the paper, not of the recipe's file"
    here = f"{info.splits['train']:,}"
    return [Setting(name="training images", here=here, paper=f"{images:,}", meaning=meaning), *rows]


def versions(content: Content) -> list[Row]:
    """Every protocol of the program, with how many runs here are of it."""
    runs = Counter(record.spec.protocol.name for record in content.records)
    found = [load_protocol(name) for name in toml_names("protocols")]
    return [{"name": one.name, "summary": one.summary, "source": one.source, "runs": runs[one.name]} for one in found]


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple) and all(isinstance(part, int) for part in value):
        return " x ".join(str(part) for part in value)
    return ", ".join(f"{part:g}" for part in value) if isinstance(value, tuple) else written(value)


# -- devices ------------------------------------------------------------------------------------------------


def systems(content: Content) -> list[Row]:
    """A sheet a device: machine, software, switches, clocks and power while measuring."""
    rows = []
    for device in content.devices:
        own = [one for one in content.store.measured[0] if one.device_slug == device["slug"]]
        found: dict[str, list[str]] = {}
        for manifest in [one for record in own for one in record.environments]:
            for name in _MACHINE:
                value = manifest.get(name)
                if value not in (None, ""):
                    text = f"{value / 2**30:.1f} GiB" if name.endswith("_bytes") else str(value)
                    found.setdefault(name.removesuffix("_bytes").replace("_", " "), []).append(text)
        facts = [(name, ", ".join(dict.fromkeys(texts))) for name, texts in found.items()]
        rows.append({"device": device, "facts": facts + _observed(content, device["slug"]) + _switches(own)})
    return rows


def _observed(content: Content, device: str) -> list[tuple[str, str]]:
    """Clocks, temperature and power while forward passes were timed, medians of the measurements from low to high."""
    frame = content.measurements
    own = frame[(frame["device"] == device) & frame["value"].notna()]
    facts = []
    units = {"sm_clock_mhz": "MHz", "memory_clock_mhz": "MHz", "temperature_c": "°C", "power_w": "W"}
    for name, unit in (units | {"idle_power_w": "W", "context_idle_power_w": "W"}).items():
        values = own[own["quantity"] == name]["value"]
        if len(values):
            low, high = values.min(), values.max()
            text = f"{low:.0f}" if f"{low:.0f}" == f"{high:.0f}" else f"{low:.0f} to {high:.0f}"
            facts.append((name.rpartition("_")[0].replace("_", " "), f"{text} {unit}"))
    return facts


def _switches(records: Sequence[MeasurementRecord]) -> list[tuple[str, str]]:
    found: dict[str, list[str]] = {}
    for record in records:
        for name, value in record.settings.items():
            text = ", ".join(f"{k}: {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
            found.setdefault(name.replace("_", " "), []).append(text)
    return [(name, "; ".join(dict.fromkeys(texts))) for name, texts in found.items()]


def left_out(content: Content) -> list[str]:
    """A line on each record that is damaged or out of date."""
    lines = [*content.store.unreadable, *content.measurements.attrs.get("unreadable", ())]
    for record in content.records:
        failure = f"{record.failure.kind}: {record.failure.message}" if record.failure else ""
        lines += [f"runs/{record.run_id}: {why}" for why in (outdated(record), failure) if why]
    return sorted(set(lines))
