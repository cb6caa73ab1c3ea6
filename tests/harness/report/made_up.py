"""Made-up results: records as a run leaves them, with scores that can be checked by hand."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

import datasets
from harness.config.initial_weights import HE
from harness.config.planning import logits_reach
from harness.config.protocol import Protocol
from harness.config.run_spec import InitialWeights, Precision, RunSpec
from harness.records.content import to_json
from harness.records.measurement import save_measurement
from harness.records.run import BEST, Evaluation, Failure, History, RunRecord, Timing, Validation, save_run
from harness.report.grouping import input_size
from harness.report.store import architecture_info
from tests.harness.report.made_up_measurements import CLASSES, ENVIRONMENT, measured, registered_revision


def matrix(right: Sequence[int], wrong: int = 0) -> NDArray[np.int64]:
    """Confusion matrix with `right` on the diagonal, and of class 0 `wrong` more pixels taken for class 1."""
    values = np.diag(np.asarray(right, dtype=np.int64))
    values[0, 1] = wrong
    return values


def right(share: int) -> NDArray[np.int64]:
    """Matrices of which so many of 100 pixels of the first class are right."""
    return np.stack([matrix([share, *[100] * 10], wrong=100 - share)] * 20)


def miou(share: int) -> float:
    """Their mIoU in percent."""
    return 100 * (share / 100 + 100 / (200 - share) + 9) / 11


# Of class 0 60 of 100 pixels are right, the others are taken for class 1; all else is right: G and C are
# lower by 3.6 points than in WHOLE, mIoU by 6.2. 20 images are as many blocks.
PART = np.stack([matrix([60, *[100] * 10], wrong=40)] * 20)
WHOLE = np.stack([matrix([100] * 11)] * 20)
# Scores of PART, percent.
G_PART, C_PART, MIOU_PART = 100 * 1060 / 1100, 100 * (0.6 + 10) / 11, 100 * (0.6 + 100 / 140 + 9) / 11
# Better in one block, worse in the other, by as much.
FIRST, SECOND = np.concatenate([PART[:10], WHOLE[:10]]), np.concatenate([WHOLE[:10], PART[:10]])


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


def row(frame: pd.DataFrame, **wanted: str) -> pd.Series:
    """The one row of a frame with these values in these columns."""
    (index,) = frame.index[(frame[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    return frame.loc[index]


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
        revision: int | None = None,
    ) -> RunSpec:
        """The spec of a run on the protocol's dataset."""
        info = architecture_info(architecture)
        reach = logits_reach(info, input_size(protocol, datasets.info(protocol.dataset))) if info else ""
        return RunSpec(
            architecture=architecture,
            architecture_revision=registered_revision(architecture) if revision is None else revision,
            dataset=protocol.dataset,
            dataset_variant=variant or protocol.dataset,
            dataset_hash=digest,
            num_classes=datasets.info(protocol.dataset).num_classes,
            protocol=protocol,
            seed=seed,
            initial_weights=weights,
            precision=precision,
            logits_reach=reach,
        )

    def run(
        self,
        spec: RunSpec,
        matrices: Mapping[str, NDArray[np.int64]],
        *,
        bf: float = 0.5,
        best: str | None = None,
        image_ids: Mapping[str, NDArray[np.uint8]] | None = None,
        layers: tuple[tuple[str, ...], int] = ((), 13),
        chosen: int | None = None,
        train: NDArray[np.int64] | None = None,
        trained: int | None = None,
        parameters: int = 29_449_355,
    ) -> Path:
        """Save a finished run.

        Args:
            spec: of the run.
            matrices: label of a row ("half") -> matrices (N, K, K) of test; val and train get them too. The
                row "best by val" is at the iteration `chosen`.
            bf: BF of every class of every image.
            best: label that is the best by val too; none: the last.
            image_ids: kept predictions.
            layers: names of the encoder layers set, and how many there are.
            chosen: iteration that val chose, where it is no fixed row's.
            train: matrices of train, where they are not test's.
            trained: iterations, where they are not the protocol's.
            parameters: of the network.
        """
        protocol = spec.protocol
        evaluations, arrays = [], {}
        best = BEST if chosen else best or list(matrices)[-1]
        with_train = best if protocol.score_train_selected else list(matrices)[-1]
        iterations = {**protocol.report_at, BEST: chosen or 0}
        for label, test in matrices.items():
            labels = (label, BEST) if label == best != BEST else (label,)
            splits = ("val", *(["test"] if protocol.score_test else []))
            for split in (*splits, "train") if label == with_train else splits:
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
                    arrays[f"{evaluation.key}-bf"] = np.full((len(values), spec.num_classes), bf, dtype=np.float32)
        record = RunRecord(
            run_id=spec.run_id,
            spec=spec,
            status="finished",
            reduced=tuple(protocol.reductions(spec.dataset_info.size)),
            layers_set=layers[0],
            encoder_layers=layers[1],
            parameters=parameters,
            best_iteration=iterations[best],
            trained_iterations=trained,
            evaluations=tuple(evaluations),
            image_ids=tuple(sorted(image_ids or {})),
            timing=Timing(train_s=600.0, evaluate_s=60.0, total_s=660.0, segments=1),
            device="Made-up CPU (2 cores)",
            environment=ENVIRONMENT,
        )
        files = {
            "scores.npz": _packed(arrays),
            "history.json": to_json(_history(protocol, list(matrices.values())[-1], spec.seed)),
        }
        for stem, picture in (image_ids or {}).items():
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
        image_ids = {stem: blocks(size, number) for number, stem in enumerate(("test_003", "test_030", "test_050"))}
        matrices = {
            label: noisy_matrices(len(architecture) + number, 25, accuracy)
            for number, label in enumerate(protocol.report_at)
        }
        spec = self.spec(architecture, protocol=protocol, **changes)
        bf = round(0.6 * accuracy, 3)
        return self.run(spec, matrices, image_ids=image_ids, layers=(layers, 13), bf=bf)

    def measurement(self, architecture: str, **changes: Any) -> Path:
        """Save a measurement; see `made_up_measurements.measured`."""
        return save_measurement(self.results, measured(architecture, **changes))


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
