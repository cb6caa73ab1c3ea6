"""Every loss that a protocol can name: void pixels, class weights, parts of a batch, and values by hand."""

import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.config.losses import LOSSES
from harness.training.losses.cross_entropy import labeled_pixels
from tests.harness.helpers import tiny_protocol
from tests.harness.training.test_train import losses_of, make_run

ROOT = Path(__file__).resolve().parents[3]
VOID, CLASSES = 255, 3
WEIGHTS = torch.tensor([0.5, 1.0, 4.0])
WEIGHTED = [name for name in LOSSES if LOSSES[name].class_weights]
CASES = [*((name, None) for name in LOSSES), *((name, WEIGHTS) for name in WEIGHTED)]
IDS = [name if weights is None else f"{name}-weighted" for name, weights in CASES]


def batch(seed: int = 0, images: int = 2) -> tuple[Tensor, Tensor]:
    """Logits (N, 3, 4, 5) that ask for gradients, and targets (N, 4, 5), a third of them void."""
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, CLASSES, 4, 5, generator=draw)
    target = torch.randint(0, CLASSES, (images, 4, 5), generator=draw)
    target[torch.rand(target.shape, generator=draw) < 1 / 3] = VOID
    return logits.requires_grad_(), target


def value(name: str, weights: Tensor | None, logits: Tensor, target: Tensor, pixels: Tensor | None = None) -> Tensor:
    return LOSSES[name].build(weights)(logits, target, labeled_pixels(target) if pixels is None else pixels)


