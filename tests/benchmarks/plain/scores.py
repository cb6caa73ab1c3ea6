"""G, C, mIoU and BF by loops over images and classes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

TOLERANCE = 0.0075  # of the image's diagonal


def confusion_matrix(prediction: NDArray[np.uint8], label: NDArray[np.uint8], num_classes: int) -> NDArray[np.int64]:
    """(K, K) of one image, rows are truth; labels of K and above are left out."""
    matrix = np.zeros((num_classes, num_classes), dtype=np.int64)
    for truth in range(num_classes):
        predicted = prediction[label == truth]
        for guess in range(num_classes):
            matrix[truth, guess] = np.sum(predicted == guess)
    return matrix


def boundary_score(prediction: NDArray[np.uint8], label: NDArray[np.uint8], num_classes: int) -> float:
    """Mean over classes of the boundary F1 of one image, by distance transforms.

    A boundary pixel counts as matched if the other boundary has any pixel near enough: one pixel may serve
    several, where the exact score matches one to one. The two scores differ, and so does the work.
    """
    limit = TOLERANCE * np.hypot(*label.shape)
    found = []
    for index in range(num_classes):
        predicted, true = boundary(prediction == index), boundary(label == index)
        if not predicted.any() and not true.any():
            continue
        if not predicted.any() or not true.any():
            found.append(0.0)
            continue
        precision = np.mean(distance_transform_edt(~true)[predicted] <= limit)
        recall = np.mean(distance_transform_edt(~predicted)[true] <= limit)
        total = precision + recall
        found.append(float(2 * precision * recall / total) if total > 0 else 0.0)
    return float(np.mean(found)) if found else 0.0


def boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a (H, W) mask that an erosion takes away."""
    inside: NDArray[np.bool_] = binary_erosion(mask)
    return mask & ~inside


def score(
    predictions: Sequence[NDArray[np.uint8]], labels: Sequence[NDArray[np.uint8]], num_classes: int
) -> dict[str, float]:
    """G, C, mIoU and BF (each 0..1) of a split."""
    matrix = np.zeros((num_classes, num_classes), dtype=np.int64)
    boundaries = []
    for prediction, label in zip(predictions, labels, strict=True):
        matrix += confusion_matrix(prediction, label, num_classes)
        boundaries.append(boundary_score(prediction, label, num_classes))
    right, true, guessed = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    present = true > 0
    accuracy = right[present] / true[present]
    union = true + guessed - right
    iou = right[union > 0] / union[union > 0]
    return {
        "G": float(right.sum() / matrix.sum()),
        "C": float(accuracy.mean()),
        "mIoU": float(iou.mean()),
        "BF": float(np.mean(boundaries)),
    }
