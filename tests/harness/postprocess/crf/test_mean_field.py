"""Mean field: by hand on two pixels, by loops on few, the lattice against dense matrices on small scenes."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

import datasets
from datasets.cache import reduce_area
from harness.postprocess.crf.mean_field import mean_field
from harness.records.crf import CrfParameters

SIZE, SMALL = (60, 80), (45, 60)  # above and below what is exact; a dense matrix takes seconds


def parameters(**changes: float) -> CrfParameters:
    values = {"bilateral_weight": 5.0, "bilateral_sigma_px": 20.0, "color_sigma": 10.0}
    return CrfParameters.model_validate({**values, **changes})


def noisy_energies(label: np.ndarray, classes: int, seed: int) -> Tensor:
    """Energies (K, H, W) of a network that is mostly right, and unsure at an eighth of the resolution."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.from_numpy(np.where(label == 255, 0, label).astype(np.int64))
    right = torch.nn.functional.one_hot(truth, classes).permute(2, 0, 1).float()[None]
    coarse = torch.nn.functional.avg_pool2d(right, 8, ceil_mode=True)
    logits = 8 * coarse + torch.randn(coarse.shape, generator=generator)
    logits = torch.nn.functional.interpolate(logits, size=label.shape, mode="bilinear", align_corners=False)
    return -torch.log_softmax(logits[0], 0)


