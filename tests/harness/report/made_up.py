"""Made-up results: records as a run and a measurement leave them, with scores that can be checked by hand."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import datasets
from harness.initial_weights import HE
from harness.measure.record import (
    PAPER_SIZE,
    DecoderStorage,
    DeviceState,
    LiveSplit,
    MeasurementRecord,
    MeasureSpec,
    Memory,
    Quantity,
    Round,
    TimeSummary,
    blank_state,
    save_measurement,
)
from harness.protocol import Protocol
from harness.records import (
    BEST,
    Evaluation,
    Failure,
    History,
    RunRecord,
    Timing,
    Validation,
    save_run,
    to_json,
)
from harness.spec import InitialWeights, Precision, RunSpec

CLASSES = 11
ENVIRONMENT = {"torch": "2.15.0", "cpu_model": "Made-up CPU", "cpu_cores": 2, "gpu_name": None}
MIB = 2**20
_NO_GPU = "the device is a CPU"


def matrix(right: Sequence[int], wrong: int = 0) -> NDArray[np.int64]:
    """Confusion matrix with `right` on the diagonal, and of class 0 `wrong` more pixels taken for class 1."""
    values = np.diag(np.asarray(right, dtype=np.int64))
    values[0, 1] = wrong
    return values


def noisy_matrices(seed: int, images: int, accuracy: float) -> NDArray[np.int64]:
    """Confusion matrices (N, K, K) of a network that is right with about that probability."""
    random = np.random.default_rng(seed)
    share = random.dirichlet(np.full(CLASSES, 0.7))
    confused = random.dirichlet(np.full(CLASSES, 0.5), size=CLASSES)
    skill = np.clip(accuracy + random.normal(0, 0.15, size=CLASSES), 0.05, 0.98)
    rows = skill[:, None] * np.eye(CLASSES) + (1 - skill[:, None]) * confused
    shares = share * random.uniform(0.2, 1.8, size=(images, CLASSES))
    return np.round(1000 * shares[:, :, None] * rows[None]).astype(np.int64)


def blocks(size: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    """A label map (H, W) of rectangles."""
    rows, columns = size[0] // 6, size[1] // 8
    classes = np.random.default_rng(seed).integers(0, CLASSES, size=(6, 8)).astype(np.uint8)
    return classes.repeat(rows, axis=0).repeat(columns, axis=1)


@dataclass(frozen=True, kw_only=True)
class Store:
    """A results folder that records are put into."""

    results: Path

    def spec(
        self,
        architecture: str,
        *,
        protocol: Protocol,
        seed: int = 0,
        weights: InitialWeights = HE,
        precision: Precision = "fp32",
        digest: str = "d" * 64,
        variant: str | None = None,
        revision: int = 1,
    ) -> RunSpec:
        """The spec of a run on the protocol's dataset."""
        return RunSpec(
            architecture=architecture,
            architecture_revision=revision,
            dataset=protocol.dataset,
            dataset_variant=variant or protocol.dataset,
            dataset_hash=digest,
            num_classes=CLASSES,
            protocol=protocol,
            seed=seed,
            initial_weights=weights,
            precision=precision,
        )

    def run(
        self,
        spec: RunSpec,
        matrices: Mapping[str, NDArray[np.int64]],
        *,
        bf: float = 0.5,
        best: str | None = None,
        stems: Mapping[str, NDArray[np.uint8]] | None = None,
        layers: tuple[tuple[str, ...], int] = ((), 13),
        chosen: int | None = None,
        train: NDArray[np.int64] | None = None,
        trained: int | None = None,
        parameters: int = 29_449_355,
    ) -> Path:
        """Save a finished run.

        Args:
            spec: of the run.
            matrices: label of a row ("40K") -> matrices (N, K, K) of test; val and train get them too. The
                row "best by val" is at the iteration `chosen`.
            bf: BF of every class of every image.
            best: label that is the best by val too; none: the last.
            stems: kept predictions.
            layers: names of the encoder layers set, and how many there are.
            chosen: iteration that val chose, where it is no fixed row's.
            train: matrices of train, where they are not test's.
            trained: iterations, where they are not the protocol's.
            parameters: of the network.
        """
        protocol = spec.protocol
        evaluations, arrays = [], {}
        best = BEST if chosen else best or list(matrices)[-1]
        with_train = best if protocol.score_train_chosen else list(matrices)[-1]
        iterations = {**protocol.test_at, BEST: chosen or 0}
        for label, test in matrices.items():
            labels = (label, BEST) if label == best != BEST else (label,)
            for split in ("val", "test", "train") if label == with_train else ("val", "test"):
                values = train if train is not None and split == "train" else test
                at = iterations[label]
                evaluation = Evaluation.model_validate(
                    {
                        "split": split,
                        "iteration": at,
                        "labels": labels,
                        "images": len(values),
                        "boundary": split == "test",
                    }
                )
                evaluations.append(evaluation)
                arrays[f"{evaluation.key}-matrices"] = values.astype(np.int32)
                if split == "test":
                    arrays[f"{evaluation.key}-bf"] = np.full((len(values), CLASSES), bf, dtype=np.float32)
        record = RunRecord(
            run_id=spec.run_id,
            spec=spec,
            status="finished",
            reduced=tuple(protocol.reductions(datasets.info(spec.dataset).size)),
            layers_set=layers[0],
            encoder_layers=layers[1],
            parameters=parameters,
            best_iteration=iterations[best],
            trained_iterations=trained,
            evaluations=tuple(evaluations),
            stems=tuple(sorted(stems or {})),
            timing=Timing(train_s=600.0, evaluate_s=60.0, total_s=660.0, segments=1),
            device="Made-up CPU (2 cores)",
            environment=ENVIRONMENT,
        )
        files = {
            "scores.npz": _packed(arrays),
            "history.json": to_json(_history(protocol, list(matrices.values())[-1], spec.seed)),
        }
        for stem, picture in (stems or {}).items():
            files[f"prediction-{stem}.png"] = _grey_png(picture)
        return save_run(self.results, record, files)

    def failed(self, spec: RunSpec, failure: Failure) -> Path:
        """Save a failed run."""
        record = RunRecord(
            run_id=spec.run_id,
            spec=spec,
            status="failed",
            failure=failure,
            reduced=tuple(spec.protocol.reductions(datasets.info(spec.dataset).size)),
            device="Made-up CPU (2 cores)",
            environment=ENVIRONMENT,
        )
        return save_run(self.results, record, {})

    def pictures(
        self,
        architecture: str,
        protocol: Protocol,
        *,
        accuracy: float,
        layers: tuple[str, ...] = (),
        **changes: Any,
    ) -> Path:
        """Save a finished run with noisy scores on 25 images and three kept predictions."""
        size = datasets.info(protocol.dataset).size
        stems = {
            stem: blocks(size, number) for number, stem in enumerate(("test_003", "test_030", "test_050"))
        }
        matrices = {
            label: noisy_matrices(len(architecture) + number, 25, accuracy)
            for number, label in enumerate(protocol.test_at)
        }
        spec = self.spec(architecture, protocol=protocol, **changes)
        bf = round(0.6 * accuracy, 3)
        return self.run(spec, matrices, stems=stems, layers=(layers, 13), bf=bf)

    def measurement(self, architecture: str, **changes: Any) -> Path:
        """Save a measurement; see `measured`."""
        return save_measurement(self.results, measured(architecture, **changes))


