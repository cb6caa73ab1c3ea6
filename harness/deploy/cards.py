"""A folder of weights for others: safetensors, config.json, model card; and its way to the Hugging Face Hub."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import architectures
from harness.config.initial_weights import INPUT_FIELDS, TRAINED_INPUT
from harness.deploy.weights import CONFIG, WEIGHTS, ModelConfig, Source
from harness.metrics import ImageCounts, ImageScores, Interval, bootstrap, dataset_bf, scores
from harness.records.measurement import INFERENCE_BATCH, TIME_BATCH, load_measurements
from harness.records.run import Evaluation, StoredRun
from harness.system.errors import UserError
from harness.system.files import replacing, write_atomically

CARD = "README.md"
_METRICS = {"global accuracy": "accuracy", "class accuracy": "mean_accuracy", "mIoU": "mean_iou", "boundary F1": "f1"}


@dataclass(frozen=True, kw_only=True)
class Score:
    """One score of one split, in percent. low, high: its interval; none, with `why`, where there is none."""

    split: str
    name: str
    value: float
    images: int
    low: float | None = None
    high: float | None = None
    why: str = ""


def card_values(source: Source, results: Path) -> dict[str, Any]:
    """What the template of the model card names, of a finished run and of measurements of its architecture.

    Raises:
        UserError: a source without a run.
        ValueError: scores that can't be read.
    """
    if source.record is None:
        raise UserError(f"{source.name}: a model card needs the run; name it, with its --results")
    spec, config = source.record.record.spec, source.config
    found = run_scores(source.record, config.iteration)
    return {
        "config": config,
        "info": architectures.info(config.architecture),
        "spec": spec,
        "record": source.record.record,
        "protocol": spec.protocol.model_dump(mode="json"),
        "data": spec.dataset_info,
        "scores": found,
        "costs": costs(config, results),
        "front_matter": front_matter(config, found, spec.dataset_info.title),
        "weights": WEIGHTS,
    }


def run_scores(stored: StoredRun, iteration: int) -> list[Score]:
    """The scores of a run's splits at an iteration, with their bootstrap intervals."""
    chosen = [one for one in stored.record.evaluations if one.iteration == iteration]
    return [score for evaluation in chosen for score in _of_split(stored, evaluation)]


def _of_split(stored: StoredRun, evaluation: Evaluation) -> list[Score]:
    counts = ImageCounts.stored(stored.counts(evaluation))
    boundary = stored.boundary(evaluation) if evaluation.boundary else np.full(counts.labeled.shape, np.nan)
    whole = scores(counts.matrix)
    values = [whole.global_accuracy, whole.class_accuracy, whole.miou]
    values += [dataset_bf(boundary)] if evaluation.boundary else []
    intervals: tuple[Interval | None, ...] = (None,) * len(_METRICS)
    why = ""
    try:
        found = bootstrap(ImageScores(counts=counts, bf=boundary))
        intervals = (found.global_accuracy, found.class_accuracy, found.miou, found.bf)
    except ValueError as error:
        why = str(error)
    return [
        Score(
            split=evaluation.split,
            name=name,
            value=100 * value,
            images=evaluation.images,
            low=100 * interval.low if interval else None,
            high=100 * interval.high if interval else None,
            why=why,
        )
        for name, value, interval in zip(_METRICS, values, intervals, strict=False)  # BF is the last, if it was scored
    ]


def costs(config: ModelConfig, results: Path) -> list[dict[str, Any]]:
    """What was measured of the architecture at the model's size and number of classes, a row a record.

    forward_ms and allocated_peak_bytes are of a pass of one image; none: not measured there.
    """
    found = []
    for record in load_measurements(results)[0]:
        spec = record.spec
        same = (spec.architecture, spec.architecture_revision, spec.num_classes, spec.size)
        if same != (config.architecture, config.architecture_revision, config.num_classes, config.image_size):
            continue
        forward = record.cell("forward", TIME_BATCH)
        memory = record.cell("inference-memory", INFERENCE_BATCH)
        found.append(
            {
                "device": record.device_name,
                "precision": spec.precision,
                "options": "+".join(spec.options) or "plain",
                "forward_ms": forward.timing.time.median_ms if forward and forward.timing else None,
                "allocated_peak_bytes": memory.memory.allocated_peak_bytes.value if memory and memory.memory else None,
            }
        )
    return found


def front_matter(config: ModelConfig, found: list[Score], dataset_title: str) -> str:
    """The YAML that the Hub reads at the head of a model card, without its rules."""
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="image-segmentation",
            dataset_type=config.dataset,
            dataset_name=dataset_title,
            dataset_split=score.split,
            metric_type=_METRICS[score.name],
            metric_name=score.name,
            metric_value=round(score.value, 2),
        )
        for score in found
    ]
    card = ModelCardData(
        library_name=config.library_name,
        license="other",
        license_name="see-model-card",
        pipeline_tag="image-segmentation",
        tags=["semantic-segmentation", architectures.file_name(config.architecture).lower()],
        datasets=[config.dataset],
        model_name=config.run_id,
        eval_results=results or None,
    )
    return card.to_yaml().strip()


def write_folder(source: Source, folder: Path, card: str, force: bool) -> None:
    """Write model.safetensors, config.json and the rendered card, README.md, to a folder, which is made if need be.

    Raises:
        UserError: files that are there already (without force), weights that can't be read, a folder that can't be
            written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file

    assert source.weights is not None, "a run's are a file"
    there = [name for name in (WEIGHTS, CONFIG, CARD) if (folder / name).exists()]
    if there and not force:
        raise UserError(f"{folder / there[0]} is there already; choose another folder, or --force to replace it")
    config = source.config
    settings = config.model_dump(mode="json", include=set(INPUT_FIELDS))
    about = {
        "format": "pt",
        "source": f"{config.architecture} trained on {config.dataset} ({config.run_id})",
        TRAINED_INPUT: json.dumps(settings),
    }
    try:
        tensors = load_file(source.weights)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{source.weights}: can't be read ({' '.join(str(error).split())[:200]})") from error
    with replacing(folder / WEIGHTS, "choose another folder", "weights") as temporary:
        save_file(tensors, temporary, metadata=about)
    write_atomically(folder / CONFIG, f"{config.model_dump_json(indent=1)}\n".encode())
    write_atomically(folder / CARD, card.encode())


def push(folder: Path, repository: str) -> str:
    """Upload a folder of `write_folder` to the Hugging Face Hub, or where HF_ENDPOINT says; the address of its page.

    The repository, user/name, is made if it is not there yet.

    Raises:
        UserError: no token, no such user, no connection.
    """
    from huggingface_hub import HfApi

    # the hub's errors and its client's, by the names that all of its versions have
    from huggingface_hub.errors import (  # type: ignore[attr-defined]
        HFValidationError,
        HTTPError,
        LocalTokenNotFoundError,
    )

    api = HfApi()
    try:
        page = api.create_repo(repository, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            allow_patterns=[WEIGHTS, CONFIG, CARD],
            commit_message=f"Weights of {folder.resolve().name}",
        )
    except (HTTPError, HFValidationError, LocalTokenNotFoundError, OSError) as error:
        raise UserError(
            f"push to {repository}: {' '.join(str(error).split())[:300]}; the folder {folder} is complete: log in "
            "with `hf auth login` or set HF_TOKEN, and push it again with --force"
        ) from error
    return str(page)
