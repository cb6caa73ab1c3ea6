"""The CRF applied to the images of a split, and what that scores."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from architectures.architecture_info import WHOLE, Reach
from harness.metrics import confusion_matrix, scores
from harness.metrics.boundary_f1 import BoundaryPool
from harness.postprocess.crf.logits import StoredLogits
from harness.postprocess.crf.mean_field import Filter, Kernels, build_kernels, infer
from harness.records.crf import CrfParameters, CrfTime, SubsetScores
from harness.training.evaluator import ImageMatrices, SplitScores, enlarge

OnImages = Callable[[int], None]
Maps = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class CrfData:
    """What the CRF needs of a split.

    image_ids: in the order of the split. logits: the network's, by image. images: (N, H, W, 3) uint8 at the
    labels' full size, whatever size the network was fed. labels: (N, H, W) uint8, void 255. reach: of the
    logits over the images.
    """

    image_ids: tuple[str, ...]
    logits: StoredLogits
    images: Maps
    labels: Maps
    reach: Reach = WHOLE

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of images and labels."""
        return int(self.labels.shape[1]), int(self.labels.shape[2])


class Refiner:
    """Applies the CRF to images of one split, one at a time."""

    def __init__(self, data: CrfData, num_classes: int, device: torch.device) -> None:
        self._data = data
        self._num_classes = num_classes
        self._device = device
        self._gaussians: dict[float, Filter] = {}  # of the image's size alone, so that it serves all images

    def energies(self, index: int) -> Tensor:
        """Negative log probabilities (H * W, K) of an image: logits enlarged as evaluation enlarges them."""
        logits = enlarge(self._data.logits[index].to(self._device)[None], self._data.size, self._data.reach)
        return -torch.log_softmax(logits[0].flatten(1).t(), 1)

    def kernels(self, index: int, parameters: CrfParameters) -> Kernels:
        """The kernels of an image."""
        image = torch.from_numpy(np.array(self._data.images[index])).to(self._device)
        known = self._gaussians.get(parameters.gaussian_sigma_px)
        kernels = build_kernels(image, parameters, gaussian=known)
        self._gaussians[parameters.gaussian_sigma_px] = kernels.gaussian
        return kernels

    def label_map(self, energies: Tensor, kernels: Kernels, parameters: CrfParameters) -> Maps:
        """Most probable classes (H, W) uint8."""
        return self._map(infer(energies, kernels, parameters))

    def _map(self, probabilities: Tensor) -> Maps:
        chosen: Maps = probabilities.argmax(1).to(torch.uint8).view(self._data.size).cpu().numpy()
        return chosen

    @torch.inference_mode()
    def subset_scores(
        self, indices: Sequence[int], trials: Sequence[CrfParameters], on_images: OnImages
    ) -> list[SubsetScores]:
        """Scores on some images, of the network's own output and of each trial.

        Trials have the same sigmas, so that an image's kernels are built once; there may be none.
        """
        matrices = np.zeros((1 + len(trials), self._num_classes, self._num_classes), dtype=np.int64)
        for index in indices:
            energies = self.energies(index)
            kernels = self.kernels(index, trials[0]) if trials else None
            maps = [self._map(-energies)]
            maps += [self.label_map(energies, kernels, trial) for trial in trials if kernels]
            for place, found in enumerate(maps):
                matrices[place] += confusion_matrix(found, self._data.labels[index], self._num_classes)
            on_images(1)
        return [_subset_scores(matrix) for matrix in matrices]

    @torch.inference_mode()
    def split_scores(
        self, parameters: CrfParameters, *, boundary: bool, keep: Collection[int], on_images: OnImages
    ) -> SplitScores:
        """Score every image once, and BF if asked for; keep: indices of images whose predictions are wanted."""
        matrices, kept = ImageMatrices(len(self._data), self._num_classes, torch.device("cpu")), {}
        with BoundaryPool(self._num_classes) as pool:
            for index in range(len(self._data)):
                found = self.label_map(self.energies(index), self.kernels(index, parameters), parameters)
                matrix = confusion_matrix(found, self._data.labels[index], self._num_classes)
                matrices.add(torch.from_numpy(matrix.astype(np.int32))[None])
                if boundary:
                    pool.submit(found, self._data.labels[index])
                if index in keep:
                    kept[index] = found
                on_images(1)
            bf = pool.results() if boundary else None
        counts, whole = matrices.taken()
        return SplitScores(counts=counts, matrices=whole, boundary=bf, predictions=kept)

    @torch.inference_mode()
    def time(self, indices: Sequence[int], parameters: CrfParameters, on_images: OnImages) -> CrfTime:
        """Wall time of kernels, iterations and label map, image by image after one that does not count."""
        taken_ms = []
        for index in [indices[0], *indices]:
            energies = self.energies(index)
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            started = time.perf_counter()
            self.label_map(energies, self.kernels(index, parameters), parameters)
            taken_ms.append(1000 * (time.perf_counter() - started))
            on_images(1)
        counted = taken_ms[1:]
        return CrfTime(
            median_ms=round(float(np.median(counted)), 1),
            lowest_ms=round(min(counted), 1),
            highest_ms=round(max(counted), 1),
            images=len(counted),
            height=self._data.size[0],
            width=self._data.size[1],
            threads=torch.get_num_threads() if self._device.type == "cpu" else None,
        )


def _subset_scores(matrix: NDArray[np.int64]) -> SubsetScores:
    found = scores(matrix)
    return SubsetScores(**{name: round(getattr(found, name), 6) for name in SubsetScores.model_fields})