def measured(
    architecture: str,
    *,
    size: tuple[int, int] = PAPER_SIZE,
    forward_ms: float | None = 100.0,
    backward_ms: float | None = 200.0,
    training_mib: float | None = 4000.0,
    inference_mib: float | None = 400.0,
    model_size_mb: float = 117.8,
    device: str = "cpu",
    effort: str = "cpu",
    revision: int = 1,
    flags: tuple[str, ...] = (),
    kept: tuple[int, ...] | None = None,
) -> MeasurementRecord:
    """A measurement record; a figure given as None is missing for the reason "not tried".

    kept: bytes kept for the decoder of each pooling, with indices as 2-bit codes.
    """
    spec = MeasureSpec.model_validate(
        {
            "architecture": architecture,
            "architecture_revision": revision,
            "num_classes": CLASSES,
            "size": size,
            "precision": "fp32",
            "device": device,
            "effort": effort,
            "threads": 2,
        }
    )
    return MeasurementRecord(
        spec=spec,
        device_name="Made-up CPU (2 cores)" if device == "cpu" else "Made-up GPU",
        device_slug=f"{device}-made-up",
        measured_at="2020-01-02T03:04:05+00:00",
        wall_s=12.5,
        status="finished",
        reduced=size != PAPER_SIZE,
        parameters=Quantity(value=model_size_mb * 1e6 / 4),
        trainable_parameters=Quantity(value=model_size_mb * 1e6 / 4),
        model_size_mb=Quantity(value=model_size_mb),
        gmacs=Quantity(value=160.5),
        gmacs_not_counted=("aten.relu",),
        decoder_storage=None
        if kept is None
        else DecoderStorage(int64_bytes=kept, uint8_bytes=kept, two_bit_bytes=kept),
        forward=_time(forward_ms),
        forward_reason="not tried" if forward_ms is None else None,
        backward=_time(backward_ms),
        backward_reason="not tried" if backward_ms is None else None,
        inference_memory=_memory(1, inference_mib, device),
        training_memory=_memory(4, training_mib, device),
        device_before=_state(),
        device_after=_state(),
        load_average_before=Quantity(value=0.1),
        load_average_after=Quantity(value=1.1),
        flags=flags,
        settings={},
        environment=ENVIRONMENT,
    )


