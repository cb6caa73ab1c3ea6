"""Mean field inference of the fully connected CRF with Gaussian edge potentials and the Potts model.

The update of Kraehenbuehl and Koltun, algorithm 1: Q = softmax(-unary + sum of weight * kernel(Q)). A kernel
sums over all pixels, with the pixel itself, and is normalized (`normalized`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from harness.postprocess.crf.lattice import Lattice
from harness.records.crf import CrfParameters

Filter = Callable[[Tensor], Tensor]
Filtering = Literal["exact", "lattice"]

# Up to as many pixels a kernel is a dense matrix, of 64 MiB at most.
EXACT_PIXELS = 4096
_LEAST = 1e-20


def gaussian_features(size: tuple[int, int], sigma_px: float, device: torch.device) -> Tensor:
    """Columns and rows (H * W, 2) of an image's pixels, row by row, in units of the kernel's standard deviation."""
    rows, columns = torch.meshgrid(
        torch.arange(size[0], device=device), torch.arange(size[1], device=device), indexing="ij"
    )
    return torch.stack([columns.flatten(), rows.flatten()], 1).float() / sigma_px


def bilateral_features(image: Tensor, sigma_px: float, color_sigma: float) -> Tensor:
    """Positions and colors (H * W, 5) of an image (H, W, 3) uint8, in units of standard deviations."""
    where = gaussian_features((image.shape[0], image.shape[1]), sigma_px, image.device)
    return torch.cat([where, image.reshape(-1, 3).float() / color_sigma], 1)


def exact(features: Tensor) -> Filter:
    """The Gaussian kernel of features (N, d) as a dense matrix (N, N)."""
    # not by a matrix product, whose cancellation would cost digits
    distance = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    matrix = distance.square_().mul_(-0.5).exp_()
    return lambda values: matrix @ values


def normalized(kernel: Filter, pixels: int, device: torch.device) -> Filter:
    """Symmetric normalization: the kernel between diagonal matrices of 1 / sqrt(its row sums).

    A pixel's own value takes part, as in Kraehenbuehl's second release and in pydensecrf.
    """
    scale = torch.rsqrt(kernel(torch.ones(pixels, 1, device=device)) + _LEAST)  # (N, 1)
    return lambda values: scale * kernel(scale * values)


def kernel_filter(features: Tensor, filtering: Filtering) -> Filter:
    """The normalized Gaussian filter over features (N, d)."""
    kernel: Filter = exact(features) if filtering == "exact" else Lattice(features)
    return normalized(kernel, len(features), features.device)


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """The two filters of one image, each (H * W, K) -> (H * W, K)."""

    gaussian: Filter
    bilateral: Filter


def build_kernels(
    image: Tensor,
    parameters: CrfParameters,
    filtering: Filtering | None = None,
    gaussian: Filter | None = None,
) -> Kernels:
    """The kernels of an image (H, W, 3) uint8; they depend on its pixels and on the parameters' sigmas alone.

    filtering: none: exact where the image is small enough. gaussian: that kernel, where it was built for another image
    of the size.
    """
    size = (image.shape[0], image.shape[1])
    how: Filtering = filtering or ("exact" if size[0] * size[1] <= EXACT_PIXELS else "lattice")
    if gaussian is None:
        features = gaussian_features(size, parameters.gaussian_sigma_px, image.device)
        gaussian = kernel_filter(features, how)
    features = bilateral_features(image, parameters.bilateral_sigma_px, parameters.color_sigma)
    return Kernels(gaussian=gaussian, bilateral=kernel_filter(features, how))


def infer(unary: Tensor, kernels: Kernels, parameters: CrfParameters) -> Tensor:
    """Marginals (H * W, K) from energies (H * W, K), which are negative log probabilities."""
    marginals = torch.softmax(-unary, 1)
    for _ in range(parameters.iterations):
        energy = -unary
        for weight, kernel in (
            (parameters.gaussian_weight, kernels.gaussian),
            (parameters.bilateral_weight, kernels.bilateral),
        ):
            energy = torch.add(energy, kernel(marginals), alpha=weight) if weight else energy
        marginals = torch.softmax(energy, 1)
    return marginals


@torch.inference_mode()
def mean_field(unary: Tensor, image: Tensor, parameters: CrfParameters, filtering: Filtering | None = None) -> Tensor:
    """Marginals of the CRF, in the shape of `unary`: energies (K, H, W) or (N, K, H, W), negative log probabilities.

    These are given up to a constant a pixel. The image is (H, W, 3) or (N, H, W, 3) uint8, on the same device.
    filtering: how sums over all pixels are taken; none: exact up to 4,096 pixels, on the lattice above.

    Raises:
        ValueError: shapes or types that do not go together.
    """
    if unary.dim() == 4 and image.dim() == 4 and len(unary) == len(image):
        pairs = zip(unary, image, strict=True)
        return torch.stack([mean_field(one, pixels, parameters, filtering) for one, pixels in pairs])
    if unary.dim() != 3 or image.shape != (*unary.shape[1:], 3) or image.dtype != torch.uint8:
        raise ValueError(
            f"energies (K, H, W) go with an image (H, W, 3) uint8, not {tuple(unary.shape)} with "
            f"{tuple(image.shape)} {image.dtype}"
        )
    kernels = build_kernels(image, parameters, filtering)
    by_pixel = unary.float().flatten(1).t().contiguous()  # (H * W, K)
    return infer(by_pixel, kernels, parameters).t().reshape(unary.shape)
