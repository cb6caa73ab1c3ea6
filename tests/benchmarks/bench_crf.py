"""The dense CRF for one image of 360 x 480 with 11 classes and 10 iterations: at most 1.5 s on two cores.

pytest tests/benchmarks/bench_crf.py --benchmark-only
"""

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.ndimage import gaussian_filter

from harness.postprocess.crf.mean_field import build_kernels, infer, mean_field
from harness.records.crf import CrfParameters

SIZE, CLASSES = (360, 480), 11
# Corners and middle of the search's range; small sigmas make a lattice of many points.
PARAMETERS = {
    "70 px, 5 of 255": CrfParameters(bilateral_weight=5, bilateral_sigma_px=70, color_sigma=5),
    "50 px, 3 of 255": CrfParameters(bilateral_weight=10, bilateral_sigma_px=50, color_sigma=3),
    "80 px, 13 of 255": CrfParameters(bilateral_weight=10, bilateral_sigma_px=80, color_sigma=13),
}


@pytest.fixture(scope="module")
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Energies (11, 360, 480), and an image whose colors are smooth, with edges and grain."""
    rng = np.random.default_rng(0)
    noise = [gaussian_filter(rng.standard_normal(SIZE), 26) for _ in range(CLASSES)]
    label = np.argmax(noise, axis=0)
    colors = rng.integers(20, 230, (CLASSES, 3))
    shade = gaussian_filter(rng.standard_normal((*SIZE, 1)), (40, 40, 0))
    image = colors[label] + 25 * shade / shade.std() + rng.normal(0, 4, (*SIZE, 3))
    logits = torch.from_numpy(np.stack(noise)).float() * 20
    return -torch.log_softmax(logits, 0), torch.from_numpy(np.clip(image, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("name", PARAMETERS)
def test_whole(name: str, pair: tuple[torch.Tensor, torch.Tensor], benchmark: BenchmarkFixture) -> None:
    """Kernels and iterations."""
    unary, image = pair
    marginals = benchmark.pedantic(  # type: ignore[no-untyped-call]
        mean_field, (unary, image, PARAMETERS[name]), rounds=5, warmup_rounds=1
    )
    benchmark.extra_info["threads"] = torch.get_num_threads()
    assert marginals.shape == unary.shape


@torch.inference_mode()
def test_iterations_alone(pair: tuple[torch.Tensor, torch.Tensor], benchmark: BenchmarkFixture) -> None:
    """Ten iterations with kernels that are built already."""
    unary, image = pair
    parameters = PARAMETERS["70 px, 5 of 255"]
    kernels = build_kernels(image, parameters)
    by_pixel = unary.flatten(1).t().contiguous()
    marginals = benchmark.pedantic(  # type: ignore[no-untyped-call]
        infer, (by_pixel, kernels, parameters), rounds=5, warmup_rounds=1
    )
    assert marginals.shape == by_pixel.shape
