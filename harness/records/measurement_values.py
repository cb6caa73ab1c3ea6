"""What a measurement is made of: counts, memory, times, energy. Importing it imports no torch.

Bytes are bytes, times are milliseconds, MB is 10^6 bytes as in the paper's Table 6.
"""

import base64
import statistics
import zlib
from collections.abc import Sequence
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from harness.system.quantities import Frozen, NotMeasured, Quantity

KEPT_SAMPLES = 200  # of a round in plain sight, at most; `Round.all_samples` has all of them
INTERVAL_PROCESSES = 3  # at least, for an interval: kernels are chosen anew in each
_STEPS_PER_MS = 10_000  # samples are kept in steps of 0.0001 ms; a CUDA event resolves about 0.0005 ms


# -- shapes -------------------------------------------------------------------------------------------------


class DecoderStorage(Frozen):
    """Bytes kept in inference for the decoder of one image, an entry a pooling of the encoder in order.

    Pooling indices as each storage of `architectures.pooling` holds them, and encoder maps, which are the
    same in all three. Empty without a decoder.
    """

    int64_bytes: tuple[int, ...]
    uint8_bytes: tuple[int, ...]
    two_bit_bytes: tuple[int, ...]


class Live(Frozen):
    """Bytes of the tensors alive at once, at their peak, on torch's CPU code path (tracker.py).

    The parts are of that moment and add up to the peak; a tensor that would fit several stands in the first.
    """

    batch_size: int = Field(ge=1)
    threads: int | None = Field(None, description="counted on; none: as many as the machine had")
    torch: str | None = Field(None, description="version counted with; none: that of the measurement's manifest")
    peak_bytes: int
    weights_bytes: int
    gradients_bytes: int = Field(description="of the weights")
    optimizer_state_bytes: int
    decoder_storage_bytes: int = Field(description="pooling indices or encoder maps kept for the decoder")
    kept_for_backward_bytes: int = Field(description="other tensors that autograd has saved")
    input_bytes: int = Field(description="images and labels")
    rest_bytes: int = Field(description="what is being computed with, buffers, gradients of activations")

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        parts = sum(getattr(self, name) for name in type(self).model_fields if name.endswith("_bytes"))
        if parts != 2 * self.peak_bytes:
            raise ValueError(f"parts add up to {parts - self.peak_bytes}, the peak is {self.peak_bytes}")
        return self


class Counts(Frozen):
    """Parameters and work of a network."""

    parameters: int = Field(description="weights, biases, batch norm's scale and shift, not its running statistics")
    trainable_parameters: int = Field(description="those that require a gradient")
    model_size_mb: float = Field(description="4 bytes a parameter, 10^6 bytes, as the Caffe file has it")
    gmacs: float = Field(
        description="multiply-accumulates of a forward pass at batch 1, 10^9: half of torch's FLOP count, which knows "
        "convolutions and matrix products, without their biases"
    )
    training_gmacs: float = Field(description="of a forward and backward pass at batch 1, 10^9")
    gmacs_not_counted: tuple[str, ...] = Field(description="operators of a forward pass that add nothing; no views")


class Shapes(Counts):
    """What follows from shapes alone, the same on every machine with the same torch."""

    decoder_storage: DecoderStorage
    inference_live: Live
    training_live: Live


# -- memory -------------------------------------------------------------------------------------------------


class DeviceMemory(Frozen):
    """Memory of inference or of training on the device; training holds its labels too."""

    allocated_peak_bytes: Quantity = Field(description="CUDA allocator, after warm-up")
    reserved_peak_bytes: Quantity = Field(description="CUDA allocator, after warm-up")
    warmup_allocated_peak_bytes: Quantity
    warmup_reserved_peak_bytes: Quantity
    workspace_bytes: Quantity = Field(description="allocated minus live: what kernels need while they run; never < 0")
    nvml_used_minus_idle_bytes: Quantity = Field(description="NVML v2 'used' after the phase, minus before CUDA")
    context_bytes: Quantity = Field(description="the same for an empty CUDA context; contained in the figure above")
    process_rss_peak_bytes: Quantity = Field(description="resident memory of the whole process, CPU only")
    process_rss_idle_bytes: Quantity = Field(description="the same before the network was built")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.workspace_bytes.value is not None and self.workspace_bytes.value < 0:
            raise ValueError(f"a workspace of {self.workspace_bytes.value:.0f} bytes: less was allocated than is live")
        return self


# -- time ---------------------------------------------------------------------------------------------------


def pack_samples(samples_ms: Sequence[float]) -> str | None:
    """Milliseconds as text: steps of 0.0001 ms, int32, zlib, base64. None for so few that none are thinned."""
    if len(samples_ms) <= KEPT_SAMPLES:
        return None
    steps = np.rint(np.asarray(samples_ms) * _STEPS_PER_MS).astype("<i4")
    return base64.b64encode(zlib.compress(steps.tobytes(), 9)).decode("ascii")


def thin(samples: Sequence[float]) -> tuple[float, ...]:
    """At most KEPT_SAMPLES of them, evenly over time, the first and the last among them."""
    chosen = np.linspace(0, len(samples) - 1, min(len(samples), KEPT_SAMPLES)).round().astype(int)
    return tuple(samples[index] for index in chosen)


