"""Which parameters are tried on val: coarse to fine, as DeepLab's authors did. Imports no torch.

Chen et al., ICLR 2015 (arXiv 1412.7062), section 4: the Gaussian kernel's weight and sigma stay 3; of w1 in
{5, 10}, sigma_alpha in {50, 60, ..., 100} and sigma_beta in {3, 4, ..., 10} the best are sought on 100 images
of val, then again with finer steps around them; 10 iterations. Here the first round takes every second of
their sigmas and the second steps half as wide, on 20 images: a search of minutes on a machine without a GPU.
"""

from collections.abc import Sequence
from itertools import groupby, product
from typing import Literal

from harness.records.crf import CrfParameters, Trial

IMAGES = 20
WEIGHTS = (5.0, 10.0)
SIGMAS_PX = (50.0, 70.0, 90.0)
COLOR_SIGMAS = (3.0, 5.0, 7.0, 9.0)
# Half the steps of the first round.
WEIGHT_STEP, SIGMA_STEP_PX, COLOR_STEP = 2.5, 10.0, 1.0
TRIALS = len(WEIGHTS) * len(SIGMAS_PX) * len(COLOR_SIGMAS) + 3**3 - 1

Score = Literal["mIoU", "G"]


def first_round() -> list[CrfParameters]:
    """The coarse grid."""
    return _grid(WEIGHTS, SIGMAS_PX, COLOR_SIGMAS)


def second_round(best: CrfParameters) -> list[CrfParameters]:
    """The grid around the first round's best, without that itself; it may reach beyond the first one."""
    around = _grid(
        _around(best.bilateral_weight, WEIGHT_STEP),
        _around(best.bilateral_sigma_px, SIGMA_STEP_PX),
        _around(best.color_sigma, COLOR_STEP),
    )
    return [parameters for parameters in around if parameters != best]


def best_of(trials: Sequence[Trial], score: Score) -> Trial:
    """The trial of the highest score, the first on a tie."""
    return max(trials, key=lambda trial: _value(trial, score))  # max keeps the first


def to_do(trials: Sequence[Trial], score: Score) -> list[list[CrfParameters]]:
    """What is still to be tried, given what was: lists that share their kernels. Empty at the end.

    The second round follows from the first, so that it is planned once that is complete.
    """
    tried = [trial.parameters for trial in trials]
    coarse = first_round()
    left = [parameters for parameters in coarse if parameters not in tried]
    if not left:
        of_first = [trial for trial in trials if trial.parameters in coarse]
        fine = second_round(best_of(of_first, score).parameters)
        left = [parameters for parameters in fine if parameters not in tried]
    return [list(group) for _, group in groupby(left, key=lambda parameters: parameters.sigmas)]


def _grid(weights: Sequence[float], sigmas_px: Sequence[float], color_sigmas: Sequence[float]) -> list[CrfParameters]:
    """Every combination, those with the same sigmas next to each other."""
    return [
        CrfParameters(bilateral_weight=weight, bilateral_sigma_px=sigma, color_sigma=color)
        for sigma, color, weight in product(sigmas_px, color_sigmas, weights)
    ]


def _around(value: float, step: float) -> tuple[float, float, float]:
    return value - step, value, value + step


def _value(trial: Trial, score: Score) -> float:
    return trial.scores.miou if score == "mIoU" else trial.scores.global_accuracy


def spread(images: int, wanted: int) -> list[int]:
    """Indices of so many images, evenly spread over a split; all where it has no more."""
    count = min(images, wanted)
    return [(2 * place + 1) * images // (2 * count) for place in range(count)]
