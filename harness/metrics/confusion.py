"""The confusion matrix and what is read from it: G, C and mIoU of the SegNet paper (section 3.3).

The matrix of a split is the sum of its images' matrices, and the scores are taken once, of that sum:
averaging the scores of images or batches gives another figure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from harness.metrics.inputs import VOID, as_array, check_pair


def confusion_matrix(prediction: Any, label: Any, num_classes: int) -> NDArray[np.int64]:
    """Count the pixels of one image: int64 (K, K), row = class of the label, column = predicted class.

    `prediction` is (H, W) in 0..K-1, `label` (H, W) in 0..K-1 or 255 (void, left out of the matrix); numpy arrays
    or torch tensors.
    Raises ValueError as `check_pair` does.
    """
    prediction, label = check_pair(prediction, label, num_classes)
    labeled = label != VOID
    cells = label[labeled].astype(np.int64) * num_classes + prediction[labeled]
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes).astype(np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageCounts:
    """What every score is read from: pixels of each class in each image, and the confusion matrix of all images.

    pixels: (N, 3, K) integer: right, labeled and predicted pixels. matrix: (K, K) integer, rows = truth.
    """

    pixels: NDArray[np.integer]
    matrix: NDArray[np.int64]

    @classmethod
    def of(cls, matrices: NDArray[np.integer]) -> Self:
        """Of each image's confusion matrix, (N, K, K)."""
        return cls(pixels=np.stack(_margins(matrices), axis=1), matrix=matrices.sum(axis=0, dtype=np.int64))

    @classmethod
    def stored(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Of a record's arrays: `matrices`, or `pixels` and `matrix` of a split whose matrices would be too large."""
        return cls.of(arrays["matrices"]) if "matrices" in arrays else cls(**arrays)

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def labeled(self) -> NDArray[np.integer]:
        """Pixels of each class in the truth, (N, K)."""
        return self.pixels[:, 1]

    @property
    def predicted(self) -> NDArray[np.integer]:
        """Labeled pixels that were given each class, (N, K)."""
        return self.pixels[:, 2]

    def class_iou(self) -> NDArray[np.float64]:
        """IoU of every class in each image, (N, K); NaN where undefined."""
        return _class_rates(*self.pixels.swapaxes(0, 1))[1]

    def averages(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """G, C and mIoU of each image, each (N,), as `scores` takes them; NaN where all is void."""
        return _averages(*self.pixels.swapaxes(0, 1))


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """The scores of one confusion matrix of n = `num_classes` classes; all values 0..1.

    Two rules stand side by side for classes that are absent:
    - `class_accuracy` and `miou` leave out what is undefined. A class without a labeled pixel has no
      accuracy, one without a labeled or predicted pixel no IoU (both NaN). A class that is predicted and
      never labeled has IoU 0, which counts.
    - `class_accuracy_all` and `miou_all` divide by all n, undefined counting 0, as the authors' script
      (compute_test_results.m) does.
    """

    num_classes: int
    global_accuracy: float
    class_accuracy: float  # mean of per_class_accuracy over the `labeled` classes that have one
    miou: float  # mean of per_class_iou over the `present` classes that have one
    class_accuracy_all: float
    miou_all: float
    labeled: int  # k of C: classes with a labeled pixel
    present: int  # k of mIoU: classes with a labeled or a predicted pixel
    per_class_accuracy: NDArray[np.float64]  # (K,), NaN where undefined
    per_class_iou: NDArray[np.float64]  # (K,), NaN where undefined
    labeled_share: NDArray[np.float64]  # (K,), of the labeled pixels


def scores(matrix: Any) -> Scores:
    """Read the scores of one (K, K) confusion matrix, rows = truth; a numpy array or a torch tensor.

    Raises ValueError where the matrix is not square, holds a negative count, or counts no pixel at all.
    """
    matrix = as_array(matrix)
    _check_matrix(matrix)
    if not matrix.any():
        raise ValueError("the confusion matrix counts no pixel: every label is void, or nothing was evaluated")
    accuracy, iou = _class_rates(*_margins(matrix))
    global_accuracy, class_accuracy, miou = average_rates(matrix)
    return Scores(
        num_classes=matrix.shape[0],
        global_accuracy=float(global_accuracy),
        class_accuracy=float(class_accuracy),
        miou=float(miou),
        class_accuracy_all=float(np.nan_to_num(accuracy).mean()),
        miou_all=float(np.nan_to_num(iou).mean()),
        labeled=int(np.isfinite(accuracy).sum()),
        present=int(np.isfinite(iou).sum()),
        per_class_accuracy=accuracy,
        per_class_iou=iou,
        labeled_share=matrix.sum(axis=1) / matrix.sum(),
    )


def average_rates(
    matrices: NDArray[np.integer | np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """G, C and mIoU, each (...), of matrices (..., K, K), as `scores` takes them; NaN for an empty matrix."""
    return _averages(*_margins(matrices))


def _margins(matrices: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Right, labeled and predicted pixels of each class, each (..., K), of matrices (..., K, K)."""
    return np.diagonal(matrices, axis1=-2, axis2=-1), matrices.sum(axis=-1), matrices.sum(axis=-2)


def _class_rates(
    right: NDArray[Any], labeled: NDArray[Any], predicted: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Accuracy and IoU of every class, each (..., K); NaN where undefined."""
    return ratio(right, labeled), ratio(right, labeled + predicted - right)


def _averages(
    right: NDArray[Any], labeled: NDArray[Any], predicted: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    accuracy, iou = _class_rates(right, labeled, predicted)
    return ratio(right.sum(axis=-1), labeled.sum(axis=-1)), defined_mean(accuracy), defined_mean(iou)


def ratio(part: NDArray[np.integer | np.float64], whole: NDArray[np.integer | np.float64]) -> NDArray[np.float64]:
    """Part over whole, NaN where the whole is 0."""
    out: NDArray[np.float64] = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=out, where=np.asarray(whole) > 0)
    return out


def defined_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis without the NaN; NaN, and no warning, where nothing is left."""
    return ratio(np.nansum(values, axis=-1), np.isfinite(values).sum(axis=-1))


def _check_matrix(matrix: NDArray[np.integer]) -> None:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] == 0:
        raise ValueError(f"a confusion matrix is (K, K), not of shape {matrix.shape}: sum over the images first")
    if not np.issubdtype(matrix.dtype, np.integer):
        raise ValueError(f"a confusion matrix holds counts, not {matrix.dtype}")
    if (matrix < 0).any():
        raise ValueError("a confusion matrix holds counts, and this one has a negative entry")
