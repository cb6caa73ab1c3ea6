"""The weights of the classes in the loss of a run."""

import torch
from torch import Tensor

from harness.config.class_weighting import class_weights
from harness.config.run_spec import RunSpec
from harness.data.split import DeviceDataset


def loss_weights(spec: RunSpec, train: DeviceDataset, device: torch.device) -> Tensor | None:
    """A factor for the pixels of each class, (K,) float32, by the class weighting; none if it is natural."""
    class_weighting = spec.protocol.class_weighting
    if class_weighting == "natural":
        return None
    pixels = train.class_pixels(spec.num_classes)
    weights = class_weights(class_weighting, spec.dataset, pixels, train.areas())
    return torch.from_numpy(weights).to(device)
