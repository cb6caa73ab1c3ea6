"""TensorBoard logs, on request."""

from pathlib import Path
from typing import Any

from harness.metrics import Scores
from harness.system.errors import UserError, how_to_install


class TensorBoardLogger:
    """Writes a run's curves for TensorBoard; does nothing where no folder is given.

    Args:
        folder: where the logs go.

    Raises:
        UserError: logs are wanted and the package tensorboard is not installed.
    """

    def __init__(self, folder: Path | None) -> None:
        self._writer: Any = None
        if folder is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise UserError(
                    f"--tensorboard: tensorboard is not installed; {how_to_install('tensorboard')}"
                ) from None
            self._writer = SummaryWriter(str(folder))

    def step(self, iteration: int, loss: float, rate: float) -> None:
        """Loss and learning rate of an iteration."""
        if self._writer is not None:
            self._writer.add_scalar("train/loss", loss, iteration)
            self._writer.add_scalar("train/lr", rate, iteration)

    def validation(self, iteration: int, scores: Scores) -> None:
        """Scores on val."""
        if self._writer is not None:
            self._writer.add_scalar("val/G", scores.global_accuracy, iteration)
            self._writer.add_scalar("val/C", scores.class_accuracy, iteration)
            self._writer.add_scalar("val/mIoU", scores.miou, iteration)
            self._writer.flush()
