"""The weights of the iteration that val chose so far, kept beside the checkpoints of a run."""

from pathlib import Path

from torch import nn

from harness.records.weights_files import all_best_weights, best_weights, stored_best_weights
from harness.training.checkpoint import load_weights, save_weights


class BestCheckpoint:
    """Each best iteration has a file of its own, since the checkpoint that knows of it is written after it.

    Until then a killed run goes on from the checkpoint before, with the weights that this one knows of.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stored: int | None = None

    def known(self, iteration: int | None) -> None:
        """The checkpoint that was read has this best iteration."""
        self._stored = iteration

    def stored(self, iteration: int | None) -> None:
        """A checkpoint with this best iteration is in place.

        Files of others go, but for that of the checkpoint before: it is read should this one be damaged.
        """
        kept = {best_weights(self._folder, one) for one in (self._stored, iteration) if one is not None}
        for path in all_best_weights(self._folder):
            if path not in kept:
                path.unlink(missing_ok=True)
        self._stored = iteration

    def save(self, iteration: int, model: nn.Module) -> str:
        """Keep the weights; the file's SHA-256.

        Raises:
            UserError: the disk is full or the folder can't be written.
        """
        return save_weights(best_weights(self._folder, iteration), model)

    def load(self, iteration: int, model: nn.Module, sha256: str | None) -> None:
        """Put the weights back into the network.

        Args:
            iteration: that they are of.
            model: the network.
            sha256: of the file; none: not known.

        Raises:
            DamagedWeights: the file is gone, or not what was written.
        """
        load_weights(stored_best_weights(self._folder, iteration), model, sha256)
