"""Measurements: what one is of, what it leaves, and where that lies.

`results/measurements/<device>/<architecture>-<H>x<W>-k<classes>-<precision>-<effort>.json`. Importing this
module does not import torch. Bytes are bytes, times are milliseconds, MB is 10^6 bytes as in the paper's
Table 6.
"""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.errors import UserError
from harness.machine import Device, available_cores, device_slug
from harness.records import write_atomically
from harness.spec import Precision

Effort = Literal["full", "lease", "cpu", "quick"]

PAPER_SIZE = (360, 480)
INFERENCE_BATCH = 1
TRAINING_BATCH = 4
TIME_BATCH = 1
KEPT_SAMPLES = 200  # of a round, at most


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MeasureSpec(_Frozen):
    """One measurement: an architecture on a device, at one size, precision and effort."""

    architecture: str = Field(min_length=1)
    architecture_revision: int = Field(ge=1)
    num_classes: int = Field(11, ge=2)
    size: tuple[int, int] = Field(PAPER_SIZE, description="input height and width")
    precision: Precision = "fp32"
    device: Device
    effort: Effort
    threads: int = Field(default_factory=available_cores, ge=1, description="torch's threads on the CPU")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if min(self.size) < 1:
            raise ValueError(f"size {self.size}: height and width must be at least 1")
        if self.precision == "tf32" and self.device == "cpu":
            raise ValueError("precision tf32 exists on a GPU only; choose fp32 or bf16, or the device cuda")
        return self

    @property
    def file_name(self) -> str:
        """Name of the record within the device's folder."""
        name = self.architecture.replace(":", "-").replace("/", "-")
        height, width = self.size
        return f"{name}-{height}x{width}-k{self.num_classes}-{self.precision}-{self.effort}.json"


class Quantity(_Frozen):
    """A number, or why there is none: exactly one of the two."""

    value: float | None = None
    reason: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.value is None) == (self.reason is None):
            raise ValueError("a quantity has either a value or a reason for having none")
        return self


class Missing(_Frozen):
    """Stands where a value that is no single number would, with the reason for its absence."""

    reason: str = Field(min_length=1)


class Round(_Frozen):
    """One round of samples."""

    n: int = Field(ge=1, description="samples taken")
    median_ms: float
    samples_ms: tuple[float, ...] = Field(
        max_length=KEPT_SAMPLES, description="in order of time; evenly thinned where n is larger"
    )


class TimeSummary(_Frozen):
    """Time of one pass. The headline is the median of the rounds' medians, never the shortest."""

    batch: int = Field(ge=1)
    median_ms: float
    p90_ms: float = Field(description="90th percentile of all samples of all rounds")
    iqr_ms: float = Field(description="interquartile range of all samples of all rounds")
    n: int = Field(ge=1, description="samples of all rounds")
    spread_percent: float = Field(description="largest minus smallest round median, over the headline")
    warmup_n: int = Field(ge=0)
    warmup_s: float = Field(ge=0)
    rounds: tuple[Round, ...] = Field(min_length=1)


class LiveSplit(_Frozen):
    """What the live bytes consist of at their peak."""

    weights_bytes: Quantity
    gradients_bytes: Quantity
    optimiser_state_bytes: Quantity
    rest_bytes: Quantity = Field(description="input, labels, activations, buffers, gradients of activations")


class Memory(_Frozen):
    """Memory of inference or of training. Each figure holds one input batch, training also its labels."""

    batch: int = Field(ge=1)
    live_peak_bytes: Quantity = Field(
        description="distinct tensor storages, torch's CPU code path (tracker.py)"
    )
    live_split: LiveSplit
    allocated_peak_bytes: Quantity = Field(description="CUDA allocator, after warm-up")
    reserved_peak_bytes: Quantity = Field(description="CUDA allocator, after warm-up")
    warmup_allocated_peak_bytes: Quantity
    warmup_reserved_peak_bytes: Quantity
    nvml_used_minus_idle_bytes: Quantity = Field(
        description="NVML v2 'used' after the phase, minus before CUDA"
    )
    context_bytes: Quantity = Field(
        description="the same for an empty CUDA context; contained in the figure above"
    )
    process_rss_peak_bytes: Quantity = Field(description="resident memory of the whole process, CPU only")
    process_rss_idle_bytes: Quantity = Field(description="the same before the network was built")


class DecoderStorage(_Frozen):
    """Bytes kept in inference for the decoder of one image, an entry a pooling of the encoder in order.

    Pooling indices as each storage of `architectures.pooling` holds them, and encoder maps, which are the
    same in all three. Empty without a decoder.
    """

    int64_bytes: tuple[int, ...]
    uint8_bytes: tuple[int, ...]
    two_bit_bytes: tuple[int, ...]


class DeviceState(_Frozen):
    """One look at the GPU."""

    sm_clock_mhz: Quantity
    memory_clock_mhz: Quantity
    temperature_c: Quantity
    power_w: Quantity
    throttle_reasons: tuple[str, ...] | Missing = Field(description="NVML's clock event reasons, by name")