def _time(median_ms: float | None) -> TimeSummary | None:
    if median_ms is None:
        return None
    rounds = tuple(Round(n=1, median_ms=median_ms, samples_ms=(median_ms,)) for _ in range(3))
    return TimeSummary(
        batch=1,
        median_ms=median_ms,
        p90_ms=1.1 * median_ms,
        iqr_ms=0.05 * median_ms,
        n=30,
        spread_percent=2.0,
        warmup_n=3,
        warmup_s=0.5,
        rounds=rounds,
    )


def _memory(batch: int, live_mib: float | None, device: str) -> Memory:
    live = Quantity(reason="not tried") if live_mib is None else Quantity(value=live_mib * MIB)
    gpu = device == "cuda" and live_mib is not None
    on_gpu = Quantity(value=1.5 * (live_mib or 0) * MIB) if gpu else Quantity(reason=_NO_GPU)
    fields: dict[str, Any] = dict.fromkeys(Memory.model_fields.keys() - {"batch", "live_split"}, on_gpu)
    fields |= {"live_peak_bytes": live, "process_rss_peak_bytes": Quantity(value=900 * MIB)}
    split = dict.fromkeys(LiveSplit.model_fields, Quantity(value=10 * MIB))
    return Memory.model_validate({**fields, "batch": batch, "live_split": split})


def _state() -> DeviceState:
    return blank_state(_NO_GPU)


def _history(protocol: Protocol, values: NDArray[np.int64], seed: int) -> History:
    steps = np.linspace(1, protocol.iterations, 200).astype(int)
    random = np.random.default_rng(seed)
    loss = 0.4 + 2.0 * np.exp(-4 * steps / protocol.iterations) + random.normal(0, 0.05, size=len(steps))
    whole = values.sum(axis=0)
    validations = [
        Validation(
            iteration=at,
            matrix=(whole + whole.T * (protocol.iterations - at) // protocol.iterations).tolist(),
        )
        for at in protocol.evaluation_points()
    ]
    return History(
        iteration=steps.tolist(),
        loss=[round(float(value), 4) for value in loss],
        lr=[protocol.lr] * len(steps),
        validation=validations,
    )


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    target = io.BytesIO()
    np.savez_compressed(target, allow_pickle=False, **arrays)
    return target.getvalue()


def _grey_png(picture: NDArray[np.uint8]) -> bytes:
    target = io.BytesIO()
    Image.fromarray(picture).save(target, format="PNG")
    return target.getvalue()
