"""What a finished run no longer needs. Imports no torch."""

from pathlib import Path

from harness.records.run import RunRecord
from harness.records.weights_files import all_best_weights, best_weights
from harness.system.files import remove_leftovers

# checkpoints of training; the search and the scores of the CRF
_PASSING = ("checkpoint*.pt", "search.json", "scores-*.npz")


def newer_checkpoint(folder: Path, stored: Path) -> bool:
    """Whether a checkpoint was written after the run's stored record: it is of another results folder's run."""
    try:
        return (folder / "checkpoint.pt").stat().st_mtime > (stored / "record.json").stat().st_mtime
    except OSError:
        return False


def clear_finished(folder: Path, record: RunRecord) -> None:
    """Drop what a finished run would have gone on from; its weights stay, once each, and kept logits.

    Args:
        folder: where the run kept its checkpoints and weights; need not exist.
        record: of the run.
    """
    best = record.best_iteration
    # at the last iteration they are those of final.safetensors
    kept = None if best is None or best == record.trained_iterations else best_weights(folder, best)
    passing = [path for pattern in _PASSING for path in folder.glob(pattern)]
    for path in (*passing, *all_best_weights(folder)):
        if path != kept:
            path.unlink(missing_ok=True)
    remove_leftovers(folder)