class Failure(_Frozen):
    """Why a measurement is not whole. What was measured before or beside it stands in the record."""

    kind: Literal["oom", "error"]
    message: str = Field(min_length=1, description="such as 'OOM at batch 4'")
    phase: str


class MeasurementRecord(_Frozen):
    """What a measurement leaves: Table 6's columns with all that they were measured on."""

    schema_version: Literal[1] = 1
    spec: MeasureSpec
    device_name: str
    device_slug: str
    measured_at: str = Field(description="start, UTC, ISO 8601")
    wall_s: float = Field(ge=0)
    status: Literal["finished", "failed"]
    failure: Failure | None = None
    reduced: bool = Field(description="input size differs from the paper's 360 x 480")
    parameters: Quantity
    trainable_parameters: Quantity
    model_size_mb: Quantity = Field(description="4 bytes a parameter, 10^6 bytes, as the Caffe file has it")
    gmacs: Quantity = Field(description="multiply-accumulates of a forward pass at batch 1, 10^9")
    gmacs_not_counted: tuple[str, ...] = Field(description="operators of that pass that add nothing to gmacs")
    decoder_storage: DecoderStorage | None = Field(None, description="none in records of before it was taken")
    forward: TimeSummary | None = Field(description="batch 1, evaluation mode, inference_mode")
    forward_reason: str | None = Field(description="why there is none")
    backward: TimeSummary | None = Field(description="batch 1, training mode, loss.backward() alone")
    backward_reason: str | None = Field(description="why there is none")
    inference_memory: Memory
    training_memory: Memory
    device_before: DeviceState
    device_after: DeviceState
    load_average_before: Quantity = Field(description="over 1 minute")
    load_average_after: Quantity = Field(description="over 1 minute")
    flags: tuple[str, ...] = Field((), description="doubts about the figures, one sentence each")
    settings: dict[str, Any] = Field(description="backend switches, input, optimiser")
    environment: dict[str, Any] = Field(description="machine and software, harness.machine.environment")

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if (self.status == "failed") != (self.failure is not None):
            raise ValueError("a failed measurement has a failure, a finished one has none")
        for time, reason in ((self.forward, self.forward_reason), (self.backward, self.backward_reason)):
            if (time is None) == (reason is None):
                raise ValueError("forward and backward have either a time or a reason for having none")
        if self.reduced != (self.spec.size != PAPER_SIZE):
            raise ValueError(f"reduced is {self.reduced} at size {self.spec.size}")
        return self


def blank_memory(batch: int, reason: str) -> Memory:
    """Memory figures that are all missing for one reason."""
    none = Quantity(reason=reason)
    split = LiveSplit.model_validate(dict.fromkeys(LiveSplit.model_fields, none))
    figures = dict.fromkeys(Memory.model_fields.keys() - {"batch", "live_split"}, none)
    return Memory.model_validate({**figures, "batch": batch, "live_split": split})


def blank_state(reason: str) -> DeviceState:
    """A look at the GPU that could not be taken."""
    none = dict.fromkeys(DeviceState.model_fields.keys() - {"throttle_reasons"}, Quantity(reason=reason))
    return DeviceState.model_validate({**none, "throttle_reasons": Missing(reason=reason)})


def measurements_folder(results: Path) -> Path:
    """Where all measurements lie."""
    return results / "measurements"


def measurement_path(results: Path, spec: MeasureSpec, slug: str | None = None) -> Path:
    """Where the record of a spec lies; `slug` names the device's folder, by default this machine's.

    Raises:
        UserError: no slug given, and this machine has no such device.
    """
    return measurements_folder(results) / (slug or device_slug(spec.device)) / spec.file_name


def save_measurement(results: Path, record: MeasurementRecord) -> Path:
    """Write a record in its place, whole or not at all; it replaces an earlier one of the same name.

    Raises:
        UserError: the folder can't be written.
    """
    path = measurement_path(results, record.spec, record.device_slug)
    write_record(path, record)
    return path


def write_record(path: Path, record: MeasurementRecord) -> None:
    """Write a record to a file of one's choice, whole or not at all.

    Raises:
        UserError: the folder can't be written.
    """
    write_atomically(path, f"{record.model_dump_json(indent=1)}\n".encode())


def read_record(path: Path) -> MeasurementRecord:
    """Read one record.

    Raises:
        UserError: not there, or it does not fit the schema; one line that names the file.
    """
    try:
        return MeasurementRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(f"{path}: not a measurement record: {where}: {first['msg']}") from error


def load_measurements(results: Path) -> tuple[list[MeasurementRecord], list[tuple[Path, str]]]:
    """All measurements below the results folder, sorted by path, and the unreadable files with reasons."""
    records: list[MeasurementRecord] = []
    unreadable: list[tuple[Path, str]] = []
    for path in sorted(measurements_folder(results).glob("*/*.json")):
        try:
            record = read_record(path)
        except UserError as error:
            unreadable.append((path, str(error)))
            continue
        if path != measurement_path(results, record.spec, record.device_slug):
            unreadable.append(
                (path, f"{path}: the record belongs to {record.device_slug}/{record.spec.file_name}")
            )
        else:
            records.append(record)
    return records, unreadable
