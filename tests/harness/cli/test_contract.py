"""`harness check` on networks from elsewhere: each thing that can be wrong is found, and named."""

from pathlib import Path

import pytest

from architectures import fcn8s
from architectures.external import plugins
from datasets import plugins as dataset_plugins
from harness.cli import contract
from harness.cli.contract import OPTIMIZERS, CheckResult, check_architecture_contract

NETWORKS = '''
import architectures
import torch
from torch import nn


class Simple(nn.Module):
    """Two convolutions; what is below breaks one thing each."""

    def __init__(self, num_classes):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.last = nn.Conv2d(8, num_classes, 1)

    def maps(self, images):
        return self.norm(self.first(images)).relu()

    def forward(self, images):
        return self.last(self.maps(images))


def changed(forward):
    """The same with its forward changed: network, images, its logits -> output."""

    class Changed(Simple):
        def forward(self, images):
            return forward(self, images, super().forward(images))

    return Changed


Good = Simple
GoodDictionary = changed(lambda network, images, logits: {"out": logits, "aux": images})
Probable = changed(lambda network, images, logits: logits.softmax(1))
Endless = changed(lambda network, images, logits: logits / 0)
Raising = changed(lambda network, images, logits: network.nothing(images))
# normalizes over the batch in evaluation mode too
Mixing = changed(lambda network, images, logits: logits - logits.mean((0, 2, 3), keepdim=True))
# draws its attention from gradients, which evaluation does not take
Graded = changed(
    lambda network, images, logits: logits
    if network.training or torch.is_inference_mode_enabled()
    else logits[:, :, :0]
)
# squeezes a batch of one image away, outside of the batches that shapes are tried with
SingleImage = changed(
    lambda network, images, logits: logits if images.shape[2] != 64 or len(images) > 1 else logits.squeeze()
)


class Unpadded(Simple):
    """A U of two levels, which wants even sizes."""

    def forward(self, images):
        maps = self.maps(images)
        small = nn.functional.max_pool2d(maps, 2)
        return self.last(torch.add(maps, nn.functional.interpolate(small, scale_factor=2)))


class Idle(Simple):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.unused = nn.Linear(10, 10)


class Unseeded(Simple):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        generator = torch.Generator()
        generator.seed()
        nn.init.normal_(self.last.weight, generator=generator)


class Forgetful(Simple):
    """Keeps a part of itself out of its state_dict."""

    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.shift = torch.randn(num_classes, 1, 1)

    def forward(self, images):
        return super().forward(images) + self.shift


class Unbuilt(Simple):
    def __init__(self, num_classes):
        raise OverflowError("no such number of classes")


class Complex(Simple):
    """A filter in the frequencies, as Fourier networks have it."""

    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.filter = nn.Parameter(torch.ones(8, 1, 1, dtype=torch.complex64))

    def forward(self, images):
        maps = self.norm(self.first(images))
        return self.last(torch.fft.ifft2(torch.fft.fft2(maps) * self.filter).real.relu())


class Shared(Simple):
    """A convolution used twice by two names, a frozen norm, a view of a buffer, and a mask of infinities."""

    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.second = nn.Conv2d(8, 8, 1, bias=False)
        self.third = nn.Conv2d(8, 8, 1, bias=False)
        self.third.weight = self.second.weight
        self.frozen = nn.BatchNorm2d(8).requires_grad_(False)
        self.register_buffer("table", torch.arange(8.0).view(2, 4))
        self.register_buffer("turned", self.table.T)
        self.register_buffer("mask", torch.full((2, 2), -torch.inf).triu(1))

    def train(self, mode=True):
        super().train(mode)
        self.frozen.eval()
        return self

    def forward(self, images):
        return self.last(self.third(self.frozen(self.second(self.norm(self.first(images))).relu())))


class Ticking(Simple):
    """Counts its steps in a buffer of a kind that no file of weights has."""

    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.register_buffer("steps", torch.zeros(1, dtype=torch.complex128))


class Growing(Simple):
    """Has a further buffer from its first training step on."""

    def forward(self, images):
        if self.training and not hasattr(self, "shift"):
            self.register_buffer("shift", torch.ones(1, device=images.device))
        return super().forward(images)


class Odd(Exception):
    pass


class Peculiar(Simple):
    def forward(self, images):
        if self.training and not torch.equal(images[0], images[1]):
            raise Odd("two images in training")
        return super().forward(images)


class Empty(nn.Module):
    def __init__(self, num_classes):
        super().__init__()


@architectures.declare(divisor=2)
def padded(num_classes):
    return Unpadded(num_classes)
'''
MODULE = "networks_of_test_check"


@pytest.fixture(autouse=True)
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"{MODULE}.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(plugins.VARIABLE, "")
    monkeypatch.setenv(dataset_plugins.VARIABLE, "")


