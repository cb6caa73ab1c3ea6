"""The regression gate: ratios to the PyTorch baseline against those of the committed record."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.records.speed import Entry, PerformanceRecord, spread
from harness.system.environment import Device
from tests.benchmarks.comparisons import PYTORCH_BASELINE

# A ratio may be worse by this share before the gate closes.
ALLOWANCE = 0.25


@dataclass(frozen=True, kw_only=True)
class Regression:
    """An entry that is worse than the committed one, in one line."""

    name: str
    message: str


def comparable(
    committed: Sequence[PerformanceRecord], *, device: Device, threads: int, size: tuple[int, int]
) -> list[PerformanceRecord]:
    """The committed records by which one of such a machine may be judged."""
    wanted = (size, device, threads)
    return [record for record in committed if (record.size, record.device, record.threads) == wanted]


def baseline_for(new: PerformanceRecord, committed: Sequence[PerformanceRecord]) -> PerformanceRecord | None:
    """The committed record to judge by: this device's, else another's with as many threads; of one size.

    A ratio to the PyTorch baseline on the same machine has most of the machine divided out of it already.
    """
    same = comparable(committed, device=new.device, threads=new.threads, size=new.size)
    own = [record for record in same if record.device_slug == new.device_slug]
    return next(iter([*own, *same]), None)


def regressions(baseline: PerformanceRecord, new: PerformanceRecord) -> list[Regression]:
    """Entries whose median ratio exceeds the committed one by more than the allowance, or that have none.

    Entries without an opponent have no ratio and are not judged. On another device fewer are: not those in
    bfloat16, since CPUs with and without instructions for it differ by a factor of twenty; nor those against a
    DataLoader with processes of its own, which gain 1.7 times on one machine and 3 times on another; nor those
    against something else than the PyTorch baseline, such as the matrix peak. There, what takes less than the
    baseline's time is no regression either: how much less is the device's, by a factor of two.
    """
    elsewhere = baseline.device_slug != new.device_slug
    found = []
    for entry in baseline.entries:
        now = new.entry(entry.name)
        # by what is measured now: committed records may have an earlier name of the opponent
        by_device = entry.precision == "bf16" or (
            now is not None and (now.opponent != PYTORCH_BASELINE or now.opponent_workers > 0)
        )
        if not entry.ratios or (elsewhere and by_device):
            continue
        message = _worse(entry, now, least=1.0 if elsewhere else 0.0)
        if message is not None:
            found.append(Regression(name=entry.name, message=message))
    return found


def _worse(committed: Entry, entry: Entry | None, least: float) -> str | None:
    """In what an entry is worse than the committed one; none where its ratio is at most `least`."""
    if entry is None:
        return f"{committed.name}: in the committed record, but not measured now"
    if not entry.ratios:
        return f"{committed.name}: no ratio now: {entry.failure or 'no opponent'}"
    before, now = spread(committed.ratios), spread(entry.ratios)
    limit = max(before.median * (1 + ALLOWANCE), least)
    if now.median <= limit:
        return None
    return (
        f"{committed.name}: {now.median:.3f} [{now.low:.3f}, {now.high:.3f}] of {entry.opponent}'s time, "
        f"committed {before.median:.3f}: worse by {100 * (now.median / before.median - 1):.0f} %, "
        f"allowed {100 * ALLOWANCE:.0f} %"
    )
