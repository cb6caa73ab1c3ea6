"""What the comparison of index storages leaves: `results/indices/<device>/<architecture>-<H>x<W>-....json`.

Importing this module does not import torch.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.config.run_spec import Precision
from harness.records.store import Manifest, load_records, save_record
from harness.system.environment import Device

Phase = Literal["inference", "training step"]
Layout = Literal["contiguous", "channels-last"]
# torch's own pair, which the others are compared with
BASELINE = "int64"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StorageBytes(_Frozen):
    """Bytes of one storage. MiB elsewhere are 2^20 of them."""

    storage: str
    index_bytes: int = Field(description="indices of all poolings of one image")
    inference_live_peak_bytes: int = Field(description="live tensors at their peak, one image")
    training_live_peak_bytes: int = Field(description="the same of a training step at the training batch")


class Samples(_Frozen):
    """Times of one storage, one a round; in each round every storage has its turn."""

    storage: str
    phase: Phase
    layout: Layout
    batch: int
    samples_ms: tuple[float, ...] = Field(min_length=1)


class IndexRecord(_Frozen):
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
        """Name of the record within the device's folder."""
        height, width = self.size
        return f"{self.architecture}-{height}x{width}-k{self.num_classes}-{self.precision}.json"

    def samples(self, storage: str, phase: Phase, layout: Layout) -> tuple[float, ...]:
        """Times in ms, by round; empty where none were taken."""
        found = (
            one.samples_ms for one in self.times if (one.storage, one.phase, one.layout) == (storage, phase, layout)
        )
        return next(found, ())


def indices_folder(results: Path) -> Path:
    """Where all comparisons of index storages lie."""
    return results / "indices"


def save_indices(results: Path, record: IndexRecord) -> Path:
    """Write a record in its place, whole or not at all; it replaces an earlier one of the same name.

    Raises:
        UserError: the folder can't be written.
    """
    path = indices_folder(results) / record.device_slug / record.file_name
    save_record(path, record)
    return path


def load_indices(results: Path, on_damage: Callable[[str], None] | None = None) -> list[IndexRecord]:
    """All comparisons below the results folder, sorted by path.

    Args:
        results: the results folder.
        on_damage: called with a line on each file that is no such record; none: it raises.

    Raises:
        UserError: a file that is no such record, where nobody else is told; one line that names it.
    """
    paths = sorted(indices_folder(results).glob("*/*.json"))
    return load_records(IndexRecord, paths, "a comparison of index storages", on_damage)
