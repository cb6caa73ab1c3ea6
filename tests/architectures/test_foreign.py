"""Other libraries' networks behind the contract: their own parameters, padded, cropped, one output."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import huggingface_hub.constants
import pytest
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torchvision import models

import architectures
from architectures.external.wrapper import ForeignNetwork, _main_output

CLASSES = 5


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def fresh(name: str, size: tuple[int, int] = (64, 96), classes: int = CLASSES) -> ForeignNetwork:
    torch.manual_seed(0)
    network = architectures.build(name, classes, size)
    assert isinstance(network, ForeignNetwork)
    return network.eval()


def of_smp(make: Any, encoder: str, classes: int) -> nn.Module:
    network: nn.Module = make(encoder_name=encoder, encoder_weights=None, in_channels=3, classes=classes)
    return network


def of_torchvision(make: Any, classes: int) -> nn.Module:
    network: nn.Module = make(weights=None, weights_backbone=None, num_classes=classes)
    return network


# Every rival of the suite `modern`, as its library's own constructor makes it
OWN: dict[str, Callable[[int], nn.Module]] = {
    "smp:Unet/mobilenet_v2": lambda k: of_smp(smp.Unet, "mobilenet_v2", k),
    "smp:Unet/resnet34": lambda k: of_smp(smp.Unet, "resnet34", k),
    "smp:FPN/resnet34": lambda k: of_smp(smp.FPN, "resnet34", k),
    "smp:DeepLabV3Plus/resnet34": lambda k: of_smp(smp.DeepLabV3Plus, "resnet34", k),
    "smp:UPerNet/tu-convnext_tiny": lambda k: of_smp(smp.UPerNet, "tu-convnext_tiny", k),
    "smp:Segformer/mit_b0": lambda k: of_smp(smp.Segformer, "mit_b0", k),
    "smp:Segformer/mit_b2": lambda k: of_smp(smp.Segformer, "mit_b2", k),
    "torchvision:fcn_resnet50": lambda k: of_torchvision(models.segmentation.fcn_resnet50, k),
    "torchvision:deeplabv3_mobilenet_v3_large": lambda k: of_torchvision(
        models.segmentation.deeplabv3_mobilenet_v3_large, k
    ),
    "torchvision:lraspp_mobilenet_v3_large": lambda k: of_torchvision(models.segmentation.lraspp_mobilenet_v3_large, k),
}
SMALL = ["smp:Unet/mobilenet_v2", "smp:DeepLabV3Plus/mobilenet_v2", "smp:Segformer/mit_b0"]
SMALL += ["torchvision:lraspp_mobilenet_v3_large"]


@pytest.mark.parametrize("name", OWN)
def test_parameters_and_logits_are_the_library_s_own(name: str) -> None:
    """Under one seed the library draws the same network, whose logits are ours where nothing is padded."""
    ours = fresh(name, classes=11)
    torch.manual_seed(0)
    theirs = OWN[name](11).eval()
    assert count(ours) == count(theirs)
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = theirs(images)
        assert torch.equal(ours(images), expected["out"] if isinstance(expected, dict) else expected)


@pytest.mark.parametrize("name", SMALL)
def test_any_size_is_taken(name: str) -> None:
    network = fresh(name)
    for height, width in ((32, 32), (33, 64), (61, 83)):
        with torch.no_grad():
            logits = network(torch.randn(2, 3, height, width))
        assert logits.shape == (2, CLASSES, height, width)
        assert logits.isfinite().all()
    with pytest.raises(architectures.ArchitectureError, match="31x32, but at least 32x32"):
        network(torch.zeros(1, 3, 31, 32))


def test_odd_sizes_are_padded_with_zeros_and_cropped() -> None:
    network = fresh("smp:Unet/mobilenet_v2")
    assert network.divisor == 32
    images = torch.randn(1, 3, 61, 83)
    with torch.no_grad():
        expected = network.network(F.pad(images, (0, 13, 0, 3)))  # to 64 x 96
        assert torch.equal(network(images), expected[:, :, :61, :83])


@pytest.mark.parametrize(
    ("name", "divisor"), [("smp:DeepLabV3Plus/mobilenet_v2", 16), ("smp:PSPNet/mobilenet_v2", 8), (SMALL[-1], 1)]
)
def test_no_more_is_padded_than_the_network_needs(name: str, divisor: int) -> None:
    assert fresh(name).divisor == divisor


def test_padding_s_cost_is_counted() -> None:
    """GMACs of 61x83 are those of 64x96."""
    from harness.profiling.flops import count as counted
    from harness.profiling.flops import logits_size

    sizes = ((61, 83), (64, 96))
    builds = [partial(architectures.build, SMALL[0], CLASSES, size) for size in sizes]
    odd, full = (counted(build, size).gmacs for build, size in zip(builds, sizes, strict=True))
    assert odd == full > 0
    assert tuple(logits_size(build, size) for build, size in zip(builds, sizes, strict=True)) == sizes


@pytest.mark.parametrize("name", ["smp:Segformer/mit_b0", "smp:Unet/mobilenet_v2", SMALL[-1]])
def test_a_network_is_built_of_fake_tensors_too(name: str) -> None:
    """Libraries read rates off tensors while they build, which fake ones do not have."""
    real = fresh(name)
    with FakeTensorMode():
        fake = architectures.build(name, CLASSES, (64, 96))
        logits = fake.eval()(torch.zeros(1, 3, 64, 96))
        assert {type(one).__name__ for one in fake.state_dict().values()} == {"FakeTensor"}
    assert tuple(logits.shape) == (1, CLASSES, 64, 96)
    shapes = {key: tuple(value.shape) for key, value in real.state_dict().items()}
    assert {key: tuple(value.shape) for key, value in fake.state_dict().items()} == shapes
    ours = {key: p.requires_grad for key, p in real.named_parameters()}
    assert {key: p.requires_grad for key, p in fake.named_parameters()} == ours


def test_every_parameter_of_small_rivals_learns() -> None:
    for name in SMALL:
        network = fresh(name).train()
        logits = network(torch.randn(2, 3, 64, 64))
        torch.autograd.backward(F.cross_entropy(logits, torch.randint(CLASSES, (2, 64, 64))))
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters()), name


def test_a_decoder_that_does_not_take_the_encoder_says_so() -> None:
    with pytest.raises(architectures.ArchitectureError, match=r"Linknet/mit_b0: .*not supported for Linknet"):
        architectures.build("smp:Linknet/mit_b0", CLASSES)


def test_weights_that_cannot_be_had_are_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path_factory.mktemp("torch")))
    for name in ("smp:Unet/mobilenet_v2", "torchvision:lraspp_mobilenet_v3_large"):
        if name.startswith("torchvision"):  # no proxy there: the address can't be reached
            for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
                monkeypatch.setenv(variable, "http://127.0.0.1:9")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(architectures.ArchitectureError) as caught:
                architectures.build(name, CLASSES, own_weights=True)
        assert f"{name}: its library's ImageNet weights can't be had" in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(architectures.ArchitectureError, match="segnet: no library has"):
        architectures.build("segnet", CLASSES, own_weights=True)


def test_own_weights_come_with_the_input_that_they_want(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for the download: the network's own weights under torchvision's loader."""
    stored = models.mobilenet_v3_large(weights=None, dilated=True).state_dict()
    monkeypatch.setattr(models._api.WeightsEnum, "get_state_dict", lambda *given, **named: stored)
    network = architectures.build(SMALL[-1], CLASSES, (64, 64), own_weights=True)
    assert isinstance(network, ForeignNetwork)
    first = network.network.get_parameter("backbone.0.0.weight")
    assert torch.equal(first, stored["features.0.0.weight"])
    assert len(network.layers_set) == sum(
        1 for key, value in stored.items() if value.ndim == 4 and key.startswith("features")
    )
    assert network.weights_input is not None
    assert network.weights_input[0] == pytest.approx((123.675, 116.28, 103.53))
    assert network.weights_input[1] == pytest.approx((58.395, 57.12, 57.375))


class Held:
    """An output object with the logits as an attribute, as transformers gives."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits


def test_the_main_output_is_found() -> None:
    logits, other = torch.zeros(1), torch.ones(1)
    for output in (logits, {"out": logits, "aux": other}, {"logits": logits}, (logits, other), Held(logits)):
        assert _main_output(output, "n") is logits
    assert _main_output([{"out": logits}], "n") is logits
    for bad, says in (({"masks": logits}, "dict of masks"), (None, "NoneType"), ((), "tuple")):
        with pytest.raises(architectures.ArchitectureError, match=f"n: returns {says}, but must return"):
            _main_output(bad, "n")
