"""Scoring a network on a split, at full label size.

Confusion matrices are counted on the device and stay there to the end of the split. Label maps go to the host
only where BF or pictures are made of them, one batch behind the network, so that neither waits for the other.
"""

import io
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from architectures.architecture_info import WHOLE, Reach
from datasets import VOID
from harness.config.run_spec import Precision
from harness.data.split import DeviceDataset
from harness.metrics.boundary_f1 import BoundaryPool
from harness.metrics.confusion import ImageCounts
from harness.training.amp import autocast
from harness.training.distributed import SINGLE_PROCESS, Group

KEPT_PREDICTIONS = 3
MOST_UPSAMPLED = 1 << 27  # logits of a batch at label size: half a GB in float32
MOST_PIXELS = 1 << 23  # of a batch's labels that are scored at once
MOST_CELLS = 1 << 26  # of a split's confusion matrices, image by image: a quarter of a GB; 1,000 images of 254 classes


@dataclass(frozen=True, kw_only=True)
class SplitScores:
    """What scoring a split leaves.

    counts: what its scores are read from.
    matrices: confusion matrix of every image, (N, K, K) int32, rows are truth; none where they are over MOST_CELLS.
    boundary: per-class BF of every image, (N, K), NaN where a class does not count; none if not asked for.
    predictions: label maps (H, W) uint8 of the images asked for, by index.
    finite: whether every logit was; else these are no scores.
    """

    counts: ImageCounts
    matrices: NDArray[np.int32] | None
    boundary: NDArray[np.float64] | None
    predictions: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    finite: bool = True

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a record keeps of it, by name."""
        found: dict[str, NDArray[Any]] = {"pixels": self.counts.pixels, "matrix": self.counts.matrix}
        if self.matrices is not None:
            found = {"matrices": self.matrices}
        return found if self.boundary is None else {**found, "bf": self.boundary.astype(np.float32)}


def enlarge(logits: Tensor, size: tuple[int, int], reach: Reach = WHOLE) -> Tensor:
    """Logits (B, K, h, w) -> (B, K, H, W), bilinear; what reaches over the image is cut. Of that size they stay."""
    if reach == WHOLE:
        if logits.shape[2:] == size:
            return logits
        return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
    scale = [float(n * part / cells) for n, part, cells in zip(size, reach, logits.shape[2:], strict=True)]
    full = F.interpolate(logits, scale_factor=scale, mode="bilinear", align_corners=False, recompute_scale_factor=False)
    return full[:, :, : size[0], : size[1]]


def label_maps(logits: Tensor, size: tuple[int, int], reach: Reach = WHOLE) -> Tensor:
    """Logits (B, K, h, w) -> classes (B, H, W) uint8: bilinear to label size first, then the largest.

    Logits too large for memory are upsampled a few classes at a time; of equal ones the first class wins.
    """
    logits = logits.float()
    step = max(1, MOST_UPSAMPLED // (len(logits) * size[0] * size[1]))
    best = classes = None
    for start in range(0, logits.shape[1], step):
        part = enlarge(logits[:, start : start + step], size, reach)
        if step >= logits.shape[1]:
            return part.argmax(1).to(torch.uint8)
        highest, index = part.max(1)
        index = (index + start).to(torch.uint8)
        if best is None or classes is None:
            best, classes = highest, index
        else:
            better = highest > best
            best, classes = torch.where(better, highest, best), torch.where(better, index, classes)
    assert classes is not None
    return classes


def _score_each(
    logits: Tensor, labels: Sequence[NDArray[np.uint8]], num_classes: int, reaches: Sequence[Reach]
) -> tuple[list[Tensor], list[Tensor]]:
    """Label maps (1, H, W) and confusion matrices (1, K, K) of images whose labels are each of their own size."""
    maps, matrices = [], []
    for one, label, reach in zip(logits, labels, reaches, strict=True):
        truth = torch.from_numpy(np.array(label)).to(logits.device)[None]
        maps.append(label_maps(one[None], (label.shape[0], label.shape[1]), reach))
        matrices.append(image_matrices(maps[-1], truth, num_classes))
    return maps, matrices


def image_matrices(predictions: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Confusion matrix of each image on the device, (B, K, K) int32; void pixels are left out.

    Args:
        predictions: (B, H, W) uint8, in 0 ... K - 1.
        labels: (B, H, W) uint8, in 0 ... K - 1 or 255.
    """
    images, cells = len(labels), num_classes * num_classes
    # A cell beyond the matrix takes void: to choose pixels by a mask, the host waits for their number.
    cell = torch.where(labels != VOID, labels.long() * num_classes + predictions, cells)
    index = cell + torch.arange(images, device=labels.device).view(-1, 1, 1) * (cells + 1)
    counts = torch.zeros(images * (cells + 1), dtype=torch.int64, device=labels.device)
    one = torch.ones((), dtype=torch.int64, device=labels.device)
    counts.index_add_(0, index.flatten(), one.expand(index.numel()))
    return counts.view(images, -1)[:, :cells].reshape(-1, num_classes, num_classes).int()


