"""The metrics of reports, a row each: a new column of scores is one entry here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from harness import metrics
from harness.metrics.confusion import defined_mean, ratio
from harness.report.store import Scored

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One score of a split.

    name: column of frames and CSV files. header: in tables. definition: one sentence. of: the score, 0 to 1, NaN
    where there is none. interval: whether one is taken; the header is then one of `SCORES`. elsewhere: what other
    projects call it.
    """

    name: str
    header: str
    definition: str
    of: Callable[[Scored], float]
    interval: bool = False
    elsewhere: str = ""

    def value(self, scored: Scored) -> float:
        """The score in percent, NaN where there is none."""
        return 100 * self.of(scored)

    def bounds(self, scored: Scored) -> tuple[float, float]:
        """Its 95 % interval over blocks of images of one run; NaN where none is taken."""
        if not self.interval or np.isnan(self.of(scored)):
            return np.nan, np.nan
        low, high = scored.bounds.get(self.header, (np.nan, np.nan))
        return 100 * low, 100 * high


def _fwiou(scored: Scored) -> float:
    """IoU weighted by the classes' shares of labeled pixels."""
    return float(np.nansum(scored.scores.labeled_share * scored.scores.per_class_iou))


def image_miou(scored: Scored) -> Values:
    """mIoU of every image (N,), 0 to 1, over the classes in its truth or prediction; NaN where all is void."""
    return scored.counts.averages()[2]


def image_accuracy(scored: Scored) -> Values:
    """Global accuracy of every image (N,), 0 to 1; NaN where all is void."""
    return scored.counts.averages()[0]


def image_bf(scored: Scored) -> Values:
    """BF of every image (N,), 0 to 1; NaN where it was not scored."""
    if scored.boundary is None:
        return np.full(len(scored.counts), np.nan)
    return np.array([metrics.image_bf(one) for one in scored.boundary])


METRICS: tuple[Metric, ...] = (
    Metric(
        name="global_accuracy",
        header="G",
        definition="share of labeled pixels that are right",
        of=lambda scored: scored.scores.global_accuracy,
        interval=True,
        elsewhere="aAcc",
    ),
    Metric(
        name="class_accuracy",
        header="C",
        definition="mean over the classes of the share of a class's pixels that are right",
        of=lambda scored: scored.scores.class_accuracy,
        interval=True,
        elsewhere="mAcc",
    ),
    Metric(
        name="miou",
        header="mIoU",
        definition="mean over the classes of intersection over union, of all images' pixels together",
        of=lambda scored: scored.scores.miou,
        interval=True,
        elsewhere="mIoU",
    ),
    Metric(
        name="bf",
        header="BF",
        definition="boundary F1 within 0.75 % of the image's diagonal, mean over images of the mean over classes",
        of=lambda scored: np.nan if scored.bf is None else scored.bf,
        interval=True,
    ),
    Metric(
        name="fwiou",
        header="fwIoU",
        definition="intersection over union weighted by the classes' shares of labeled pixels",
        of=_fwiou,
        elsewhere="fwIoU",
    ),
    Metric(
        name="image_miou",
        header="image mIoU",
        definition="mean over images of the mIoU of each image by itself",
        of=lambda scored: float(defined_mean(image_miou(scored))),
    ),
)
BY_NAME: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in METRICS})
BY_HEADER: Mapping[str, Metric] = MappingProxyType({metric.header: metric for metric in METRICS})
# Headers of those that the paper's tables do not have: all but `SCORES`.
FURTHER_METRICS = tuple(metric.header for metric in METRICS if not metric.interval)


@dataclass(frozen=True, kw_only=True)
class ClassMetric:
    """One score of each class. of: (K,) from a split's evaluation, 0 to 1, NaN where undefined."""

    name: str
    header: str
    definition: str
    of: Callable[[Scored], Values]

    def value(self, scored: Scored) -> Values:
        """The scores in percent."""
        return 100 * self.of(scored)


def _class_bf(scored: Scored) -> Values:
    if scored.boundary is None:
        return np.full(scored.matrix.shape[0], np.nan)
    return defined_mean(scored.boundary.T)


CLASS_METRICS: tuple[ClassMetric, ...] = (
    ClassMetric(
        name="accuracy",
        header="Accuracy",
        definition="share of the class's labeled pixels that are right, which is its recall",
        of=lambda scored: scored.scores.per_class_accuracy,
    ),
    ClassMetric(
        name="iou",
        header="IoU",
        definition="intersection over union",
        of=lambda scored: scored.scores.per_class_iou,
    ),
    ClassMetric(
        name="dice",
        header="Dice",
        definition="twice the intersection over the sum of both, which is F1 over pixels",
        of=lambda scored: ratio(2 * np.diagonal(scored.matrix), (scored.matrix + scored.matrix.T).sum(axis=1)),
    ),
    ClassMetric(
        name="precision",
        header="Precision",
        definition="share of the pixels taken for the class that are",
        of=lambda scored: ratio(np.diagonal(scored.matrix), scored.matrix.sum(axis=0)),
    ),
    ClassMetric(
        name="recall",
        header="Recall",
        definition="share of the class's labeled pixels that are taken for it",
        of=lambda scored: scored.scores.per_class_accuracy,
    ),
    ClassMetric(
        name="bf",
        header="BF",
        definition="boundary F1 of the class, mean over the images in which it has a boundary",
        of=_class_bf,
    ),
    ClassMetric(
        name="share",
        header="Share of pixels",
        definition="of all labeled pixels of the split",
        of=lambda scored: scored.scores.labeled_share,
    ),
)
