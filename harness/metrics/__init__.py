"""The scores of the SegNet paper: G, C and mIoU of a confusion matrix, the boundary F1, and their intervals.

Needs numpy and scipy only, and is what the worker processes of `BoundaryPool` import.
"""

from harness.metrics.bootstrap import (
    ImageScores,
    Interval,
    ScoreIntervals,
    bootstrap,
    over_seeds,
    resampled_class_iou,
    resampled_scores,
)
from harness.metrics.boundary_f1 import BoundaryPool, bf_of_images, boundary_f1, dataset_bf, image_bf
from harness.metrics.confusion import ImageCounts, Scores, confusion_matrix, scores

__all__ = [
    "BoundaryPool",
    "ImageCounts",
    "ImageScores",
    "Interval",
    "ScoreIntervals",
    "Scores",
    "bf_of_images",
    "bootstrap",
    "boundary_f1",
    "confusion_matrix",
    "dataset_bf",
    "image_bf",
    "over_seeds",
    "resampled_class_iou",
    "resampled_scores",
    "scores",
]
