"""Two classifiers that see no context, as the floor that a network must clear.

`position_prior` looks at where a pixel lies and at nothing else; `ColorPositionClassifier` at its own color
and position. A network that does not exceed the second has learnt nothing that a single pixel does not show.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from harness.metrics.inputs import VOID

HIDDEN = 64  # units in each of the two hidden layers
STEPS = 1500
BATCH = 1024  # pixels a step
LEARNING_RATE = 0.01  # at the start; falls to 0 along a cosine
MOMENTS = (0.9, 0.999)  # of Adam

Floats = NDArray[np.float32]


def position_prior(train_labels: NDArray[np.integer], num_classes: int) -> NDArray[np.uint8]:
    """The most frequent class at each position: labels (N, H, W), void as 255, to (H, W) uint8.

    Void is not counted; of classes that are equally frequent the lowest is taken, and so class 0 where every
    label is void. Raises ValueError for labels of another shape, outside 0..num_classes-1 and 255, or all
    void.
    """
    _check_labels(train_labels, num_classes)
    counts = np.stack([(train_labels == index).sum(axis=0) for index in range(num_classes)])
    prior: NDArray[np.uint8] = counts.argmax(axis=0).astype(np.uint8)
    return prior


@dataclass(frozen=True, kw_only=True, eq=False)
class ColorPositionClassifier:
    """A small network from one pixel's (r, g, b, row, column) to class scores, applied to each by itself.

    `layers` holds weights (in, out) and bias (out,) of two ReLU layers and the output.
    """

    layers: tuple[tuple[Floats, Floats], ...]

    @classmethod
    def fit(
        cls,
        images: NDArray[np.uint8],
        labels: NDArray[np.integer],
        num_classes: int,
        *,
        balance: float = 0.5,
        pixels: int = 400_000,
        seed: int = 0,
    ) -> Self:
        """Train on `pixels` pixels drawn from images (N, h, w, 3) and labels (N, H, W), void as 255.

        A pixel of the image has the label at its center. Cross-entropy, each class weighted by its frequency
        to the power -`balance`: 0 is the plain loss, 0.5 gives a higher mIoU (0.36 against 0.29 on the
        validation split of CamVid).
        Raises ValueError as `position_prior` does, and where images and labels do not go together.
        """
        _check_labels(labels, num_classes)
        if images.ndim != 4 or images.shape[3] != 3 or len(images) != len(labels):
            raise ValueError(f"images must be (N, h, w, 3) with N = {len(labels)}, not of shape {images.shape}")
        rng = np.random.default_rng(seed)
        features, targets = _draw_pixels(images, labels, pixels, rng)
        shares = np.bincount(targets, minlength=num_classes) / targets.size
        weights = np.where(shares > 0, np.maximum(shares, 1 / targets.size) ** -balance, 0)
        weights /= weights @ shares  # a drawn pixel weighs 1 on average
        layers = _initial_layers((features.shape[1], HIDDEN, HIDDEN, num_classes), rng)
        _train(layers, features, targets, weights.astype(np.float32), rng)
        return cls(layers=tuple((layers[i], layers[i + 1]) for i in range(0, len(layers), 2)))

    def predict(self, image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        """Class map of `size` (H, W) for an image (h, w, 3): scores, bilinear to `size`, then the highest.

        That is what the networks' logits go through. Raises ValueError for an image of another shape.
        """
        if image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"the image must be (h, w, 3), not of shape {image.shape}")
        height, width = image.shape[:2]
        rows, columns = np.mgrid[:height, :width]
        hidden = _features(image, (rows + 0.5) / height, (columns + 0.5) / width)
        for weight, bias in self.layers[:-1]:
            hidden = np.maximum(hidden @ weight + bias, 0)
        weight, bias = self.layers[-1]
        scores = _resize_axis(_resize_axis(hidden @ weight + bias, 0, size[0]), 1, size[1])
        prediction: NDArray[np.uint8] = scores.argmax(axis=2).astype(np.uint8)
        return prediction


def _check_labels(labels: NDArray[np.integer], num_classes: int) -> None:
    if labels.ndim != 3:
        raise ValueError(f"labels must be (N, H, W), not of shape {labels.shape}")
    labeled = labels[labels != VOID]
    if labeled.size == 0:
        raise ValueError("no pixel is labeled: every label is void, or there are none")
    if labeled.min() < 0 or labeled.max() >= num_classes:
        wrong = labeled.min() if labeled.min() < 0 else labeled.max()
        raise ValueError(f"labels hold {wrong}, outside 0..{num_classes - 1} and void ({VOID})")


def _draw_pixels(
    images: NDArray[np.uint8], labels: NDArray[np.integer], count: int, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.int64]]:
    """Features (n, 5) and classes (n,) of `count` pixels drawn with replacement, less those that are void."""
    height, width = images.shape[1:3]
    image, row, column = (rng.integers(0, end, count) for end in images.shape[:3])
    label_row = (2 * row + 1) * labels.shape[1] // (2 * height)
    label_column = (2 * column + 1) * labels.shape[2] // (2 * width)
    classes = labels[image, label_row, label_column].astype(np.int64)
    kept = classes != VOID
    if not kept.any():
        raise ValueError(f"all {count} drawn pixels are void: draw more")
    features = _features(images[image, row, column], (row + 0.5) / height, (column + 0.5) / width)
    return features[kept], classes[kept]


def _features(colors: NDArray[np.uint8], rows: NDArray[np.float64], columns: NDArray[np.float64]) -> Floats:
    """Colors (..., 3) and positions in 0..1 (...) to (..., 5) in -1..1."""
    positions = np.stack([rows, columns], axis=-1) * 2 - 1
    return np.concatenate([colors / 127.5 - 1, positions], axis=-1).astype(np.float32)


def _initial_layers(widths: tuple[int, ...], rng: np.random.Generator) -> list[Floats]:
    """Weight, bias, weight, bias, ...: normal with variance 2 / fan-in (He et al. 2015), and zeros."""
    layers: list[Floats] = []
    for fan_in, fan_out in pairwise(widths):
        weight = rng.standard_normal((fan_in, fan_out), dtype=np.float32) * np.float32(np.sqrt(2 / fan_in))
        layers += [weight, np.zeros(fan_out, dtype=np.float32)]
    return layers


def _train(
    layers: list[Floats],
    features: Floats,
    targets: NDArray[np.int64],
    class_weights: Floats,
    rng: np.random.Generator,
) -> None:
    """Fit `layers` in place: Adam on the weighted cross-entropy of drawn batches."""
    first = [np.zeros_like(layer) for layer in layers]
    second = [np.zeros_like(layer) for layer in layers]
    for step in range(1, STEPS + 1):
        batch = rng.integers(0, targets.size, BATCH)
        gradients = _gradients(layers, features[batch], targets[batch], class_weights)
        rate = LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * step / STEPS))
        rate *= np.sqrt(1 - MOMENTS[1] ** step) / (1 - MOMENTS[0] ** step)
        for layer, gradient, mean, square in zip(layers, gradients, first, second, strict=True):
            mean += np.float32(1 - MOMENTS[0]) * (gradient - mean)
            square += np.float32(1 - MOMENTS[1]) * (gradient**2 - square)
            layer -= np.float32(rate) * mean / (np.sqrt(square) + np.float32(1e-8))


def _gradients(
    layers: list[Floats], features: Floats, targets: NDArray[np.int64], class_weights: Floats
) -> list[Floats]:
    """Gradient of the mean weighted cross-entropy by each entry of `layers`."""
    activations = [features]
    for weight, bias in zip(layers[:-2:2], layers[1:-2:2], strict=True):
        activations.append(np.maximum(activations[-1] @ weight + bias, 0))
    scores = activations[-1] @ layers[-2] + layers[-1]
    scores -= scores.max(axis=1, keepdims=True)
    error = np.exp(scores)
    error /= error.sum(axis=1, keepdims=True)
    error[np.arange(targets.size), targets] -= 1
    error *= class_weights[targets, np.newaxis] / np.float32(targets.size)
    gradients: list[Floats] = []
    for index in range(len(layers) - 2, -1, -2):
        activation = activations[index // 2]
        gradients = [activation.T @ error, error.sum(axis=0), *gradients]
        error = (error @ layers[index].T) * (activation > 0)
    return gradients


def _resize_axis(values: Floats, axis: int, length: int) -> Floats:
    """Linear interpolation along one axis with half-pixel centers (align_corners=False), edges repeated."""
    old = values.shape[axis]
    at = np.clip((np.arange(length) + 0.5) * old / length - 0.5, 0, old - 1)
    low = at.astype(np.int64)
    high = np.minimum(low + 1, old - 1)
    shape = [1] * values.ndim
    shape[axis] = length
    share = (at - low).astype(np.float32).reshape(shape)
    resized: Floats = np.take(values, low, axis=axis) * (1 - share) + np.take(values, high, axis=axis) * share
    return resized
