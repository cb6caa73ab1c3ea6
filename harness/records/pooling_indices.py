"""What the comparison of index storages leaves: `results/indices/<device>/<architecture>-<H>x<W>-....json`.

Importing this module does not import torch.
"""

from typing import Literal

from pydantic import Field

from harness.config.run_spec import Precision
from harness.records.store import Manifest, Shelf, Stored
from harness.system.environment import Device
from harness.system.quantities import Frozen

Phase = Literal["inference", "training step"]
Layout = Literal["contiguous", "channels-last"]
# torch's own pair, which the others are compared with
BASELINE = "int64"


class StorageBytes(Frozen):
    """Bytes of one storage. MiB elsewhere are 2^20 of them."""

    storage: str
    index_bytes: int = Field(description="indices of all poolings of one image")
    inference_live_peak_bytes: int = Field(description="live tensors at their peak, one image")
    training_live_peak_bytes: int = Field(description="the same of a training step at the training batch")


class Samples(Frozen):
    """Times of one storage, one a round; in each round every storage has its turn."""

    storage: str
    phase: Phase
    layout: Layout
    batch: int
    samples_ms: tuple[float, ...] = Field(min_length=1)


class IndexRecord(Stored):
    """One architecture on one device: bytes, and times taken in turns."""

    schema_version: Literal[1] = 1
    architecture: str
    architecture_revision: int
    num_classes: int
    size: tuple[int, int]
    precision: Precision
    device: Device
    device_name: str
    device_slug: str
    threads: int
    training_batch: int
    measured_at: str = Field(description="start, UTC, ISO 8601")
    wall_s: float
    storages: tuple[StorageBytes, ...]
    times: tuple[Samples, ...]
    flags: tuple[str, ...] = Field((), description="warnings, one sentence each")
    environment: Manifest = Field(description="machine and software, harness.system.environment.environment")

    @property
    def file_name(self) -> str:
        """Path of the record in its folder."""
        height, width = self.size
        return f"{self.device_slug}/{self.architecture}-{height}x{width}-k{self.num_classes}-{self.precision}.json"

    def samples(self, storage: str, phase: Phase, layout: Layout) -> tuple[float, ...]:
        """Times in ms, by round; empty where none were taken."""
        found = (
            one.samples_ms for one in self.times if (one.storage, one.phase, one.layout) == (storage, phase, layout)
        )
        return next(found, ())


INDICES = Shelf(IndexRecord, "indices", "a comparison of index storages")
