"""What a finished run with the CRF leaves: its record and the files beside it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

import datasets
from harness.postprocess.crf.runner import SPLITS, CrfRun
from harness.records.content import pack_scores, to_json
from harness.records.crf import CrfRecord
from harness.records.run import Evaluation, History, RunRecord, Timing
from harness.system.environment import device_name
from harness.training.evaluator import label_png


def crf_record(run: CrfRun, environment: dict[str, Any]) -> tuple[RunRecord, dict[str, bytes]]:
    """The record of a run that is searched and scored, and the files beside it, by name.

    What training made it (parameters, initial weights, iterations) is the refined run's own.
    """
    evaluations, scored = _evaluations(run)
    pictures = _pictures(run)
    base, spent_s = run.base.record, round(run.state.spent_s, 1)
    files = {f"prediction-{stem}.png": png for stem, png in sorted(pictures.items())}
    files["scores.npz"] = pack_scores(scored)
    files["history.json"] = to_json(History(iteration=[], loss=[], lr=[], validation=[]))
    record = RunRecord(
        run_id=run.spec.run_id,
        spec=run.spec,
        status="finished",
        reduced=base.reduced,
        layers_set=base.layers_set,
        encoder_layers=base.encoder_layers,
        parameters=base.parameters,
        best_iteration=base.best_iteration,
        trained_iterations=base.trained_iterations,
        evaluations=tuple(evaluations),
        image_ids=tuple(sorted(pictures)),
        timing=Timing(train_s=0.0, evaluate_s=spent_s, total_s=spent_s, segments=run.state.segments),
        device=device_name(run.job.device),
        environment=environment,
        crf=_crf(run),
    )
    return record, files


def _evaluations(run: CrfRun) -> tuple[list[Evaluation], dict[str, NDArray[Any]]]:
    """Each scoring, and all their arrays by the names of scores.npz."""
    evaluations, scored = list[Evaluation](), dict[str, NDArray[Any]]()
    for checkpoint in run.base.checkpoints:
        for split in SPLITS:
            arrays = run.arrays(checkpoint.iteration, split)
            evaluation = Evaluation.model_validate(
                {
                    "split": split,
                    "iteration": checkpoint.iteration,
                    "labels": checkpoint.labels,
                    "images": len(arrays["matrices" if "matrices" in arrays else "pixels"]),
                    "boundary": "bf" in arrays,
                }
            )
            evaluations.append(evaluation)
            kept = {name: array for name, array in arrays.items() if not name.startswith("map-")}
            scored |= {f"{evaluation.key}-{name}": array for name, array in kept.items()}
    return evaluations, scored


def _pictures(run: CrfRun) -> dict[str, bytes]:
    """The kept predictions on test at the last iteration, by stem."""
    image_ids = _image_ids(run, "test")
    return {
        image_ids[int(name.removeprefix("map-"))]: label_png(label_map.astype(np.uint8))
        for name, label_map in run.arrays(run.base.last_iteration, "test").items()
        if name.startswith("map-")
    }


def _image_ids(run: CrfRun, split: str) -> tuple[str, ...]:
    return tuple(datasets.load(run.spec.dataset, split, run.job.request.data_root).image_ids)


def _crf(run: CrfRun) -> CrfRecord:
    state = run.state
    assert state.without is not None and state.time is not None, "the search is complete"
    image_ids = _image_ids(run, "val")
    return CrfRecord(
        base_run=run.base.record.run_id,
        parameters=run.parameters,
        chosen_by=run.spec.protocol.select_by,
        search=tuple(state.trials),
        search_image_ids=tuple(image_ids[index] for index in run.subset),
        without=state.without,
        time=state.time,
    )
