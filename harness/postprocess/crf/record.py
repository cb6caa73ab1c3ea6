"""What a finished run with the CRF leaves: its record and the files beside it."""

from typing import Any

from harness.postprocess.crf.runner import CrfRun
from harness.records.content import pack_scores, to_json
from harness.records.crf import CrfRecord
from harness.records.run import History, RunRecord, Timing
from harness.system.environment import device_name


def crf_record(run: CrfRun, environment: dict[str, Any]) -> tuple[RunRecord, dict[str, bytes]]:
    """The record of a run that is searched and scored, and the files beside it, by name.

    What training made it (parameters, initial weights, iterations) is the refined run's own.
    """
    state, base, spent_s = run.state, run.base.record, round(run.state.evaluate_s, 1)
    files = {f"prediction-{stem}.png": png for stem, png in sorted(state.predictions.items())}
    files["scores.npz"] = pack_scores(state.arrays)
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
        evaluations=tuple(state.evaluations),
        image_ids=tuple(sorted(state.predictions)),
        timing=Timing(train_s=0.0, evaluate_s=spent_s, total_s=spent_s, segments=state.segments),
        device=device_name(run.job.device),
        environment=environment,
        crf=_crf(run),
    )
    return record, files


def _crf(run: CrfRun) -> CrfRecord:
    state = run.state
    assert state.without is not None and state.time is not None, "the search is complete"
    return CrfRecord(
        base_run=run.base.record.run_id,
        parameters=run.parameters,
        chosen_by=run.spec.protocol.select_by,
        search=tuple(state.trials),
        search_image_ids=run.subset_ids,
        without=state.without,
        time=state.time,
    )
