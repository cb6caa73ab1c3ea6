"""Scale, crop and color: drawn again the same, and worked out by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms.v2 import functional as reference

import datasets
from harness.config.protocol import Protocol, load_protocol
from harness.data.augmentation import Augmented, as_drawn, augments, colored, draw, window_of_images, window_of_labels
from harness.data.split import STRETCH, BatchSampler, DeviceDataset
from harness.system.errors import UserError
from harness.training.lr_schedulers import learning_rate
from tests.harness.helpers import tiny_protocol
from tests.harness.training.test_train import losses_of, make_run


def augmented_protocol(**changes: str) -> Protocol:
    return tiny_protocol(scale_min="0.5", scale_max="2", color_jitter="0.4", batch_size="3", **changes)


def window(top: float, left: float, extent: float) -> torch.Tensor:
    return torch.tensor([[top, left, extent]], dtype=torch.float64)


def test_what_is_drawn_depends_on_seed_iteration_and_index_alone() -> None:
    protocol = augmented_protocol()
    first = draw(protocol, 0, 7, range(50))
    assert np.array_equal(first[::-1], draw(protocol, 0, 7, list(range(49, -1, -1))))
    for other in (draw(protocol, 1, 7, range(50)), draw(protocol, 0, 8, range(50))):
        assert not np.isclose(first, other).any()


def test_what_is_drawn_keeps_to_the_protocol() -> None:
    top, left, extent, *colors = draw(augmented_protocol(), 0, 0, range(2000)).T
    assert 0.5 <= extent.min() < 0.51 and 1.98 < extent.max() <= 2
    assert 0.45 < np.mean(extent < 1) < 0.55  # enlarged as often as shrunk
    for place in (top, left):
        inside = extent <= 1
        assert (place[inside] >= 0).all() and (place + extent <= 1 + 1e-12)[inside].all()
        assert (place[~inside] <= 0).all() and (place + extent >= 1 - 1e-12)[~inside].all()
    assert np.corrcoef(top, left)[0, 1] < 0.99
    for factor in colors:
        assert 0.6 <= factor.min() < 0.61 and 1.39 < factor.max() <= 1.4


def test_a_protocol_without_augmentation_has_none() -> None:
    plain = tiny_protocol()
    assert not augments(plain)
    assert BatchSampler(plain, 0, 7, torch.device("cpu")).at(0).augmented is None
    drawn = torch.zeros(2, 6)
    assert as_drawn(tiny_protocol(color_jitter="0.1"), drawn).windows is None
    assert as_drawn(tiny_protocol(scale_max="1.5"), drawn).colors is None


def test_the_stream_holds_each_iteration_s_draws_wherever_it_is_entered() -> None:
    protocol = augmented_protocol()
    stream = BatchSampler(protocol, 5, 7, torch.device("cpu"))
    for iteration in (0, 1, STRETCH - 1, STRETCH, 3 * STRETCH + 7, 2):
        batch = stream.at(iteration)
        expected = torch.from_numpy(draw(protocol, 5, iteration, batch.indices.tolist()))
        assert batch.augmented is not None
        assert batch.augmented.windows is not None and batch.augmented.colors is not None
        assert torch.equal(batch.augmented.windows, expected[:, :3])
        assert torch.equal(batch.augmented.colors, expected[:, 3:].float())


def test_the_whole_image_is_itself() -> None:
    images, labels = torch.randn(1, 3, 5, 7), torch.randint(0, 11, (1, 9, 13)).to(torch.uint8)
    torch.testing.assert_close(window_of_images(images, window(0, 0, 1)), images)
    assert torch.equal(window_of_labels(labels, window(0, 0, 1), (9, 13)), labels)


def test_a_quarter_enlarged_twice_is_what_bilinear_interpolation_makes_of_it() -> None:
    """The lower right quarter; inside, away from its border, where the neighbors beyond it count too."""
    images = torch.randn(1, 3, 8, 12)
    found = window_of_images(images, window(0.5, 0.5, 0.5))
    expected = F.interpolate(images[:, :, 4:, 6:], scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(found[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1])


def test_labels_of_a_quarter_enlarged_twice_are_doubled() -> None:
    labels = torch.arange(16).view(1, 4, 4).to(torch.uint8)
    found = window_of_labels(labels, window(0, 0.5, 0.5), (4, 4))
    assert found[0].tolist() == [[2, 2, 3, 3], [2, 2, 3, 3], [6, 6, 7, 7], [6, 6, 7, 7]]


def test_around_a_shrunk_image_there_is_the_mean_and_void() -> None:
    """Half the size, at the window's lower right: rows and columns 2 and 3 hold it."""
    labels = torch.arange(16).view(1, 4, 4).to(torch.uint8)
    images = torch.ones(1, 3, 4, 4)
    around = window(-1, -1, 2)
    found = window_of_labels(labels, around, (4, 4))[0]
    assert (found[:2] == 255).all() and (found[:, :2] == 255).all()
    assert found[2:, 2:].tolist() == [[5, 7], [13, 15]]  # cell centers lie on corners of four pixels
    shown = window_of_images(images, around)[0, 0]
    assert (shown[:2] == 0).all() and (shown[:, :2] == 0).all()
    assert (shown[2:, 2:] == 1).all()


