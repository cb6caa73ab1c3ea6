"""What every metric asks of a prediction and its label, checked in one place."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

VOID = 255  # the label value that belongs to no class, whatever the dataset's files use


def as_array(values: Any) -> NDArray[Any]:
    """A numpy array, a torch tensor of any device or anything array-like as a numpy array; no torch is imported."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values)


def check_pair(prediction: Any, label: Any, num_classes: int) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """The two (H, W) class maps as numpy arrays, if they can be compared.

    Raises ValueError naming what is wrong: a shape, a type that is not integer, a predicted value outside
    0..num_classes-1 (void included: a network has no void output), or a label outside 0..num_classes-1
    and 255.
    """
    if not 1 <= num_classes <= VOID:
        raise ValueError(f"num_classes must lie in 1..{VOID}, not {num_classes}")
    prediction, label = as_array(prediction), as_array(label)
    for name, array in (("prediction", prediction), ("label", label)):
        if array.ndim != 2 or array.size == 0:
            raise ValueError(f"{name} must be a non-empty (H, W) map, not of shape {array.shape}")
        if not np.issubdtype(array.dtype, np.integer):
            raise ValueError(f"{name} must hold integers, not {array.dtype}: take the argmax of the logits first")
    if prediction.shape != label.shape:
        raise ValueError(
            f"prediction {prediction.shape} and label {label.shape} differ in size: "
            "bring the logits to the size of the label"
        )
    outside = prediction[(prediction < 0) | (prediction >= num_classes)]
    if outside.size:
        raise ValueError(f"prediction holds {outside[0]}, outside 0..{num_classes - 1}")
    outside = label[((label < 0) | (label >= num_classes)) & (label != VOID)]
    if outside.size:
        raise ValueError(f"label holds {outside[0]}, outside 0..{num_classes - 1} and void ({VOID})")
    return prediction, label
