"""Logits of a finished run, kept as fp16 at the network's own stride, one file a split.

The CRF reads them from there and from nowhere else, so that what it is given does not depend on whether
the network was at hand. A file is `logits (N, K, h, w)`, in the order of the split, with the run and the
split named.
"""

import errno
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from harness.config.worker_job import WorkerJob
from harness.data.split import DeviceDataset
from harness.postprocess.crf.base_run import BaseRunMissing, Checkpoint
from harness.system.files import replacing
from harness.training.amp import autocast
from harness.training.checkpoint import ADVICE, load_weights
from harness.training.model import build_network
from harness.training.train_state import Diverged

_NAME = "logits"
OnImages = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class StoredLogits:
    """A file of logits, whose images are read one by one."""

    path: Path
    images: int

    def __getitem__(self, index: int) -> Tensor:
        """Logits (K, h, w) float32 of an image."""
        with safe_open(self.path, "pt") as file:
            one: Tensor = file.get_slice(_NAME)[index]
        return one.float()


def load_logits(path: Path, run_id: str, split: str, image_ids: tuple[str, ...]) -> StoredLogits | None:
    """The logits in a file; none where there is no such file, or it is damaged or of something else."""
    with suppress(OSError, SafetensorError, ValueError, KeyError):
        with safe_open(path, "pt") as file:
            about: dict[str, Any] = file.metadata() or {}
            shape = file.get_slice(_NAME).get_shape()
        same = (about["run_id"], about["split"]) == (run_id, split)
        if same and tuple(json.loads(about["image_ids"])) == image_ids and shape[0] == len(image_ids):
            return StoredLogits(path=path, images=len(image_ids))
    return None


def require_weights(checkpoint: Checkpoint, run_id: str) -> None:
    """Refuse, with BaseRunMissing, to go on where a run's weights are gone."""
    if not checkpoint.weights.exists():
        raise BaseRunMissing(
            f"the weights of {run_id} are gone ({checkpoint.weights.name} is not in its work folder), nor "
            "are its logits kept there; bring them back, or remove its record and run it again"
        )


@torch.inference_mode()
def write_logits(
    job: WorkerJob,
    checkpoint: Checkpoint,
    split: str,
    data: DeviceDataset,
    on_images: OnImages = lambda images: None,
) -> Path:
    """Run the refined run's network over a split, at the run's input size, and keep its logits.

    Raises:
        BaseRunMissing: the weights are gone.
        Diverged: a logit is not finite, or too large for half precision.
        UserError: the disk is full or the folder can't be written.
    """
    require_weights(checkpoint, job.spec.run_id)
    model, _ = build_network(job, data.full_size)
    load_weights(checkpoint.weights, model, sha256=None)
    model.eval()
    parts = []
    for indices in data.in_order(job.spec.protocol.batch_size):
        with autocast(job.spec.precision, data.device):
            logits = model(data.images(indices))
        kept = logits.half().cpu().contiguous()
        if not kept.isfinite().all():  # the CRF would take the pixel for class 0
            raise Diverged(checkpoint.iteration, f"a logit on {split}, kept in half precision, was")
        parts.append(kept)
        on_images(len(indices))
    path = checkpoint.logits_path(split)
    about = {"run_id": job.spec.run_id, "split": split, "image_ids": json.dumps(list(data.image_ids))}
    with replacing(path, ADVICE, "logits") as temporary:
        try:
            save_file({_NAME: torch.cat(parts)}, temporary, metadata=about)
        except SafetensorError as error:  # how it reports a full disk
            raise OSError(errno.EIO, str(error)) from error
    return path
