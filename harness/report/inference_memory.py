"""Whether the paper's order of inference memory holds here, told from the figures of one device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness import paper
from harness.records.measurement import PAPER_SIZE, MeasurementRecord
from harness.records.measurement_values import Live
from harness.report.groups import title
from harness.report.readings import live_mib, memory_mib
from harness.report.resources import MeasurementGroup
from harness.report.table6 import Comparison
from harness.report.tables import significant

# The parts of the live tensors, as `Live` names them.
LIVE_PARTS = tuple(
    name.removesuffix("_bytes") for name in Live.model_fields if name.endswith("_bytes") and name != "peak_bytes"
)


@dataclass(frozen=True, kw_only=True)
class _Use:
    """Inference memory of one network by one way of measuring, MiB, and what it is made of."""

    total: float
    parts: Mapping[str, float]


def inference_memory_notes(group: MeasurementGroup, against: Comparison) -> list[str]:
    """Lines under Table 6: the paper's order, by which figures it holds here, and where it does not, why.

    Empty at another size than the paper's, where the paper's figures do not stand beside, and without the
    reference.
    """
    reference = group.of(against.reference)
    if not against.with_paper or group.size != PAPER_SIZE or reference is None:
        return []
    base_title = title(against.reference)
    published = {row.network: row.inference_memory_mb for row in paper.resources()}
    base_mb = published.pop(base_title)
    measured = {title(record.spec.architecture): record for record in group.records}
    more, less = [
        [f"{name} ({value:,.0f})" for name, value in published.items() if (value > base_mb) == above]
        for above in (True, False)
    ]
    lines = [
        f"Inference memory in the paper, MB: {base_title} ({base_mb:,.0f}) needs "
        + " and ".join(f"{how} than {', '.join(names)}" for how, names in (("less", more), ("more", less)) if names)
        + "."
    ]
    for name in ("live tensors' peak", "allocator's peak", "NVML used minus idle"):
        base = _use(reference, name)
        others = {
            network: use for network in published if network in measured and (use := _use(measured[network], name))
        }
        if base and others:
            lines += _compared(name, (base_title, base, base_mb), others, published)
    return lines


def _compared(
    name: str, reference: tuple[str, _Use, float], others: Mapping[str, _Use], published: Mapping[str, float]
) -> list[str]:
    """A line on the networks for which the order holds, and one on each for which it does not."""
    base_title, base, base_mb = reference
    holds = [
        network
        for network, use in others.items()
        if (use.total > base.total) == (published[network] > base_mb) and use.total != base.total
    ]
    fails = [network for network in others if network not in holds]

    def listed(networks: Sequence[str]) -> str:
        return ", ".join(f"{network} ({significant(others[network].total)})" for network in networks)

    said = [f"holds for {listed(holds)}"] if holds else []
    said += [f"does NOT hold for {listed(fails)}"] if fails else []
    lines = [f"That order by {name} here, MiB: {base_title} {significant(base.total)}; it {' and '.join(said)}."]
    return lines + [_reason(network, others[network], base_title, base) for network in fails]


def _reason(network: str, use: _Use, base_title: str, base: _Use) -> str:
    """Parts side by side, and the one that does most for the difference."""
    parts = [name for name in use.parts if name in base.parts and (use.parts[name] or base.parts[name])]
    if not parts:
        return f"{network}: its parts were not measured."
    side_by_side = ", ".join(
        f"{name} {significant(use.parts[name])} ({base_title} {significant(base.parts[name])})" for name in parts
    )
    sign = 1 if use.total > base.total else -1
    largest = max(parts, key=lambda name: sign * (use.parts[name] - base.parts[name]))
    return f"{network}, of that MiB: {side_by_side}. The difference is largest in {largest}."


def _use(record: MeasurementRecord, name: str) -> _Use | None:
    """None where it was not measured."""
    live = {part.replace("_", " "): live_mib(record, "inference", part).value for part in LIVE_PARTS}
    if name == "live tensors' peak":
        total, parts = live_mib(record, "inference").value, live
    elif name == "allocator's peak":
        total = memory_mib(record, "inference", "allocated_peak_bytes").value
        parts = {
            "live tensors": live_mib(record, "inference").value,
            "workspaces": memory_mib(record, "inference", "workspace_bytes").value,
        }
    else:
        total = memory_mib(record, "inference", "nvml_used_minus_idle_bytes").value
        parts = {
            "allocator's reserve": memory_mib(record, "inference", "reserved_peak_bytes").value,
            "CUDA context": memory_mib(record, "inference", "context_bytes").value,
        }
    if total is None:
        return None
    return _Use(total=total, parts={part: value for part, value in parts.items() if value is not None})
