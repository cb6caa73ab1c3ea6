"""Made-up measurements: records as measuring leaves them, with figures that can be checked by hand."""

from typing import Any

import architectures
from harness.records.measurement import (
    PAPER_SIZE,
    Failure,
    Measurement,
    MeasurementKey,
    MeasurementRecord,
    MeasureSpec,
    Phase,
)
from harness.records.measurement_values import (
    DecoderStorage,
    DeviceMemory,
    DeviceWindow,
    Energy,
    Live,
    Range,
    Roofline,
    Round,
    Shapes,
    TimeSummary,
    Timing,
)
from harness.system.quantities import NotMeasured, Quantity

CLASSES = 11
ENVIRONMENT = {"torch": "2.15.0", "cpu_model": "Made-up CPU", "cpu_cores": 2, "gpu_name": None}
MIB = 2**20
NO_GPU = "measured on a CPU"
TRAINING_MIB = 4000.0  # live tensors' peak in training
# Weights of live tensors, and what of them is kept for the decoder.
WEIGHTS_MIB, KEPT_MIB, INPUT_MIB = 40.0, 10.0, 2.0


def registered_revision(architecture: str) -> int:
    """What the registry says; 1 of an architecture that is made up."""
    try:
        return architectures.info(architecture).revision
    except architectures.ArchitectureError:
        return 1


def measured(
    architecture: str,
    *,
    size: tuple[int, int] = PAPER_SIZE,
    forward_ms: float | None = 100.0,
    forward8_ms: float | None = None,
    backward_ms: float | None = 200.0,
    step_ms: float | None = None,
    inference_mib: float | None = 400.0,
    workspace_mib: float | None = None,
    model_size_mb: float = 117.8,
    energy_mj: float | None = None,
    spread_percent: float = 2.0,
    processes: int = 3,
    device: str = "cpu",
    preset: str = "cpu",
    options: tuple[str, ...] = (),
    precision: str = "fp32",
    revision: int | None = None,
    kept: tuple[int, ...] = (),
) -> MeasurementRecord:
    """A measurement record.

    Args:
        architecture: name.
        size: (height, width).
        forward_ms: at batch 1; None: that cell failed for the reason "not tried", as with `backward_ms`.
        forward8_ms: of a pass over 8 images; None: no such cell, as with `step_ms`.
        backward_ms: at batch 1.
        step_ms: of a training step at batch 5.
        inference_mib: live tensors' peak; None: no cell of shapes.
        workspace_mib: on a GPU, what the allocator has beyond live tensors; None: half of them.
        model_size_mb: 4 bytes a parameter.
        energy_mj: above idle, of a forward pass at batch 1 on a GPU; raw is twice that.
        spread_percent: of the rounds of every time.
        processes: of every time.
        device: "cpu" or "cuda".
        preset: of the record.
        options: of the record.
        precision: of the record.
        revision: of the architecture; None: the registered one.
        kept: bytes kept for the decoder of each pooling, with indices as 2-bit codes.
    """
    spec = MeasureSpec.model_validate(
        {
            "architecture": architecture,
            "architecture_revision": registered_revision(architecture) if revision is None else revision,
            "num_classes": CLASSES,
            "size": size,
            "precision": precision,
            "options": options,
            "device": device,
            "preset": preset,
            "threads": 2,
        }
    )
    gpu = device == "cuda"
    cells: list[Measurement] = []
    if inference_mib is not None:
        cells.append(_cell("shapes", 1, shapes=_shapes(model_size_mb, inference_mib, kept)))
    live = inference_mib or 400.0
    cells.append(_cell("inference-memory", 1, memory=_memory(live, workspace_mib, gpu)))
    cells.append(_cell("training-memory", 4, memory=_memory(TRAINING_MIB, workspace_mib, gpu)))
    times: list[tuple[Phase, int, float | None]] = [("forward", 1, forward_ms)]
    times += [("forward", 8, forward8_ms)] if forward8_ms is not None else []
    times += [("backward", 1, backward_ms)]
    times += [("training-step", 5, step_ms)] if step_ms is not None else []
    for phase, batch, median_ms in times:
        if median_ms is None:
            cells.append(_cell(phase, batch, failure=Failure(kind="error", message="not tried")))
            continue
        own = energy_mj if (phase, batch) == ("forward", 1) else None
        timing = _timing(_time(median_ms, spread_percent), gpu, own, "compiled" in options, processes)
        cells.append(_cell(phase, batch, timing=timing))
    return MeasurementRecord(
        spec=spec,
        device_name="Made-up GPU" if gpu else "Made-up CPU (2 cores)",
        device_slug=f"{device}-made-up",
        reduced=size != PAPER_SIZE,
        cells=tuple(cells),
        environments=(ENVIRONMENT,),
        settings={},
    )


