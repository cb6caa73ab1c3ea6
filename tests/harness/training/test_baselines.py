"""The baselines that see no context, trained as any network: color tells more than position alone."""

import numpy as np
import torch
from torch import Tensor

import architectures
import datasets
from datasets.cache import reduce_area
from harness.training.losses.cross_entropy import masked_cross_entropy
from harness.training.optimizers import build_optimizer, set_rate
from tests.harness.helpers import tiny_protocol

SIZE = (24, 32)
STEPS = 150


def scenes(count: int) -> tuple[Tensor, Tensor]:
    """Drawn roads: images (N, 3, h, w), each standardized, and labels (N, h, w)."""
    split = datasets.load("roads", "train")
    pairs = [split[index] for index in range(count)]
    images = torch.from_numpy(np.stack([reduce_area(image, SIZE) for image, _ in pairs])).permute(0, 3, 1, 2).float()
    rows, columns = ((2 * np.arange(n) + 1) * full // (2 * n) for n, full in zip(SIZE, pairs[0][1].shape, strict=True))
    labels = np.stack([label[np.ix_(rows, columns)] for _, label in pairs])
    deviation, mean = torch.std_mean(images, (1, 2, 3), keepdim=True)
    return (images - mean) / deviation, torch.from_numpy(labels).long()


def trained_loss(name: str, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean cross-entropy over the scenes before and after training on them."""
    torch.manual_seed(0)
    model = architectures.build(name, 11, SIZE)
    optimizer = build_optimizer(model, tiny_protocol())
    set_rate(optimizer, 5e-3)
    with torch.no_grad():
        before = float(masked_cross_entropy(model(images), labels))
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.autograd.backward(masked_cross_entropy(model(images), labels))
        optimizer.step()
    with torch.no_grad():
        return before, float(masked_cross_entropy(model(images), labels))


def test_color_tells_more_than_position_alone() -> None:
    images, labels = scenes(12)
    initial, by_position = trained_loss("position-prior", images, labels)
    _, by_color = trained_loss("pixel-mlp", images, labels)
    assert by_position < 0.8 * initial
    assert by_color < 0.8 * by_position
