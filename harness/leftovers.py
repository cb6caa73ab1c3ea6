"""What a finished run no longer needs. Imports no torch."""

from pathlib import Path

from harness.atomic import remove_leftovers
from harness.records import RunRecord


def clear_finished(folder: Path, record: RunRecord) -> None:
    """Drop a finished run's checkpoints; its weights stay, once each.

    Args:
        folder: where the run kept its checkpoints and weights; need not exist.
        record: of the run.
    """
    best = record.best_iteration
    # at the last iteration they are those of final.safetensors
    kept = None if best is None or best == record.trained_iterations else f"best-{best:06d}.safetensors"
    for path in (*folder.glob("checkpoint*.pt"), *folder.glob("best-*.safetensors")):
        if path.name != kept:
            path.unlink(missing_ok=True)
    remove_leftovers(folder)
