"""A measurement record in the making: what is known so far, and why the rest is missing."""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import torch

from architectures.pooling import Storage
from harness.machine import device_name, device_slug, environment
from harness.measure.counts import Counts
from harness.measure.record import (
    INFERENCE_BATCH,
    PAPER_SIZE,
    TRAINING_BATCH,
    DecoderStorage,
    DeviceState,
    Failure,
    LiveSplit,
    MeasurementRecord,
    MeasureSpec,
    Memory,
    Quantity,
    TimeSummary,
    blank_memory,
    blank_state,
)
from harness.measure.tracker import LiveFigures
from harness.measure.workload import IMAGES, MOMENTUM, SEED

NOT_REACHED = "the measurement ended before"


class Draft:
    """Fields of a record, filled phase by phase.

    Args:
        spec: what is measured; torch's threads and precision are set already, for the manifest shows them.
        before: a look at the device.
    """

    def __init__(self, spec: MeasureSpec, before: DeviceState) -> None:
        none = Quantity(reason=NOT_REACHED)
        self.phase = "preparation"
        self.flags: list[str] = []
        self.failure: Failure | None = None
        self._began = time.perf_counter()
        self._fields: dict[str, Any] = {
            "spec": spec,
            "device_name": device_name(spec.device),
            "device_slug": device_slug(spec.device),
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "reduced": spec.size != PAPER_SIZE,
            **dict.fromkeys(("parameters", "trainable_parameters", "model_size_mb", "gmacs"), none),
            "gmacs_not_counted": (),
            "forward": None,
            "forward_reason": NOT_REACHED,
            "backward": None,
            "backward_reason": NOT_REACHED,
            "inference_memory": blank_memory(INFERENCE_BATCH, NOT_REACHED),
            "training_memory": blank_memory(TRAINING_BATCH, NOT_REACHED),
            "device_before": before,
            "device_after": blank_state(NOT_REACHED),
            "load_average_before": load_average(),
            "load_average_after": none,
            "settings": settings(spec),
            "environment": environment(),
        }

    def record(self, finished: bool = False) -> MeasurementRecord:
        """The record so far; unless finished, that of a process that ended in the present phase."""
        failure = self.failure
        if failure is None and not finished:
            failure = Failure(kind="error", message="the process ended without a word", phase=self.phase)
        ending = {
            "status": "failed" if failure else "finished",
            "failure": failure,
            "flags": tuple(self.flags),
            "wall_s": round(time.perf_counter() - self._began, 1),
        }
        return MeasurementRecord.model_validate({**self._fields, **ending})

    def set_counts(self, counts: Counts) -> None:
        """Parameters, model size and multiply-accumulates."""
        self._fields |= {
            "parameters": Quantity(value=counts.parameters),
            "trainable_parameters": Quantity(value=counts.trainable),
            "model_size_mb": Quantity(value=counts.model_size_mb),
            "gmacs": Quantity(value=counts.gmacs),
            "gmacs_not_counted": counts.not_counted,
        }

    def set_decoder_storage(self, kept: Mapping[Storage, tuple[int, ...]]) -> None:
        """Bytes kept for the decoder of each pooling, by the storage of indices."""
        self._fields["decoder_storage"] = DecoderStorage(
            int64_bytes=kept["int64"], uint8_bytes=kept["uint8"], two_bit_bytes=kept["2bit"]
        )

    def set_live(self, field: str, live: LiveFigures) -> None:
        """The live-tensor part of a memory field."""
        split = LiveSplit(
            weights_bytes=Quantity(value=live.weights_bytes),
            gradients_bytes=Quantity(value=live.gradients_bytes),
            optimiser_state_bytes=Quantity(value=live.optimiser_state_bytes),
            rest_bytes=Quantity(value=live.rest_bytes),
        )
        self._update_memory(field, {"live_peak_bytes": Quantity(value=live.peak_bytes), "live_split": split})

    def set_memory(self, field: str, figures: Mapping[str, Quantity]) -> None:
        """The device's part of a memory field."""
        self._update_memory(field, figures)

    def set_time(self, field: str, summary: TimeSummary) -> None:
        """Forward or backward."""
        self._fields |= {field: summary, f"{field}_reason": None}

    def set_after(self, state: DeviceState, load: Quantity) -> None:
        """The last look at the device and at the machine's load."""
        self._fields |= {"device_after": state, "load_average_after": load}

    def fail(self, field: str, failure: Failure) -> None:
        """Note that the phase which was to fill this field failed; the first failure is the record's."""
        self.failure = self.failure or failure
        present = self._fields[field]
        if isinstance(present, Memory):
            missing = Quantity(reason=failure.message)
            unreached = Quantity(reason=NOT_REACHED)
            self._update_memory(field, {name: missing for name, value in present if value == unreached})
        else:
            self._fields[f"{field}_reason"] = failure.message

    def _update_memory(self, field: str, figures: Mapping[str, Any]) -> None:
        self._fields[field] = self._fields[field].model_copy(update=dict(figures))


def settings(spec: MeasureSpec) -> dict[str, Any]:
    """How the network was run, as far as the spec does not say it."""
    return {
        "memory_format": "contiguous",
        "cudnn_benchmark": {"memory": False, "time": True},
        "tf32": {"matmul": spec.precision == "tf32", "cudnn": spec.precision == "tf32"},
        "autocast": "bfloat16" if spec.precision == "bf16" else None,
        "seed": SEED,
        "input": f"standard normal noise, {IMAGES} different images cycled for times, 1 batch for memory",
        "loss": "mean cross-entropy at the logits' own size",
        "optimiser": f"SGD, momentum {MOMENTUM}, fused, learning rate 0",
        "torch_threads": torch.get_num_threads(),
    }


def load_average() -> Quantity:
    """The machine's load over the last minute, in runnable threads."""
    try:
        return Quantity(value=round(os.getloadavg()[0], 2))
    except (OSError, AttributeError):  # not on Windows
        return Quantity(reason="this system gives no load average")
