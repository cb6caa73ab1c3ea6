"""Where a run's weights, and logits of them, lie in its folder. Imports no torch."""

from pathlib import Path


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
