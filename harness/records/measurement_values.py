"""What a cell of a measurement is made of: counts, memory, times, energy. Importing it imports no torch.

Bytes are bytes, times are milliseconds, MB is 10^6 bytes as in the paper's Table 6.
"""

from typing import Self

from pydantic import Field, model_validator

from harness.system.quantities import Frozen, NotMeasured, Quantity

KEPT_SAMPLES = 200  # of a round, at most


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


class Shapes(Frozen):
    """What follows from shapes alone, the same on every machine with the same torch."""

    parameters: int
    trainable_parameters: int
    model_size_mb: float = Field(description="4 bytes a parameter, 10^6 bytes, as the Caffe file has it")
    gmacs: float = Field(description="multiply-accumulates of a forward pass at batch 1, 10^9")
    training_gmacs: float = Field(description="of a forward and backward pass at batch 1, 10^9")
    gmacs_not_counted: tuple[str, ...] = Field(description="operators of a forward pass that add nothing")
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
    workspace_bytes: Quantity = Field(description="allocated minus live: what kernels need while they run")
    nvml_used_minus_idle_bytes: Quantity = Field(description="NVML v2 'used' after the phase, minus before CUDA")
    context_bytes: Quantity = Field(description="the same for an empty CUDA context; contained in the figure above")
    process_rss_peak_bytes: Quantity = Field(description="resident memory of the whole process, CPU only")
    process_rss_idle_bytes: Quantity = Field(description="the same before the network was built")


# -- time ---------------------------------------------------------------------------------------------------


class Round(Frozen):
    """One round of samples."""

    n: int = Field(ge=1, description="samples taken")
    median_ms: float
    samples_ms: tuple[float, ...] = Field(
        max_length=KEPT_SAMPLES, description="in order of time; evenly thinned where n is larger"
    )


class TimeSummary(Frozen):
    """Time of one pass. The headline is the median of the rounds' medians, never the shortest."""

    median_ms: float
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
    """Energy of one pass of the whole batch: NVML's total-energy counter over windows of it. The board's."""

    window_s: tuple[float, ...] = Field(min_length=1, description="length of each window")
    passes: tuple[int, ...] = Field(description="in each window")
    raw_mj: float = Field(description="millijoules a pass, median of the windows")
    above_idle_mj: Quantity = Field(description="the same minus idle power times time")
    idle_w: Quantity = Field(description="measured before the process touched the GPU")
    integrated_mj: Quantity = Field(description="cross-check: sampled power times time, a pass")


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
    """Figures of a timed cell."""

    time: TimeSummary
    processes: int = Field(ge=1, description="fresh processes that the rounds were taken in")
    window: DeviceWindow | NotMeasured
    energy: Energy | NotMeasured
    roofline: Roofline | NotMeasured
    outside_kernels: Quantity = Field(description="share of wall time in which no operator of torch ran")
    compile_s: Quantity = Field(
        description="time of the first pass beyond a later one's, where compiled; compiler's caches off"
    )
