"""Converting weights once gives what autocast gives at every pass."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

import architectures
from harness.training.amp import autocast, convert_weights
from harness.training.evaluator import label_maps
from tests.architectures.networks import build

CPU = torch.device("cpu")


def logits(model: nn.Module, images: Tensor) -> Tensor:
    with torch.inference_mode(), autocast("bf16", CPU):
        found: Tensor = model(images)
    return found


class Derived(nn.Conv2d):
    """Does more with its weight than to multiply: autocast does that part in float32."""

    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.conv2d(input, self.weight / self.weight.norm(), self.bias)


class Shared(nn.Module):
    """Two layers of one weight, batch norm, and a derived layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm2d(3)
        self.derived = Derived(3, 5, 1)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.derived(self.norm(self.second(self.first(images))))
        return maps


NAMES = ("segnet-basic", "fcn-basic", "segnet-basic-encoder-addition", "bilinear-interpolation")


@pytest.mark.parametrize("make", [Shared, *(partial(architectures.build, name, 5, (32, 48)) for name in NAMES)])
def test_labels_are_those_of_autocast(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    model, images = make().eval(), torch.rand(2, 3, 32, 48)
    before = logits(model, images)
    convert_weights(model, "bf16")
    after = logits(model, images)
    assert torch.equal(before, after)
    assert torch.equal(label_maps(before, (32, 48)), label_maps(after, (32, 48)))


def test_only_what_multiplies_is_converted_and_shared_weights_stay_shared() -> None:
    model = Shared()
    convert_weights(model, "bf16")
    assert model.first.weight is model.second.weight and model.first.weight.dtype == torch.bfloat16
    assert model.norm.weight.dtype == model.derived.weight.dtype == torch.float32


@pytest.mark.parametrize("name", ["segnet", "fcn8s"])
@pytest.mark.slow
def test_large_networks_too(name: str) -> None:
    test_labels_are_those_of_autocast(lambda: build(name, 5, (64, 96)))


def test_other_precisions_convert_nothing() -> None:
    model = Shared()
    convert_weights(model, "fp32")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
