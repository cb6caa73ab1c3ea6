"""The order of a group's networks: each one's lead over the next, with its interval over seeds and test images."""

import numpy as np
import pandas as pd

from harness.metrics.significance import Sample, difference
from harness.report.accuracy import Scores
from harness.report.grouping import Group
from harness.report.sections import Section
from harness.report.store import title
from harness.report.tables.cells import column
from harness.report.tables.render import percent, signed
from harness.report.tables.spec import Column, Row, TableSpec
from harness.system.quantities import NotMeasured

_SEED = "mIoU_seed_"  # and the seed: a column each


def order(group: Group) -> pd.DataFrame:
    """A row a network, by falling mIoU on test at the group's shown checkpoint.

    Empty where there are less than two, or too few images for an interval.

    Columns network, architecture, checkpoint, seeds, mIoU (percent, mean over seeds), mIoU_seed_S of each seed, next
    (title of the network below), lead (points, over the seeds that both have), lead_low and lead_high (95 %),
    lead_seeds (in both).
    """
    found = {name: one for name in group.ran if (one := Scores.of(group.of(name), "test", group.shown_label))}
    samples = {name: sample for name, one in found.items() if (sample := one.sample("mIoU")) is not None}
    names = sorted(samples, key=lambda name: samples[name].mean, reverse=True)
    if len(names) < 2:
        return pd.DataFrame()
    seeds = sorted({seed for sample in samples.values() for seed in sample.seeds})
    rows = []
    for name, below in zip(names, [*names[1:], None], strict=True):
        own = samples[name]
        by_seed = dict(zip(own.seeds, own.values, strict=True))
        rows.append(
            {
                "network": title(name),
                "architecture": name,
                "checkpoint": group.shown_label,
                "seeds": len(own.seeds),
                "mIoU": own.mean,
                **{f"{_SEED}{seed}": by_seed.get(seed, np.nan) for seed in seeds},
                "next": title(below) if below else "",
                **(_lead_cells(own, samples[below]) if below else {}),
            }
        )
    frame = pd.DataFrame(rows).astype({"lead_seeds": "Int64"})
    return frame if frame["lead"].notna().any() else frame.iloc[:0]


def _lead_cells(own: Sample, below: Sample) -> dict[str, float]:
    lead = difference(own, below)
    if isinstance(lead, NotMeasured):  # too few images
        return dict.fromkeys(("lead", "lead_low", "lead_high", "lead_seeds"), np.nan)
    return {"lead": lead.estimate, "lead_low": lead.low, "lead_high": lead.high, "lead_seeds": min(lead.seeds)}


def _lead(row: Row) -> str:
    if pd.isna(row["lead"]):
        return "–"
    low, high = row["lead_low"], row["lead_high"]
    return f"{'≈ ' if low <= 0 <= high else ''}{signed(row['lead'])} [{signed(low, 1)}, {signed(high, 1)}]"


def _columns(section: Section, frame: pd.DataFrame) -> list[Column]:
    seeds = [str(name) for name in frame.columns if str(name).startswith(_SEED)]
    each = [column(f"seed {name.removeprefix(_SEED)}", name, percent) for name in seeds] if len(seeds) > 1 else []
    return [
        column("network", "network", text=True),
        column("mIoU %", "mIoU", percent),
        *each,
        Column(header="above the next, points", cell=_lead),
    ]


TABLE = TableSpec(
    name="order",
    heading="Order of the networks",
    place=24,
    values=lambda section: order(section.group) if len(section.groups) == 1 else pd.DataFrame(),
    columns=_columns,
    notes=lambda section, frame: ("order",),
    fills=("table3", "none"),
)