def gradient(loss: Tensor, logits: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(loss, logits)
    return found


@pytest.mark.parametrize(("name", "weights"), CASES, ids=IDS)
def test_logits_at_void_pixels_change_nothing(name: str, weights: Tensor | None) -> None:
    logits, target = batch()
    void = (target == VOID)[:, None].expand_as(logits)
    assert 0.1 < void.float().mean() < 0.6
    other = torch.where(void, 30 * torch.randn_like(logits), logits.detach()).requires_grad_()
    loss, moved = (value(name, weights, each, target) for each in (logits, other))
    assert loss.shape == () and loss > 0.01
    assert torch.equal(loss, moved)
    found = gradient(loss, logits)
    assert torch.equal(found, gradient(moved, other))
    assert not found[void].any() and found[~void].all()


@pytest.mark.parametrize(("name", "weights"), CASES, ids=IDS)
def test_ignoring_void_is_leaving_its_pixels_out(name: str, weights: Tensor | None) -> None:
    logits, target = batch()
    labeled = target != VOID
    some = logits.movedim(1, 3)[labeled].T[None, :, None]  # (1, K, 1, P)
    expected = value(name, weights, some, target[labeled][None, None])
    assert float(value(name, weights, logits, target).detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


@pytest.mark.parametrize(("name", "weights"), CASES, ids=IDS)
def test_a_batch_without_labeled_pixels_gives_nothing(name: str, weights: Tensor | None) -> None:
    logits, target = batch()
    loss = value(name, weights, logits, torch.full_like(target, VOID))
    assert loss.shape == () and loss.item() == 0
    assert not gradient(loss, logits).any()


@pytest.mark.parametrize(("name", "weights"), CASES, ids=IDS)
def test_it_is_taken_in_float32(name: str, weights: Tensor | None) -> None:
    logits, target = batch()
    half = logits.detach().bfloat16()
    loss = value(name, weights, half, target)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, value(name, weights, half.float(), target))


@pytest.mark.parametrize(("name", "weights"), CASES, ids=IDS)
def test_parts_of_a_batch_add_up_where_it_says_so(name: str, weights: Tensor | None) -> None:
    logits, target = batch(images=5)
    target[3:][target[3:] == 0] = 1  # parts that differ in number and classes
    pixels = labeled_pixels(target)
    parts = sum(value(name, weights, logits[own], target[own], pixels) for own in (slice(0, 3), slice(3, 5)))
    whole = value(name, weights, logits, target)
    assert isinstance(parts, Tensor)
    if not LOSSES[name].splits:
        assert float(parts) != pytest.approx(float(whole), rel=1e-2)
        return
    assert float(parts.detach()) == pytest.approx(float(whole.detach()), rel=1e-6)
    assert torch.allclose(gradient(parts, logits), gradient(whole, logits), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", WEIGHTED)
def test_class_weights_apply(name: str) -> None:
    logits, target = batch()
    plain, weighted = (float(value(name, weights, logits, target)) for weights in (None, WEIGHTS))
    assert weighted != pytest.approx(plain, rel=1e-2)


# -- values by hand -----------------------------------------------------------------------------------------

# Two classes, four pixels, one of them void; probabilities of class 1 are 1/4, 3/4, 1/2 and whatever.
LOGITS = torch.tensor([[[[0.0, 0.0, 0.0, 9.0]], [[-math.log(3), math.log(3), 0.0, -9.0]]]])  # (1, 2, 1, 4)
TARGET = torch.tensor([[[0, 1, 1, VOID]]])
# Soft counts of class 0 and class 1 over the three labeled pixels.
TRUE_POSITIVES = np.array([0.75, 0.75 + 0.5])
FALSE_POSITIVES = np.array([0.25 + 0.5, 0.25])
FALSE_NEGATIVES = np.array([0.25, 0.25 + 0.5])


def overlap(fp: float, fn: float) -> NDArray[np.float64]:
    """One minus the Tversky index of each class."""
    return 1 - TRUE_POSITIVES / (TRUE_POSITIVES + fp * FALSE_POSITIVES + fn * FALSE_NEGATIVES)


def focal() -> NDArray[np.float64]:
    """Sum over pixels of each class's binary focal loss, by sigmoids."""
    score = 1 / (1 + np.exp(-LOGITS[0, :, 0, :3].double().numpy()))  # (2, 3)
    right = np.where(np.array([[1, 0, 0], [0, 1, 1]]), score, 1 - score)
    summed: NDArray[np.float64] = (-((1 - right) ** 2) * np.log(right)).sum(1)
    return summed / 3


# Errors of class 1, largest first: 1/2 (its own), 1/4 (its own), 1/4 (of class 0). IoU is lost in steps of 1/2,
# 1/2 and 0. Of class 0: 1/2 (of class 1), 1/4 (its own), 1/4: steps of 1/2, 1/2, 0; of equal errors either may come
# first, which changes nothing in the sum of 1/4 * 1/2 or of 1/4 * (1/6 + 1/3).
LOVASZ = np.array([0.5 * 0.5 + 0.25 * 0.5, 0.5 * 0.5 + 0.25 * 0.5])
BY_HAND = {
    "dice": overlap(0.5, 0.5),
    "jaccard": overlap(1, 1),
    "tversky": overlap(0.3, 0.7),
    "focal": focal(),
    "lovasz": LOVASZ,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_values_by_hand(name: str) -> None:
    assert float(value(name, None, LOGITS, TARGET)) == pytest.approx(BY_HAND[name].mean(), rel=1e-5)
    if LOSSES[name].class_weights:
        expected = (BY_HAND[name] * (1, 3)).sum() / 4
        assert float(value(name, torch.tensor([1.0, 3.0]), LOGITS, TARGET)) == pytest.approx(expected, rel=1e-5)


def test_each_is_held_against_a_value_by_hand() -> None:
    assert set(BY_HAND) | {"cross_entropy"} == set(LOSSES)  # cross-entropy's is in test_training_parts


# -- in a run, and by one more file -------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "cross_entropy"])
def test_a_run_trains_by_it(name: str, tmp_path: Path, drawn_cache: Path) -> None:
    weighting = "median" if LOSSES[name].class_weights else "natural"
    protocol = tiny_protocol(loss=name, class_weighting=weighting, lr="0.003", iterations="8", hflip="false")
    run = make_run(tmp_path, drawn_cache, architecture="segnet-basic", protocol=protocol)
    start = {key: tensor.clone() for key, tensor in run.model.state_dict().items()}
    trace = losses_of(run, 8)
    assert all(math.isfinite(loss) and loss > 0 for loss in trace)
    assert all(not torch.equal(p, start[key]) for key, p in run.model.named_parameters() if p.requires_grad)


def test_one_file_adds_a_loss(tmp_path: Path) -> None:
    """As CONTRIBUTING.md says, with the file that it shows."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Add a loss")[2]
    shown = re.search(r"`(\w+)\.py`:\n\n```python\n(.*?)```", text, re.DOTALL)
    assert shown is not None
    (tmp_path / f"{shown[1]}.py").write_text(shown[2])
    code = f"""
import sys
import harness.training.losses
harness.training.losses.__path__.append({str(tmp_path)!r})
from harness.config.losses import LOSSES
from harness.config.protocol import load_protocol
protocol = load_protocol("quick@2").override({{"loss": "{shown[1]}", "class_weighting": "natural"}})
loss = LOSSES[protocol.loss].build
assert "torch" not in sys.modules
import torch
logits = torch.tensor([[[[0.0, 5.0]], [[0.0, -5.0]]]])
assert loss(None)(logits, torch.tensor([[[1, 255]]]), torch.tensor(1)).item() == 0.5
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
