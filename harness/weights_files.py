"""Where a run's weights lie in its folder. Imports no torch."""

from pathlib import Path


def final_weights(folder: Path) -> Path:
    """Those of the last iteration."""
    return folder / "final.safetensors"


def best_weights(folder: Path, iteration: int) -> Path:
    """Those of the iteration that val chose; a run's of before files bore the iteration have another name."""
    path = folder / f"best-{iteration:06d}.safetensors"
    unnumbered = folder / "best.safetensors"
    return unnumbered if unnumbered.exists() and not path.exists() else path