def test_image_and_labels_stay_together() -> None:
    """An image that shows its own label, at full and at a ninth of the size, in windows of all kinds."""
    protocol = augmented_protocol()
    labels = torch.zeros(1, 72, 72, dtype=torch.uint8)
    labels[0, 20:44, 12:50] = 1
    images = labels[:, None].float().expand(1, 3, 72, 72)
    for index in range(20):
        windows = torch.from_numpy(draw(protocol, 0, 0, [index]))[:, :3]
        shown = window_of_images(images, windows)[:, 0]
        found = window_of_labels(labels, windows, (72, 72))
        assert ((shown > 0.5) == (found == 1)).float().mean() > 0.97
        ninth = window_of_labels(labels, windows, (8, 8))
        assert torch.equal(ninth, found[:, 4::9, 4::9])  # whose cells have the same centers


@pytest.mark.parametrize(
    ("place", "adjust"),
    [(0, reference.adjust_brightness), (1, reference.adjust_contrast), (2, reference.adjust_saturation)],
)
def test_each_color_is_torchvision_s(place: int, adjust: Callable[[torch.Tensor, float], torch.Tensor]) -> None:
    pixels = torch.rand(2, 5, 6, 3) * 255
    for factor in (0.6, 1.0, 1.4):
        factors = torch.ones(2, 3)
        factors[:, place] = factor
        expected = adjust(pixels.permute(0, 3, 1, 2) / 255, factor).permute(0, 2, 3, 1) * 255
        # torchvision's gray has 0.2989 for red
        torch.testing.assert_close(colored(pixels, factors), expected, atol=0.05, rtol=0)


def test_each_image_has_factors_of_its_own() -> None:
    pixels = torch.full((2, 2, 2, 3), 100.0)
    found = colored(pixels, torch.tensor([[1.0, 1.0, 1.0], [0.5, 1.0, 1.0]]))
    assert found[0].unique().tolist() == pytest.approx([100], abs=0.1)
    assert found[1].unique().tolist() == pytest.approx([50], abs=0.1)


def test_a_split_s_images_and_targets_are_changed_together(drawn_cache: Path) -> None:
    protocol = augmented_protocol(standardize="false")
    data = DeviceDataset(datasets.load("roads", "val"), protocol, drawn_cache, torch.device("cpu"))
    indices = np.array([2, 0])
    drawn = as_drawn(protocol, torch.from_numpy(draw(protocol, 0, 3, [2, 0])))
    images, targets = data.images(indices, None, drawn), data.targets(indices, (16, 20), None, drawn)
    assert images.shape == (2, 3, 32, 40) and images.dtype == torch.float32 and images.is_contiguous()
    assert targets.shape == (2, 16, 20) and targets.dtype == torch.int64
    assert drawn.windows is not None
    whole = Augmented(windows=drawn.windows, colors=None)
    torch.testing.assert_close(data.images(indices, None, whole), window_of_images(data.images(indices), drawn.windows))
    assert torch.equal(targets, window_of_labels(data.labels(indices), drawn.windows, (16, 20)).long())
    everywhere = Augmented(windows=torch.tensor([[0.0, 0.0, 1.0]] * 2, dtype=torch.float64), colors=None)
    assert torch.equal(data.targets(indices, (32, 40), None, everywhere), data.targets(indices, (32, 40)))


def test_a_resumed_run_sees_the_same_batches(tmp_path: Path, drawn_cache: Path) -> None:
    """Four iterations at once, and two with two more by a run that begins where those ended."""
    protocol = augmented_protocol(iterations="4")
    name = "bilinear-interpolation"
    whole = make_run(tmp_path / "a", drawn_cache, protocol=protocol, architecture=name)
    losses = losses_of(whole, 4)
    half = make_run(tmp_path / "b", drawn_cache, protocol=protocol, architecture=name)
    assert losses_of(half, 2) == losses[:2]
    half._checkpoints.save(half.state)
    resumed = make_run(tmp_path / "b", drawn_cache, protocol=protocol, architecture=name)
    assert resumed.state.iteration == 2
    assert losses_of(resumed, 2) == losses[2:]
    plain = make_run(
        tmp_path / "c", drawn_cache, protocol=tiny_protocol(batch_size="3", iterations="4"), architecture=name
    )
    assert losses_of(plain, 1) != losses[:1]


def test_poly_falls_to_zero() -> None:
    poly = load_protocol("camvid@2").override({"lr_scheduler": "poly", "iterations": "100", "lr": "0.1"})
    assert learning_rate(poly, 0) == 0.1
    assert learning_rate(poly, 50) == pytest.approx(0.1 * 0.5**0.9)
    assert 0 < learning_rate(poly, 99) == pytest.approx(0.1 * 0.01**0.9)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"scale_min": "2"}, "scale_min 2 must not exceed scale_max 1"),
        ({"scale_min": "0"}, "scale_min: Input should be greater than 0"),
        ({"color_jitter": "1"}, "color_jitter: Input should be less than 1"),
    ],
)
def test_bad_values_are_refused(changes: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        load_protocol("camvid@2").override(changes)
