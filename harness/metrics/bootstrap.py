"""Bootstrap intervals of G, C, mIoU and BF over the images of a split, of one run or of two.

Percentile bootstrap over blocks of neighboring frames: the frames of a video resemble their neighbors, so
that drawing single frames would make the intervals too narrow. The intervals speak of the choice of test
images alone; what another seed of training would change is not in them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.metrics.confusion import average_rates


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A score, or a difference of scores, with its percentile interval of confidence `level` (as 0.95)."""

    estimate: float
    low: float
    high: float
    level: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0: for a difference, that the two runs differ."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, kw_only=True)
class ScoreIntervals:
    """The intervals of a split's four scores, 0..1, or of the differences of two runs' scores, -1..1."""

    global_accuracy: Interval
    class_accuracy: Interval
    miou: Interval
    bf: Interval


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageScores:
    """What a run keeps of each of its N images, in the order of the split.

    `matrices` is (N, K, K) integer, rows = truth; `bf` is (N, K), the F1 of `boundary_f1`.
    Raises ValueError where the shapes do not fit each other or no pixel is counted.
    """

    matrices: NDArray[np.integer]
    bf: NDArray[np.float64]

    def __post_init__(self) -> None:
        images, classes = self.bf.shape if self.bf.ndim == 2 else (0, 0)
        if images == 0 or self.matrices.shape != (images, classes, classes):
            raise ValueError(
                f"matrices (N, K, K) and bf (N, K) must be of the same images and classes, "
                f"not {self.matrices.shape} and {self.bf.shape}"
            )
        if not self.matrices.any():
            raise ValueError("the confusion matrices count no pixel: every label is void")


def bootstrap(
    run: ImageScores, *, block: int = 10, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> ScoreIntervals:
    """Intervals of one run's scores, from `resamples` draws of blocks of `block` neighboring images.

    The images are cut into consecutive blocks (the last may be shorter), and every resample draws as many
    blocks, with replacement. Undefined classes of a resample are left out of its C and mIoU, as in `scores`.
    Raises ValueError where fewer than two blocks come about, or `level` is not between 0 and 1.
    """
    sums = _BlockSums.of(run, block)
    draws = _draw(sums.blocks, resamples, seed)
    return _intervals(sums.scores(np.ones((1, sums.blocks)))[0], sums.scores(draws), level)


def resampled_scores(run: ImageScores, *, block: int = 10, resamples: int = 2000, seed: int = 0) -> NDArray[np.float64]:
    """G, C, mIoU and BF of every resample, (R, 4), 0..1, drawn as `bootstrap` draws them.

    Runs on one split get the same blocks drawn: the difference of two such arrays is a paired one.
    Raises ValueError where fewer than two blocks come about.
    """
    sums = _BlockSums.of(run, block)
    return sums.scores(_draw(sums.blocks, resamples, seed))


def paired_difference(
    run: ImageScores,
    reference: ImageScores,
    *,
    block: int = 10,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> ScoreIntervals:
    """Intervals of the scores of `run` less those of `reference`, both on the same images.

    Every resample draws the same blocks for both, so that what makes an image hard for both cancels out.
    Raises ValueError as `bootstrap` does, and where the two were not evaluated on the same labels (the number
    of labeled pixels of some class of some image differs).
    """
    if run.matrices.shape != reference.matrices.shape:
        raise ValueError(
            f"a paired difference needs the same images and classes, "
            f"not {run.matrices.shape} and {reference.matrices.shape}"
        )
    if not np.array_equal(run.matrices.sum(axis=2), reference.matrices.sum(axis=2)):
        raise ValueError("a paired difference needs the same labels: the labeled pixels of some image differ")
    first, second = _BlockSums.of(run, block), _BlockSums.of(reference, block)
    draws = _draw(first.blocks, resamples, seed)
    whole = np.ones((1, first.blocks))
    return _intervals(
        first.scores(whole)[0] - second.scores(whole)[0], first.scores(draws) - second.scores(draws), level
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _BlockSums:
    """The images of a run added up block by block; all scores are functions of weighted sums of these."""

    matrices: NDArray[np.float64]  # (B, K * K)
    bf: NDArray[np.float64]  # (B,) sums of the images' BF
    images: NDArray[np.float64]  # (B,)

    @property
    def blocks(self) -> int:
        return self.images.size

    @classmethod
    def of(cls, run: ImageScores, block: int) -> "_BlockSums":
        count = run.bf.shape[0]
        if block < 1 or count <= block:
            raise ValueError(f"an interval needs at least two blocks: {count} images with blocks of {block} give fewer")
        starts = np.arange(0, count, block)
        counted = np.isfinite(run.bf)
        per_image = np.nansum(run.bf, axis=1) / np.maximum(counted.sum(axis=1), 1)  # 0 where no class counts
        # float64 holds the pixel counts exactly (below 2^53) and multiplies in one BLAS call
        flat = run.matrices.reshape(count, -1).astype(np.float64)
        return cls(
            matrices=np.add.reduceat(flat, starts, axis=0),
            bf=np.add.reduceat(per_image, starts),
            images=np.diff(np.append(starts, count)).astype(np.float64),
        )

    def scores(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """G, C, mIoU and BF, (R, 4), where resample r takes block b weights[r, b] times."""
        classes = int(np.sqrt(self.matrices.shape[1]))
        rates = average_rates((weights @ self.matrices).reshape(-1, classes, classes))
        return np.stack([*rates, (weights @ self.bf) / (weights @ self.images)], axis=1)


def _draw(blocks: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """How often each block is drawn in each resample, (R, B)."""
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples}")
    draws = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples)
    return draws.astype(np.float64)


def _intervals(estimates: NDArray[np.float64], resampled: NDArray[np.float64], level: float) -> ScoreIntervals:
    """Percentile intervals from the estimates (4,) and the resampled scores (R, 4)."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=0)
    four = [
        Interval(estimate=float(e), low=float(a), high=float(b), level=level)
        for e, a, b in zip(estimates, low, high, strict=True)
    ]
    return ScoreIntervals(global_accuracy=four[0], class_accuracy=four[1], miou=four[2], bf=four[3])