def _cell(phase: Phase, batch: int, **fields: Any) -> Measurement:
    return Measurement(
        key=MeasurementKey(phase=phase, batch_size=batch),
        measured_at="2020-01-02T03:04:05+00:00",
        wall_s=12.5,
        load_average_before=Quantity(value=0.1),
        load_average_after=Quantity(value=1.1),
        **fields,
    )


def _shapes(model_size_mb: float, inference_mib: float, kept: tuple[int, ...]) -> Shapes:
    return Shapes(
        parameters=round(model_size_mb * 1e6 / 4),
        trainable_parameters=round(model_size_mb * 1e6 / 4),
        model_size_mb=model_size_mb,
        gmacs=160.5,
        training_gmacs=480.25,
        gmacs_not_counted=("aten.relu",),
        decoder_storage=DecoderStorage(int64_bytes=kept, uint8_bytes=kept, two_bit_bytes=kept),
        inference_live=_live(1, inference_mib, training=False),
        training_live=_live(4, TRAINING_MIB, training=True),
    )


def _live(batch: int, peak_mib: float, *, training: bool) -> Live:
    """Small peaks are of weights alone."""
    peak, weights = round(peak_mib * MIB), round(WEIGHTS_MIB * MIB)
    kept, images = round(KEPT_MIB * MIB), round(INPUT_MIB * MIB)
    gradients = weights if training else 0
    rest = peak - weights - 2 * gradients - kept - images
    if rest < 0:
        weights, gradients, kept, images, rest = peak, 0, 0, 0, 0
    backward = rest // 2 if training else 0
    return Live(
        batch_size=batch,
        threads=1,
        peak_bytes=peak,
        weights_bytes=weights,
        gradients_bytes=gradients,
        optimizer_state_bytes=gradients,
        decoder_storage_bytes=kept,
        kept_for_backward_bytes=backward,
        input_bytes=images,
        rest_bytes=rest - backward,
    )


def _memory(live_mib: float, workspace_mib: float | None, gpu: bool) -> DeviceMemory:
    none = Quantity(reason=NO_GPU)
    names = DeviceMemory.model_fields
    if not gpu:
        fields = dict.fromkeys(names, none)
        fields |= {name: Quantity(value=900 * MIB) for name in names if "rss" in name}
        return DeviceMemory.model_validate(fields)
    workspace = live_mib / 2 if workspace_mib is None else workspace_mib
    fields = dict.fromkeys(names, Quantity(value=(live_mib + workspace) * MIB))
    fields |= {name: Quantity(reason="measured on a GPU") for name in names if "rss" in name}
    fields |= {"workspace_bytes": Quantity(value=workspace * MIB), "context_bytes": Quantity(value=500 * MIB)}
    return DeviceMemory.model_validate(fields)


def _time(median_ms: float, spread_percent: float) -> TimeSummary:
    return TimeSummary(
        median_ms=median_ms,
        p90_ms=1.1 * median_ms,
        p95_ms=Quantity(reason="fewer than 130 samples"),
        p99_ms=Quantity(reason="fewer than 662 samples"),
        iqr_ms=0.05 * median_ms,
        n=30,
        spread_percent=spread_percent,
        warmup_n=3,
        warmup_s=0.5,
        rounds=(Round(n=1, median_ms=median_ms, samples_ms=(median_ms,)),) * 3,
    )


def _timing(time: TimeSummary, gpu: bool, energy_mj: float | None, compiled: bool, processes: int) -> Timing:
    missing = NotMeasured(reason=NO_GPU)
    energy: Energy | NotMeasured = NotMeasured(reason="no energy window for this pass") if gpu else missing
    if energy_mj is not None:
        energy = Energy(
            window_s=(10.0, 10.5),
            passes=(100, 105),
            raw_mj=2 * energy_mj,
            above_idle_mj=Quantity(value=energy_mj),
            idle_w=Quantity(value=75.0),
            integrated_mj=Quantity(value=2 * energy_mj),
        )
    return Timing(
        time=time,
        processes=processes,
        window=_window() if gpu else missing,
        energy=energy,
        roofline=Roofline(
            matmul_tflops=0.1,
            copy_gbs=20.0,
            pass_gflop=320.0,
            pass_gb=2.0,
            achieved_tflops=0.025,
            share_of_matmul=0.25,
            share_of_roof=0.4,
        ),
        outside_kernels=Quantity(value=0.125),
        compile_s=Quantity(value=31.0) if compiled else Quantity(reason="not compiled"),
    )


def _window() -> DeviceWindow:
    return DeviceWindow(
        samples=100,
        busy_samples=90,
        sm_clock_mhz=Range(low=1755.0, median=1980.0, high=1980.0),
        memory_clock_mhz=Range(low=3201.0, median=3201.0, high=3201.0),
        temperature_c=Range(low=40.0, median=44.0, high=47.0),
        power_w=Range(low=300.0, median=512.0, high=690.0),
        throttle_reasons=("software power cap",),
    )
