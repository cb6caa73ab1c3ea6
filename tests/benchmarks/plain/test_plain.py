"""The PyTorch baseline computes what ours does."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import architectures
from harness.metrics import confusion_matrix as exact_matrix
from tests.benchmarks.plain.data import CamVid, loader
from tests.benchmarks.plain.scores import boundary_score, confusion_matrix, score
from tests.benchmarks.plain.segnet import SegNet


def norms(network: nn.Module) -> Sequence[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.fixture(scope="module")
def networks() -> tuple[nn.Module, SegNet]:
    """Ours and the plain one, with the same weights and the same epsilon of batch norm; dropout off."""
    torch.manual_seed(0)
    ours, plain = architectures.build("segnet", 11, (40, 56)), SegNet(11)
    values = list(ours.state_dict().values())
    names = list(plain.state_dict())
    plain.load_state_dict(dict(zip(names, values, strict=True)))
    for theirs, own in zip(norms(plain), norms(ours), strict=True):
        theirs.eps = own.eps
    for network in (ours, plain):
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
    return ours, plain


def test_the_plain_network_has_the_same_parameters_and_dropouts() -> None:
    ours, plain = architectures.build("segnet", 11, (40, 56)), SegNet(11)
    assert sum(one.numel() for one in plain.parameters()) == 29_449_355
    assert sum(one.numel() for one in plain.parameters()) == sum(one.numel() for one in ours.parameters())
    rates = [[module.p for module in network.modules() if isinstance(module, nn.Dropout)] for network in (ours, plain)]
    assert rates[0] == rates[1] == [0.5] * 4  # one module serves all three poolings of the encoder


def test_the_plain_network_computes_the_same(networks: tuple[nn.Module, SegNet]) -> None:
    ours, plain = networks
    images = torch.randn(2, 3, 40, 56, generator=torch.Generator().manual_seed(1))
    for network in networks:
        network.train()
    with torch.no_grad():
        torch.testing.assert_close(plain(images), ours(images))
    for network in networks:
        network.eval()
    with torch.no_grad():
        torch.testing.assert_close(plain(images), ours(images))


def test_the_plain_matrix_is_the_same() -> None:
    rng = np.random.default_rng(0)
    prediction = rng.integers(0, 4, (20, 30)).astype(np.uint8)
    label = rng.choice(np.array([0, 1, 2, 3, 255], dtype=np.uint8), (20, 30))
    assert np.array_equal(confusion_matrix(prediction, label, 4), exact_matrix(prediction, label, 4))


def test_the_plain_boundary_score_by_hand() -> None:
    label = np.zeros((40, 40), dtype=np.uint8)
    label[:, 20:] = 1
    assert boundary_score(label, label, 2) == 1.0
    # the tolerance is 0.0075 of 56.6 pixels: less than one pixel
    assert boundary_score(np.roll(label, 9, 1), label, 3) < 0.8
    found = score([label, label], [label, label], 2)
    assert found == {"G": 1.0, "C": 1.0, "mIoU": 1.0, "BF": 1.0}


def test_the_plain_loader_decodes_every_pair(tmp_path: Path) -> None:
    for folder in ("train", "trainannot"):
        (tmp_path / folder).mkdir()
    for number in range(3):
        pixels = np.full((8, 12, 3), 40 * number, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "train" / f"{number}.png")
        Image.fromarray(np.full((8, 12), 11, dtype=np.uint8)).save(tmp_path / "trainannot" / f"{number}.png")
    batches = list(loader(CamVid(tmp_path, "train", (4, 6)), 2, 0))
    assert [tuple(images.shape) for images, _ in batches] == [(2, 3, 4, 6), (1, 3, 4, 6)]
    assert all(bool((labels == 11).all()) and labels.dtype == torch.int64 for _, labels in batches)
    image, label = CamVid(tmp_path, "train", normalize=False)[2]
    assert image.dtype == label.dtype == torch.uint8 and image.shape == (8, 12, 3) and int(image[0, 0, 0]) == 80
    normal, _ = CamVid(tmp_path, "train")[0]
    assert normal[0, 0, 0].item() == pytest.approx(-0.485 / 0.229)