class HostCopy:
    """A tensor on its way to the host."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self._arrived: torch.cuda.Event | None = None
        if tensor.device.type == "cuda":
            self._tensor = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._tensor.copy_(tensor, non_blocking=True)
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record()

    def get(self) -> Tensor:
        """The tensor; waits for it."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._tensor


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    data: DeviceDataset,
    *,
    num_classes: int,
    batch: int,
    precision: Precision,
    boundary: bool = False,
    keep: Collection[int] = (),
    reach: Reach = WHOLE,
    on_batch: Callable[[int], None] = lambda images: None,
    group: Group = SINGLE_PROCESS,
) -> SplitScores:
    """Score every image of a split once.

    Several processes take whole batches in turn, and all get all scores.

    Args:
        model: in evaluation mode, with batch-norm statistics in place.
        data: the split.
        num_classes: K.
        batch: images a forward pass; all of one size, so nothing is padded.
        precision: of the forward pass; logits are upsampled in float32.
        boundary: score BF too, on all cores beside the network.
        keep: indices of images whose predictions are wanted.
        reach: of the logits over the input.
        on_batch: called with the number of images done, for progress.
        group: the processes that score it together.
    """
    model.eval()
    done: list[NDArray[np.int64]] = []
    matrices = ImageMatrices(len(data), num_classes, data.device)
    kept: dict[int, NDArray[np.uint8]] = {}
    waiting: deque[tuple[NDArray[np.int64], list[HostCopy]]] = deque()
    size = data.label_size
    together = size is not None and batch * size[0] * size[1] <= MOST_PIXELS
    finite = torch.ones((), dtype=torch.bool, device=data.device)
    with BoundaryPool(num_classes, group.cores) as pool:

        def take_oldest() -> None:
            indices, on_their_way = waiting.popleft()
            maps = [one for part in on_their_way for one in part.get().numpy()]
            if boundary:
                for one, other in zip(maps, data.host_labels(indices), strict=True):
                    pool.submit(one, other)
            kept.update({int(i): maps[n].copy() for n, i in enumerate(indices) if int(i) in keep})

        for turn in group.round_robin_batches(data.in_order(batch)):
            if (indices := turn.own) is not None:
                with autocast(precision, data.device):
                    logits = model(data.images(indices))
                finite &= logits.isfinite().all()  # looked at in the end: the host must not wait
                if size is not None and together:
                    predicted = [label_maps(logits, size, reach)]
                    matrices.add(image_matrices(predicted[0], data.labels(indices), num_classes))
                else:
                    labels = data.host_labels(indices)
                    reaches = [data.reach(label.shape, reach) for label in labels]
                    predicted, counts = _score_each(logits, labels, num_classes, reaches)
                    matrices.add(torch.cat(counts))
                done.append(indices)
                if boundary or any(int(i) in keep for i in indices):
                    waiting.append((indices, [HostCopy(part) for part in predicted]))
                if len(waiting) > 1:
                    take_oldest()
            on_batch(turn.images)
        while waiting:
            take_oldest()
        counted, whole = matrices.taken()
        scores = pool.results() if boundary else None
    own = SplitScores(counts=counted, matrices=whole, boundary=scores, predictions=kept, finite=bool(finite))
    return own if group.world_size == 1 else _joined(group.gather_objects((done, own)))


class ImageMatrices:
    """Confusion matrices of a split's images, on the device; of too many cells the pixels of each class and the sum.

    All memory is taken at once: pieces kept between the temporary tensors of the batches would leave holes.
    """

    def __init__(self, images: int, num_classes: int, device: torch.device) -> None:
        self._whole = images * num_classes**2 <= MOST_CELLS
        rows = num_classes if self._whole else 3
        self._found = torch.empty((images, rows, num_classes), dtype=torch.int32, device=device)
        self._sum = torch.zeros((num_classes, num_classes), dtype=torch.int64, device=device)
        self._count = 0

    def add(self, matrices: Tensor) -> None:
        """Take those of a batch, (B, K, K) int32."""
        if not self._whole:
            self._sum += matrices.sum(0)
            matrices = torch.stack([matrices.diagonal(dim1=1, dim2=2), matrices.sum(2), matrices.sum(1)], 1)
        self._found[self._count : self._count + len(matrices)] = matrices
        self._count += len(matrices)

    def taken(self) -> tuple[ImageCounts, NDArray[np.int32] | None]:
        """All of them on the host."""
        found: NDArray[np.int32] = self._found[: self._count].cpu().numpy()
        if self._whole:
            return ImageCounts.of(found), found
        return ImageCounts(pixels=found, matrix=self._sum.cpu().numpy()), None


def _joined(parts: list[tuple[list[NDArray[np.int64]], SplitScores]]) -> SplitScores:
    """The scores of a split, in the order of its images.

    Args:
        parts: of each process, the indices of its batches, and the scores of their images.
    """
    order = np.argsort(np.concatenate([indices for done, _ in parts for indices in done]))
    boundary = [part.boundary for _, part in parts if part.boundary is not None]
    matrices = [part.matrices for _, part in parts if part.matrices is not None]
    return SplitScores(
        counts=ImageCounts(
            pixels=np.concatenate([part.counts.pixels for _, part in parts])[order],
            matrix=np.sum([part.counts.matrix for _, part in parts], axis=0),
        ),
        matrices=np.concatenate(matrices)[order] if matrices else None,
        boundary=np.concatenate(boundary)[order] if boundary else None,
        predictions={index: kept for _, part in parts for index, kept in part.predictions.items()},
        finite=all(part.finite for _, part in parts),
    )


def kept_indices(images: int) -> set[int]:
    """Images whose predictions are kept for the panels: evenly spread."""
    return {images * (2 * n + 1) // (2 * KEPT_PREDICTIONS) for n in range(KEPT_PREDICTIONS)}


def label_png(label_map: NDArray[np.uint8]) -> bytes:
    """A label map (H, W) as an 8-bit gray PNG of class numbers."""
    target = io.BytesIO()
    Image.fromarray(label_map).save(target, format="PNG", optimize=True)
    return target.getvalue()
