"""What the comparison with the PyTorch baseline leaves: `results/performance/<device>-<H>x<W>.json`.

The PyTorch baseline is SegNet, its data and its scores as people write them by hand (`tests/benchmarks/plain`). Each
entry holds the seconds of both sides, interleaved; ratios are taken within a round, and derived from the
samples again at any time. Importing this module does not import torch.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from harness.config.run_spec import Precision
from harness.records.measurement import PAPER_SIZE
from harness.records.store import Manifest, Shelf, Stored, with_manifests
from harness.system.environment import Device
from harness.system.quantities import Frozen


class Target(Frozen):
    """What an entry should reach: a median ratio, or a median of our seconds, of at most so much."""

    quantity: Literal["ratio", "seconds"]
    at_most: float = Field(gt=0)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Median and quartiles of some values."""

    low: float
    median: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles, by linear interpolation; one value is all three. ValueError for no values."""
    if not values:
        raise ValueError("no values to take a median of")
    if len(values) == 1:
        return Spread(low=values[0], median=values[0], high=values[0])
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(low=low, median=middle, high=high)


class Entry(Frozen):
    """One comparison: seconds of both sides by round, or the reason why there are none."""

    name: str = Field(min_length=1)
    title: str
    what: str = Field(description="what one sample is, and on what it was taken")
    opponent: str | None = Field(description="what ours is compared with; none: with its target alone")
    precision: Precision | None = Field(description="of our side; none where no network runs")
    images: int | None = Field(ge=1, description="images of one sample; none where it has no images")
    opponent_workers: int = Field(0, ge=0, description="processes that the other side's DataLoader starts")
    ours_s: tuple[float, ...] = Field(description="seconds of our side, by round")
    opponent_s: tuple[float, ...] = Field(description="seconds of the other side, by the same rounds")
    target: Target | None
    notes: tuple[str, ...] = Field(description="what explains the figures, one sentence each")
    flags: tuple[str, ...] = Field(description="warnings, one sentence each")
    failure: str | None = Field(None, description="why there are no figures")
    measured_at: str = Field(description="start, UTC, ISO 8601")
    wall_s: float = Field(ge=0)
    load_average_before: float | None = Field(description="over 1 minute; none: this system has none")
    load_average_after: float | None
    environment: int = Field(0, ge=0, description="number of its manifest in the record")

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if (self.failure is None) != bool(self.ours_s):
            raise ValueError(f"{self.name} must have either our samples or a failure")
        expected = len(self.ours_s) if self.opponent else 0
        if len(self.opponent_s) != expected:
            raise ValueError(f"{self.name} has {len(self.opponent_s)} of {expected} samples of its opponent")
        if min((*self.ours_s, *self.opponent_s), default=1.0) <= 0:
            raise ValueError(f"{self.name} has a sample that is not positive")
        return self

    @property
    def ratios(self) -> tuple[float, ...]:
        """Our seconds over the opponent's of the same round; empty without an opponent."""
        pairs = zip(self.ours_s, self.opponent_s, strict=True) if self.opponent_s else ()
        return tuple(ours / other for ours, other in pairs)

    @property
    def met(self) -> bool | None:
        """Whether the target was met; none without a target or without figures."""
        if self.target is None or not self.ours_s:
            return None
        values = self.ratios if self.target.quantity == "ratio" else self.ours_s
        return spread(values).median <= self.target.at_most


class PerformanceRecord(Stored):
    """All comparisons of one device at one size."""

    schema_version: Literal[1] = 1
    device: Device
    device_name: str
    device_slug: str
    threads: int = Field(ge=1, description="torch's threads, on both sides")
    size: tuple[int, int] = Field(description="input height and width")
    reduced: bool = Field(description="input size differs from the paper's 360 x 480")
    entries: tuple[Entry, ...] = Field(min_length=1)
    environments: tuple[Manifest, ...] = Field(
        min_length=1,
        description="machine and software, harness.system.environment.environment; entries say which",
    )
    settings: dict[str, Any] = Field(description="how the sides were run")

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.reduced != (self.size != PAPER_SIZE):
            raise ValueError(f"reduced is {self.reduced} at size {self.size}")
        names = [entry.name for entry in self.entries]
        if len(set(names)) != len(names):
            raise ValueError("entries must have different names")
        if any(entry.environment >= len(self.environments) for entry in self.entries):
            raise ValueError("an entry names an environment that is not there")
        return self

    @property
    def file_name(self) -> str:
        """Path of the record in its folder."""
        height, width = self.size
        return f"{self.device_slug}-{height}x{width}.json"

    def entry(self, name: str) -> Entry | None:
        """The entry of that name."""
        return next((entry for entry in self.entries if entry.name == name), None)


def joined(old: PerformanceRecord | None, new: PerformanceRecord) -> PerformanceRecord:
    """One record with the entries of two of one device and size; a new entry takes the place of an old one."""
    if old is None:
        return new
    kept = [entry for entry in old.entries if new.entry(entry.name) is None]
    parts, manifests = with_manifests(((kept, old.environments), (new.entries, new.environments)))
    found = {entry.name: entry for entry in parts}
    names = dict.fromkeys(entry.name for entry in (*old.entries, *new.entries))
    return new.model_copy(update={"entries": tuple(found[name] for name in names), "environments": manifests})


PERFORMANCE = Shelf(PerformanceRecord, "performance", "a comparison with the PyTorch baseline")
