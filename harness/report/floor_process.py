"""The process that scores the baselines: `python -m harness.report.floor_process DATASET HEIGHT WIDTH`.

Prints the floors as JSON.
"""

import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

import datasets
from datasets.cache import reduce_area
from harness import metrics
from harness.report.baselines import ColorPositionClassifier, position_prior
from harness.report.floors import FLOORS, Floor
from harness.system.environment import available_cores

_Pixels = NDArray[np.uint8]


def compute(dataset: datasets.DatasetInfo, size: tuple[int, int]) -> tuple[Floor, Floor]:
    """See `floors.floors`."""
    images, labels = _pictures(dataset, "train", size)
    prior = position_prior(labels, dataset.num_classes)
    classifier = ColorPositionClassifier.fit(images, labels, dataset.num_classes)
    images, labels = _pictures(dataset, "test", size)
    full = (labels.shape[1], labels.shape[2])
    by_pixel = [classifier.predict(image, full) for image in images]
    return (
        _scored("position prior", 0.10, [prior] * len(labels), labels, dataset.num_classes),
        _scored("per-pixel classifier on color and position", 0.05, by_pixel, labels, dataset.num_classes),
    )


def _pictures(dataset: datasets.DatasetInfo, split: str, size: tuple[int, int]) -> tuple[_Pixels, _Pixels]:
    """Images (N, h, w, 3), reduced as for the networks, and labels (N, H, W) at full size."""
    numbers = range(dataset.splits[split])
    with ProcessPoolExecutor(available_cores()) as pool:
        pairs = list(pool.map(partial(_picture, dataset.name, split, size), numbers, chunksize=8))
    return np.stack([image for image, _ in pairs]), np.stack([label for _, label in pairs])


def _picture(name: str, split: str, size: tuple[int, int], index: int) -> tuple[_Pixels, _Pixels]:
    image, label = datasets.load(name, split)[index]
    return reduce_area(image, size), label


def _scored(name: str, margin: float, predictions: Sequence[_Pixels], labels: _Pixels, classes: int) -> Floor:
    pairs = list(zip(predictions, labels, strict=True))
    matrix = np.sum([metrics.confusion_matrix(one, label, classes) for one, label in pairs], axis=0)
    boundary = np.stack([metrics.boundary_f1(one, label, classes) for one, label in pairs])
    scores = metrics.scores(matrix)
    return Floor(
        name=name,
        margin=margin,
        global_accuracy=scores.global_accuracy,
        class_accuracy=scores.class_accuracy,
        miou=scores.miou,
        bf=metrics.dataset_bf(boundary),
        class_accuracy_all=scores.class_accuracy_all,
        miou_all=scores.miou_all,
        labeled=scores.labeled,
        present=scores.present,
        num_classes=scores.num_classes,
    )


def main(name: str, height: str, width: str) -> None:
    """Compute and print."""
    found = compute(datasets.info(name), (int(height), int(width)))
    print(FLOORS.dump_json(found).decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
