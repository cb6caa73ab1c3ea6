"""Class weights in the loss, by the name that a protocol has for them.

natural         none: every labeled pixel weighs 1
inverse-root    frequency in the training labels to the -1/2, scaled so that pixels weigh 1 on average
median          median frequency balancing, computed from the training labels: Eigen and Fergus, ICCV 2015
                (arXiv 1411.4734), section 6.3.2; the SegNet paper's choice
segnet-release  the weights in SegNet's own definition files, which no recomputation gives
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.system.errors import UserError

ClassWeighting = Literal["natural", "inverse-root", "median", "segnet-release"]
Weights = NDArray[np.float32]

# SegNet-Tutorial bb68b64, Models/segnet_train.prototxt (class_weighting), in the order of the classes.
_RELEASED = {
    "camvid": (0.2595, 0.1826, 4.5640, 0.1417, 0.9051, 0.3826, 9.6446, 1.8418, 0.6823, 6.2478, 7.3614),
}


def check_class_weighting(class_weighting: ClassWeighting, dataset: str) -> None:
    """Refuse, by a UserError, `segnet-release` for a dataset without published weights."""
    if class_weighting == "segnet-release" and dataset not in _RELEASED:
        known = ", ".join(_RELEASED)
        raise UserError(f"class_weighting segnet-release: no weights were published for {dataset}; only for {known}")


def class_weights(
    class_weighting: ClassWeighting, dataset: str, pixels: NDArray[np.int64], areas: NDArray[np.int64] | int
) -> Weights | None:
    """Weights (K,) float32 for the pixels of each class; none for `natural`.

    Args:
        class_weighting: the protocol's.
        dataset: name of the dataset.
        pixels: pixels of each class in each training image, (N, K), at full label size.
        areas: pixels of each image, void ones too, (N,), or of all.
    """
    if class_weighting == "natural":
        return None
    if class_weighting == "segnet-release":
        check_class_weighting(class_weighting, dataset)
        return np.asarray(_RELEASED[dataset], dtype=np.float32)
    if class_weighting == "median":
        return median_frequency_weights(pixels, areas)
    return inverse_root_weights(pixels.sum(axis=0))


def median_frequency_weights(pixels: NDArray[np.int64], areas: NDArray[np.int64] | int) -> Weights:
    """Median of the frequencies over a class's frequency, (K,) float32.

    A class's frequency is its pixels over all pixels, void ones too, of the images that hold it. A class that
    no image holds weighs 0 and has no part in the median.

    Args:
        pixels: pixels of each class in each image, (N, K).
        areas: pixels of each image, (N,), or of all.
    """
    of_images = ((pixels > 0) * np.reshape(areas, (-1, 1))).sum(axis=0)
    frequency = np.divide(pixels.sum(axis=0), of_images, out=np.zeros(pixels.shape[1]), where=of_images > 0)
    present = frequency > 0
    weights = np.zeros_like(frequency)
    weights[present] = np.median(frequency[present]) / frequency[present]
    return np.asarray(weights, dtype=np.float32)


def inverse_root_weights(pixels: NDArray[np.int64]) -> Weights:
    """Class weights frequency ** -1/2, (K,) float32, scaled so that labeled pixels weigh 1 on average.

    A class without any of the labeled pixels (K,) weighs 0.
    """
    share = pixels / pixels.sum()
    raw = np.divide(1.0, np.sqrt(share), out=np.zeros_like(share), where=share > 0)
    weights: Weights = np.asarray(raw / (raw * share).sum(), dtype=np.float32)
    return weights
