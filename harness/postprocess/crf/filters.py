"""The kernels of the CRF as filters: values (N, K) of N pixels to their weighted sums."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from harness.postprocess.crf.lattice import Lattice

Filter = Callable[[Tensor], Tensor]
Filtering = Literal["exact", "lattice"]

# Up to as many pixels a kernel is a dense matrix, of 64 MiB at most.
EXACT_PIXELS = 4096
_LEAST = 1e-20


def positions(size: tuple[int, int], device: torch.device) -> Tensor:
    """Columns and rows (H * W, 2) of an image's pixels, row by row, float32."""
    rows, columns = torch.meshgrid(
        torch.arange(size[0], device=device), torch.arange(size[1], device=device), indexing="ij"
    )
    return torch.stack([columns.flatten(), rows.flatten()], 1).float()


def gaussian_features(size: tuple[int, int], sigma_px: float, device: torch.device) -> Tensor:
    """Positions (H * W, 2) in units of the kernel's standard deviation."""
    return positions(size, device) / sigma_px


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