@pytest.fixture
def no_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what is tried as a run, which takes longest."""
    monkeypatch.setattr(contract, "OPTIMIZERS", ())


def checked(function: str) -> dict[str, CheckResult]:
    plugins.add([f"{MODULE}:{function}"])
    return {result.name: result for result in check_architecture_contract(function.lower(), "cpu")}


@pytest.mark.parametrize("function", ["Good", "GoodDictionary", "padded"])
def test_a_good_network_passes_everything(no_runs: None, function: str) -> None:
    found = checked(function)
    assert not [result for result in found.values() if not result.passed]
    assert found["built"].found == f"{3 * 8 * 9 + 8 + 16 + 8 * 11 + 11} parameters"
    assert found["output shape"].found == "64 x 96 -> 64 x 96"
    assert found["odd size"].found == "61 x 83 -> 61 x 83"


@pytest.mark.parametrize(
    ("function", "fails", "says"),
    [
        ("Unpadded", "odd size", ["RuntimeError: The size of tensor", "@architectures.declare(divisor=32)"]),
        ("Probable", "logits, not probabilities", ["adds up to 1", "take softmax out"]),
        ("Mixing", "each image by itself", ["with another beside it", "must not depend on the others"]),
        ("Idle", "two training steps", ["110 of", "take no part", "network.unused.weight"]),
        ("Endless", "output shape", ["not finite"]),
        ("Unseeded", "same seed, same network", ["differ", "torch's global generator"]),
        ("Forgetful", "save and load", ["state_dict", "parameters or buffers"]),
        ("Raising", "output shape", ["AttributeError", "nothing"]),
    ],
)
def test_what_is_wrong_is_named(no_runs: None, function: str, fails: str, says: list[str]) -> None:
    result = checked(function)[fails]
    assert not result.passed
    for text in says:
        assert text in result.found
    assert "\n" not in result.found


@pytest.mark.parametrize(
    ("function", "says"),
    [("Unbuilt", "OverflowError: no such number of classes"), ("Empty", "it has no parameters to train")],
)
def test_where_it_cannot_be_built_nothing_else_is_tried(function: str, says: str) -> None:
    found = checked(function)
    assert list(found) == ["built"]
    assert not found["built"].passed and says in found["built"].found


@pytest.mark.parametrize("function", ["Good", "Complex", "Shared"])
def test_parameters_of_all_kinds_go_through_a_run(function: str) -> None:
    found = checked(function)
    assert not [result for result in found.values() if not result.passed]
    for step in ("trained", "gone on with", "scored", "weights read again"):
        assert all(f"{step} ({optimizer})" in found for optimizer in OPTIMIZERS)


@pytest.mark.parametrize(
    ("function", "fails", "says"),
    [
        ("Graded", "scored", "evaluation mode"),
        ("SingleImage", "scored", "on one image and on several"),
        ("Ticking", "scored", "its state_dict holds torch.complex128"),
        ("Growing", "gone on with", "shift"),
        ("Peculiar", "trained", "Odd: two images in training"),
    ],
)
def test_what_a_run_would_stumble_over_is_found(function: str, fails: str, says: str) -> None:
    found = checked(function)
    failed = [result for result in found.values() if not result.passed and result.name.endswith(")")]
    assert {result.name for result in failed} == {f"{fails} ({optimizer})" for optimizer in OPTIMIZERS}
    assert all(says in result.found for result in failed)


# Of each kind one: with pooling indices, a fixed upsampling, logits at an eighth, one size alone, no encoder.
# tests/architectures/test_contract.py holds the same of every network of this package.
SLOW = ["segnet-basic", "fcn8s-bilinear", "deeplab-largefov", "deconvnet", "pixel-mlp", "smp:Segformer/mit_b0"]
QUICK = "torchvision:lraspp_mobilenet_v3_large"


@pytest.mark.parametrize("name", [*(pytest.param(name, marks=pytest.mark.slow) for name in SLOW), QUICK])
def test_our_own_networks_and_other_libraries_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "OPTIMIZERS", OPTIMIZERS[:1])
    monkeypatch.setattr(fcn8s, "FEATURES", 64)  # of 4,096, which take a minute of copying weights
    assert [result for result in check_architecture_contract(name, "cpu") if not result.passed] == []


def test_layers_that_an_encoder_leaves_unused_are_told(no_runs: None) -> None:
    """PSPNet of segmentation_models.pytorch takes the encoder's first three stages and keeps the others."""
    results = {result.name: result for result in check_architecture_contract("smp:PSPNet/resnet18", "cpu")}
    assert not results["two training steps"].passed
    assert "parameters take no part (no gradient), such as network.encoder.layer3" in (
        results["two training steps"].found
    )