class Round(Frozen):
    """One round of samples."""

    n: int = Field(ge=1, description="samples taken")
    median_ms: float = Field(gt=0)
    samples_ms: tuple[float, ...] = Field(
        max_length=KEPT_SAMPLES, description="in order of time; evenly thinned where n is larger"
    )
    all_samples: str | None = Field(
        None, description="all n, as `pack_samples` writes them; none where n is small, and in old records"
    )

    def every_sample_ms(self) -> tuple[float, ...] | None:
        """All samples in order of time; none where an old record has thinned them."""
        if self.all_samples is not None:
            steps = np.frombuffer(zlib.decompress(base64.b64decode(self.all_samples)), "<i4")
            return tuple((steps / _STEPS_PER_MS).tolist())
        return self.samples_ms if len(self.samples_ms) == self.n else None


class TimeSummary(Frozen):
    """Time of one pass. The headline is the median of the rounds' medians, never the shortest."""

    median_ms: float = Field(gt=0)
    p90_ms: float = Field(description="90th percentile of all samples of all rounds")
    p95_ms: Quantity = Field(description="from 130 samples on")
    p99_ms: Quantity = Field(description="from 662 samples on")
    iqr_ms: float = Field(description="interquartile range of all samples of all rounds")
    n: int = Field(ge=1, description="samples of all rounds")
    spread_percent: float = Field(description="largest minus smallest round median, over the headline")
    warmup_n: int = Field(ge=0)
    warmup_s: float = Field(ge=0)
    rounds: tuple[Round, ...] = Field(min_length=1)


class Range(Frozen):
    """Samples of one quantity."""

    low: float
    median: float
    high: float


class DeviceWindow(Frozen):
    """What NVML said of the GPU while the rounds ran, ten times a second."""

    samples: int = Field(ge=1)
    busy_samples: int = Field(description="those at which the GPU was at work")
    sm_clock_mhz: Range | NotMeasured
    memory_clock_mhz: Range | NotMeasured
    temperature_c: Range | NotMeasured
    power_w: Range | NotMeasured
    throttle_reasons: tuple[str, ...] | NotMeasured = Field(
        description="NVML's clock event reasons, by name, of any sample"
    )


class Energy(Frozen):
    """Energy of one pass of the whole batch: NVML's total-energy counter over windows of it. The board's.

    Idle power is that of deep idle, before any process of ours had a context on the GPU; with a context the
    clocks stay up, and it is higher.
    """

    window_s: tuple[float, ...] = Field(min_length=1, description="length of each window")
    passes: tuple[int, ...] = Field(description="in each window")
    raw_mj: float = Field(description="millijoules a pass, median of the windows")
    above_idle_mj: Quantity = Field(description="the same minus deep idle power times time")
    idle_w: Quantity = Field(description="deep idle: before any process of ours touched the GPU")
    context_idle_w: Quantity = Field(
        Quantity(reason="not measured by the revision of that time"),
        description="idle with this process's context, a second after its last pass",
    )
    integrated_mj: Quantity = Field(description="cross-check: sampled power times time, a pass")

    @property
    def above_context_idle_mj(self) -> Quantity:
        """Energy of a pass minus idle power with a context times time, millijoules."""
        if self.context_idle_w.value is None:
            return self.context_idle_w
        seconds = statistics.median(one / passes for one, passes in zip(self.window_s, self.passes, strict=True))
        return Quantity(value=round(self.raw_mj - self.context_idle_w.value * 1000 * seconds, 3))


class Roofline(Frozen):
    """How much of the device's measured peak a pass reaches. Peaks were timed in the same process."""

    matmul_tflops: float = Field(description="10^12 floating-point operations a second in a matrix product")
    copy_gbs: float = Field(description="10^9 bytes a second, read plus written, in a copy")
    pass_gflop: float = Field(description="10^9 floating-point operations of the pass, 2 a MAC")
    pass_gb: float = Field(description="10^9 bytes that its operators read and write, each by itself")
    achieved_tflops: float
    share_of_matmul: float = Field(description="achieved over matmul_tflops")
    share_of_roof: float = Field(
        description="time that the roofs allow, max(flop / matmul, bytes / copy), over measured time"
    )


class Timing(Frozen):
    """What a timed phase leaves."""

    time: TimeSummary
    processes: int = Field(ge=1, description="fresh processes that the rounds were taken in")
    window: DeviceWindow | NotMeasured
    energy: Energy | NotMeasured
    roofline: Roofline | NotMeasured
    outside_kernels: Quantity = Field(description="share of wall time in which no operator of torch ran")
    compile_s: Quantity = Field(
        description="time of the first pass beyond a later one's, where compiled; compiler's caches off"
    )

    @property
    def interval_ms(self) -> Range | NotMeasured:
        """Lowest, median and highest of the processes' medians, an interval for the median of processes.

        None of fewer than 3 processes: rounds of one process share its choice of kernels, and their spread is
        no noise of a comparison.
        """
        medians = [one.median_ms for one in self.time.rounds]
        if self.processes < INTERVAL_PROCESSES or self.processes != len(medians):
            return NotMeasured(reason=f"{self.processes} process{'es' * (self.processes > 1)}; an interval needs 3")
        return Range(low=min(medians), median=self.time.median_ms, high=max(medians))
