"""Boundary F1 (BF) as the SegNet authors' script computeBFmeasure.m takes it.

For each class of an image: the binary masks `== class` of label and prediction, their boundary pixels (the
'imageSize' form of BSDS seg2bdry), a one-to-one matching of the two sets within 0.75 % of the image diagonal,
and the F1 of the precision and recall that follow. The mean over the classes that count is the score of the
image; the mean over images that of a split. Void is simply not the class, so that its border is a boundary of
the label.

`BoundaryPool` and `bf_of_images` score many images on all cores. Their workers are started with `spawn`: a
fork of a process that holds a CUDA context or running threads is not safe. They need this package alone. A few
small images are scored before a worker would have begun, hence without any.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from harness.metrics.inputs import check_pair
from harness.metrics.matching import matched_pairs
from harness.system.environment import available_cores

# Images that may wait for each worker. More would only hold memory: a pair of 360 x 480 maps takes 346 kB.
WAITING_PER_PROCESS = 4
# So long images are scored in the process itself, about the time that a worker takes to start.
START_AFTER_S = 1.0


def boundary_f1(prediction: Any, label: Any, num_classes: int) -> NDArray[np.float64]:
    """F1 of every class's boundary in one image: float64 (K,), 0..1, NaN where the class does not count.

    `prediction` is (H, W) in 0..K-1, `label` (H, W) in 0..K-1 or 255 (void); numpy arrays or torch tensors. A class
    counts if it has a boundary pixel in either; if only in one, its F1 is 0. Raises ValueError as `check_pair` does.
    """
    prediction, label = check_pair(prediction, label, num_classes)
    per_class = np.full(num_classes, np.nan)
    for index in range(num_classes):
        found = boundary_pixels(prediction == index)
        true = boundary_pixels(label == index)
        pixels = np.count_nonzero(found) + np.count_nonzero(true)
        if pixels:
            # 2PR / (P + R) with P = matched / found, R = matched / true
            per_class[index] = 2 * matched_pairs(found, true) / pixels
    return per_class


def image_bf(per_class: NDArray[np.float64]) -> float:
    """BF of one image: the mean of its (K,) F1 over the classes that count, 0 where none does."""
    counted = per_class[np.isfinite(per_class)]
    return float(counted.mean()) if counted.size else 0.0


def dataset_bf(per_class: NDArray[np.float64]) -> float:
    """BF of a split: the mean of `image_bf` over its images, from their F1 (N, K).

    Raises ValueError where there is no image.
    """
    if per_class.ndim != 2 or per_class.shape[0] == 0:
        raise ValueError(f"the F1 of a split is (N, K) with N of at least 1, not of shape {per_class.shape}")
    return float(np.mean([image_bf(row) for row in per_class]))


def boundary_pixels(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where a (H, W) mask changes: pixels that differ from the one to the right, below, or diagonally below.

    The last row and column have only the one neighbor that exists; the last pixel has none.
    """
    boundary = np.zeros(mask.shape, dtype=np.bool_)
    across = mask[:, 1:] != mask[:, :-1]
    down = mask[1:] != mask[:-1]
    boundary[:, :-1] = across
    boundary[:-1] |= down
    # A 2 x 2 block is uniform exactly if its four inner borders show no change.
    boundary[:-1, :-1] |= across[1:] | down[:, 1:]
    return boundary


def _begin() -> None:
    """What a worker does first."""
    # Ctrl-C reaches every process of the terminal: only the one that hands out images may act on it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End when the process that hands out images is killed: workers would wait for more for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class BoundaryPool:
    """Takes images one after another and scores them on other cores.

        with BoundaryPool(num_classes=11) as pool:
            for prediction, label in ...:
                pool.submit(prediction, label)
            per_class = pool.results()

    `processes` is the number of workers, by default one a core; with 1 the images are scored in this process
    as they are submitted, and so are the first ones of any number, until they have taken `start_after_s`.
    Leaving the block stops the workers and drops images that still wait.
    Raises ValueError for fewer than one process, RuntimeError where it is used outside the `with` block.
    """

    def __init__(self, num_classes: int, processes: int | None = None, *, start_after_s: float = START_AFTER_S) -> None:
        self._num_classes = num_classes
        self._own_s = start_after_s
        self._processes = available_cores() if processes is None else processes
        if self._processes < 1:
            raise ValueError(f"processes must be at least 1, not {processes}")
        self._open = False
        self._done: list[NDArray[np.float64]] = []
        self._waiting: deque[Future[NDArray[np.float64]]] = deque()
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        self._open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open = False
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None
        self._waiting.clear()

    def submit(self, prediction: Any, label: Any) -> None:
        """Hand over one image; with workers it returns at once unless four images wait for each.

        Both maps are (H, W), arrays or tensors. Copies them, so that the caller may reuse its buffers. Raises
        ValueError as `check_pair` does.
        """
        self._require_open()
        prediction, label = check_pair(prediction, label, self._num_classes)
        if self._processes == 1 or self._own_s > 0:
            began = time.perf_counter()
            self._done.append(boundary_f1(prediction, label, self._num_classes))
            self._own_s -= time.perf_counter() - began
            return
        if self._executor is None:
            context = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(self._processes, context, initializer=_begin)
        while len(self._waiting) >= WAITING_PER_PROCESS * self._processes:
            self._done.append(self._waiting.popleft().result())
        # check_pair has bounded every value by 255
        maps = prediction.astype(np.uint8), label.astype(np.uint8)
        self._waiting.append(self._executor.submit(boundary_f1, *maps, self._num_classes))

    def results(self) -> NDArray[np.float64]:
        """F1 of all images submitted so far, float64 (N, K), in the order of submission; waits for them."""
        self._require_open()
        while self._waiting:
            self._done.append(self._waiting.popleft().result())
        return np.stack(self._done) if self._done else np.empty((0, self._num_classes))

    def _require_open(self) -> None:
        if not self._open:
            raise RuntimeError("a BoundaryPool works only inside its `with` block")


def bf_of_images(
    predictions: Iterable[Any],
    labels: Iterable[Any],
    num_classes: int,
    processes: int | None = None,
) -> NDArray[np.float64]:
    """`boundary_f1` of N images, (H, W) each: float64 (N, K) in their order.

    `processes` as in `BoundaryPool`. Raises ValueError as `check_pair` does, and where the numbers of
    predictions and labels differ.
    """
    with BoundaryPool(num_classes, processes) as pool:
        for prediction, label in zip(predictions, labels, strict=True):
            pool.submit(prediction, label)
        return pool.results()
