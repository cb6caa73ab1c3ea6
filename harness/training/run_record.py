"""What a finished run leaves: its record and the files beside it."""

from typing import Any

from torch import nn

from harness.records.content import pack_scores, thin, to_json
from harness.records.run import Distributed, History, RunRecord, Timing
from harness.training.trainer import Trainer


def parameter_count(model: nn.Module) -> int:
    """Weights and biases, batch-norm scale and shift included, running statistics not."""
    return sum(parameter.numel() for parameter in model.parameters())


def run_record(run: Trainer, environment: dict[str, Any]) -> tuple[RunRecord, dict[str, bytes]]:
    """The record of a finished run and the files beside it, by name.

    Args:
        run: trained and finished.
        environment: of the machine it ran on (`harness.system.environment.environment`).
    """
    state = run.state
    history = thin(state.history)
    files = {f"prediction-{stem}.png": png for stem, png in sorted(state.predictions.items())}
    files["scores.npz"] = pack_scores(state.arrays)
    files["history.json"] = to_json(
        History(
            iteration=[point[0] for point in history],
            loss=[point[1] for point in history],
            lr=[point[2] for point in history],
            validation=state.validations,
        )
    )
    wanted = run.spec.dataset_info.splits
    counts = {split: len(data) for split, data in run.data.items() if len(data) < wanted[split]}
    missing = [f"{found:,} of {wanted[split]:,} {split} images" for split, found in counts.items()]
    record = RunRecord(
        run_id=run.spec.run_id,
        spec=run.spec,
        status="finished",
        reduced=(*run.protocol.reductions(run.data["test"].full_size), *missing),
        layers_set=run.layers_set,
        encoder_layers=run.encoder_layers,
        parameters=parameter_count(run.model),
        best_iteration=state.best_iteration,
        trained_iterations=state.iteration,
        evaluations=tuple(state.evaluations),
        image_ids=tuple(sorted(state.predictions)),
        timing=Timing(
            train_s=round(state.train_s, 1),
            evaluate_s=round(state.evaluate_s, 1),
            compile_s=None if run.spec.compiled == "no" else round(state.compile_s, 1),
            total_s=round(state.train_s + state.evaluate_s + state.compile_s, 1),
            segments=state.segments,
        ),
        distributed=None
        if state.processes == [1]
        else Distributed(world_sizes=tuple(state.processes), backend=run.group.backend),
        device=run.job.device_title,
        environment=environment,
    )
    return record, files
