"""A run's folder: where its weights, and logits of them, lie, and what it no longer needs. Imports no torch."""

from pathlib import Path

from harness.records.run import RunRecord
from harness.system.files import remove_leftovers


def checkpoint_file(folder: Path) -> Path:
    """What a run that was stopped goes on from."""
    return folder / "checkpoint.pt"


def final_weights(folder: Path) -> Path:
    """Those of the last iteration."""
    return folder / "final.safetensors"


def best_weights(folder: Path, iteration: int) -> Path:
    """Those of the iteration that val chose, to be written."""
    return folder / f"best-{iteration:06d}.safetensors"


def all_best_weights(folder: Path) -> list[Path]:
    """Those of all iterations that val once chose and that are still there."""
    return sorted(folder.glob("best-*.safetensors"))


def stored_best_weights(folder: Path, iteration: int) -> Path:
    """To be read; a run's of before files bore the iteration have another name."""
    path = best_weights(folder, iteration)
    unnumbered = folder / "best.safetensors"
    return unnumbered if unnumbered.exists() and not path.exists() else path


def logits_file(folder: Path, split: str, iteration: int) -> Path:
    """Logits of a split by the weights of that iteration."""
    return folder / f"logits-{split}-{iteration:06d}.safetensors"


def all_logits(folder: Path) -> list[Path]:
    """Those that are kept."""
    return sorted(folder.glob("logits-*.safetensors"))


def newer_checkpoint(folder: Path, stored: Path) -> bool:
    """Whether a checkpoint was written after the run's stored record: it is of another results folder's run."""
    try:
        return checkpoint_file(folder).stat().st_mtime > (stored / "record.json").stat().st_mtime
    except OSError:
        return False


def clear_finished(folder: Path, record: RunRecord) -> None:
    """Drop what a finished run would have gone on from; its weights stay, once each, and kept logits.

    The folder is where it kept its checkpoints and weights, and need not exist.
    """
    best = record.best_iteration
    # at the last iteration they are those of final.safetensors
    kept = None if best is None or best == record.trained_iterations else best_weights(folder, best)
    for path in (*folder.glob("checkpoint*.pt"), *all_best_weights(folder)):
        if path != kept:
            path.unlink(missing_ok=True)
    remove_leftovers(folder)