def small_scene(index: int, size: tuple[int, int] = SIZE) -> tuple[Tensor, Tensor]:
    """Image (h, w, 3) uint8 and energies (11, h, w) of a drawn road scene, reduced."""
    image, label = datasets.load("roads", "val", None)[index]
    reduced = label[:: label.shape[0] // size[0], :: label.shape[1] // size[1]][: size[0], : size[1]]
    return torch.from_numpy(reduce_area(image, size)), noisy_energies(reduced, 11, index)


def test_two_pixels_by_hand() -> None:
    image = torch.tensor([[[10, 20, 30], [13, 24, 30]]], dtype=torch.uint8)  # 5 apart in color
    chosen = parameters(gaussian_weight=2, gaussian_sigma_px=1, bilateral_sigma_px=2, color_sigma=5, iterations=1)
    unary = torch.tensor([[[0.0, 1.0]], [[1.5, 0.0]]])  # (2 classes, 1, 2 pixels)
    near, alike = math.exp(-1 / 2), math.exp(-1 / 8 - 1 / 2)
    first = [1 / (1 + math.exp(-1.5)), 1 / (1 + math.exp(1.0))]  # probability of class 0 in each pixel

    def expected(own: int, other: int) -> float:
        """Class 0 over class 1, as log odds: unary, then each kernel's normalized mean of 2 q - 1."""
        odds = [1.5, -1.0][own]
        for weight, kernel in ((2.0, near), (5.0, alike)):
            leaning = (2 * first[own] - 1) + kernel * (2 * first[other] - 1)
            odds += weight * leaning / (1 + kernel)
        return 1 / (1 + math.exp(-odds))

    found = mean_field(unary, image, chosen)
    assert found[0, 0].tolist() == pytest.approx([expected(0, 1), expected(1, 0)], rel=1e-5)
    torch.testing.assert_close(found.sum(0), torch.ones(1, 2))


def test_few_pixels_by_loops() -> None:
    """Every pair of pixels of an image of 5 x 7, 3 classes, 4 iterations, in float64 without torch."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    unary = rng.standard_normal((3, 5, 7))
    chosen = parameters(color_sigma=60.0, bilateral_sigma_px=4.0, iterations=4)
    places = [(y, x) for y in range(5) for x in range(7)]

    def kernel(sigma: float, color: float | None) -> np.ndarray:
        matrix = np.empty((35, 35))
        for i, (y, x) in enumerate(places):
            for j, (v, u) in enumerate(places):
                exponent = ((y - v) ** 2 + (x - u) ** 2) / (2 * sigma**2)
                if color is not None:
                    apart = image[y, x].astype(float) - image[v, u].astype(float)
                    exponent += (apart @ apart) / (2 * color**2)
                matrix[i, j] = math.exp(-exponent)
        scale = 1 / np.sqrt(matrix.sum(1))
        return scale[:, None] * matrix * scale[None, :]

    kernels = ((3.0, kernel(3.0, None)), (5.0, kernel(4.0, 60.0)))
    energies = unary.reshape(3, 35).T
    q = np.exp(-energies) / np.exp(-energies).sum(1, keepdims=True)
    for _ in range(4):
        odds = -energies + sum(weight * matrix @ q for weight, matrix in kernels)
        q = np.exp(odds) / np.exp(odds).sum(1, keepdims=True)
    found = mean_field(torch.from_numpy(unary).float(), torch.from_numpy(image), chosen)
    np.testing.assert_allclose(found.numpy().reshape(3, 35).T, q, atol=1e-5)


@pytest.mark.parametrize(("index", "sigma_px", "color"), [(0, 8, 5), (1, 12, 9)])
def test_the_lattice_agrees_with_dense_matrices(index: int, sigma_px: float, color: float) -> None:
    """Sigmas as in the search, in proportion to an image of an eighth of the width and height or so."""
    image, unary = small_scene(index, SMALL)
    chosen = parameters(bilateral_weight=5, bilateral_sigma_px=sigma_px, color_sigma=color)
    exact = mean_field(unary, image, chosen, "exact")
    near = mean_field(unary, image, chosen, "lattice")
    apart = (exact - near).abs()
    assert (exact.argmax(0) == near.argmax(0)).float().mean() >= 0.99
    assert apart.amax(0).mean() < 0.01  # of the class that is furthest apart, mean over pixels
    assert (apart.amax(0) <= 0.05).float().mean() >= 0.94
    # and the CRF did something
    assert (exact.argmax(0) != unary.argmin(0)).float().mean() > 0.01


def test_small_images_are_exact_and_larger_ones_are_not() -> None:
    image, unary = small_scene(0)
    part, chosen = (slice(0, 30), slice(0, 40)), parameters()
    small_unary, small_image = unary[:, *part].contiguous(), image[part].contiguous()
    exact = mean_field(small_unary, small_image, chosen, "exact")
    assert torch.equal(mean_field(small_unary, small_image, chosen), exact)
    assert torch.equal(mean_field(unary, image, chosen), mean_field(unary, image, chosen, "lattice"))


def test_pixels_that_are_all_alike_agree_on_what_most_say() -> None:
    image = torch.full((20, 30, 3), 77, dtype=torch.uint8)
    unary = torch.zeros(2, 20, 30)
    unary[1] = 0.4
    unary[0, 5, 5] = 2.0  # one pixel leans the other way
    found = mean_field(unary, image, parameters())
    assert (found.argmax(0) == 0).all()


def test_without_weights_the_network_s_own_output_stands() -> None:
    image, unary = small_scene(0)
    found = mean_field(unary, image, parameters(bilateral_weight=0.0, gaussian_weight=0.0))
    torch.testing.assert_close(found, torch.softmax(-unary, 0))


def test_a_batch_is_its_images_one_by_one() -> None:
    pairs = [small_scene(0), small_scene(1)]
    images, unaries = (torch.stack(parts) for parts in zip(*pairs, strict=True))
    found = mean_field(unaries, images, parameters())
    assert found.shape == unaries.shape
    for one, (image, unary) in zip(found, pairs, strict=True):
        assert torch.equal(one, mean_field(unary, image, parameters()))


def test_what_does_not_go_together_is_refused() -> None:
    image, unary = small_scene(0)
    for bad in (image[:-1], image.float(), image[..., :2]):
        with pytest.raises(ValueError, match="energies"):
            mean_field(unary, bad, parameters())
    with pytest.raises(ValueError, match="color_sigma"):
        parameters(color_sigma=0.0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("filtering", ["exact", "lattice"])
def test_a_gpu_gives_the_same(filtering: str) -> None:
    image, unary = small_scene(0)
    on_cpu = mean_field(unary, image, parameters(), filtering)  # type: ignore[arg-type]
    on_gpu = mean_field(unary.cuda(), image.cuda(), parameters(), filtering)  # type: ignore[arg-type]
    assert (on_gpu.cpu() - on_cpu).abs().max() < 1e-3
