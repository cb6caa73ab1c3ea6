"""Channels padded to multiples of 8: the same outputs and gradients, torch's own layers where it is off."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import architectures
from architectures import padded
from architectures.base import Architecture
from architectures.padded import PaddedConv2d, PaddedConvTranspose2d
from tests.architectures.networks import build, fill_zero_scores, set_padded
from tests.harness.commands import forked

LAYERS = {
    "3x3": lambda: PaddedConv2d(64, 11, 3, padding=1),
    "1x1": lambda: PaddedConv2d(512, 37, 1),
    "few maps": lambda: PaddedConv2d(3, 16, 3, stride=2, dilation=2, bias=False),
    "deconvolution": lambda: PaddedConvTranspose2d(11, 11, 4, stride=2, padding=1, bias=False),
    "large deconvolution": lambda: PaddedConvTranspose2d(37, 37, 16, stride=8, padding=4, bias=False),
    "deconvolution with bias": lambda: PaddedConvTranspose2d(12, 16, (7, 8), stride=2, padding=3),
    "output padding": lambda: PaddedConvTranspose2d(11, 11, (7, 8), stride=2, padding=3, output_padding=(1, 0)),
}
# how many layers of each kind of network are padded at 11 classes
PADDED = {
    "segnet": 1,
    "fcn8s": 6,
    "fcn8s-bilinear": 6,
    "deeplab-largefov": 1,
    "deconvnet": 1,
    "bilinear-interpolation": 1,
    "segnet-basic": 1,
    "segnet-basic-encoder-addition": 1,
    "segnet-basic-single-channel-decoder": 1,
    "fcn-basic": 8,
    "fcn-basic-no-addition": 5,
    "fcn-basic-no-dim-reduction": 1,
    "fcn-basic-no-addition-no-dim-reduction": 1,
    "position-prior": 1,
    "pixel-mlp": 1,
}


def with_gradients(network: nn.Module, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Output, and gradients of the parameters, and of an input that is seen, under the same gradient of the output."""
    images = images.clone(memory_format=torch.preserve_format).requires_grad_()
    network.zero_grad()
    torch.manual_seed(3)  # of dropout
    output = network(images)
    generator = torch.Generator().manual_seed(4)
    output.backward(torch.randn(output.shape, generator=generator))
    gradients = {key: p.grad.clone() for key, p in network.named_parameters() if p.grad is not None}
    blind = isinstance(network, Architecture) and network.info.context == "position"
    assert (images.grad is None) == blind
    return output.detach(), gradients if images.grad is None else {"images": images.grad, **gradients}


def assert_alike(network: nn.Module, images: Tensor) -> None:
    unpadded, padding = copy.deepcopy(network), copy.deepcopy(network)
    assert set_padded(unpadded, False) == set_padded(padding, True) > 0
    output, gradients = with_gradients(unpadded, images)
    found, found_gradients = with_gradients(padding, images)
    assert found.shape == output.shape
    torch.testing.assert_close(found, output, rtol=1e-5, atol=1e-5 * float(output.abs().max()))
    assert found_gradients.keys() == gradients.keys()
    # by the largest of all: biases in front of batch norm have none but what rounding leaves
    scale = max(float(gradient.abs().max()) for gradient in gradients.values())
    for key, gradient in gradients.items():
        torch.testing.assert_close(found_gradients[key], gradient, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_gives_the_same(name: str, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name]().to(memory_format=layout)
    images = torch.randn(2, layer.in_channels, 9, 12).contiguous(memory_format=layout)
    assert_alike(layer, images)


@pytest.mark.parametrize("name", LAYERS)
def test_sums_of_whole_numbers_are_equal_to_the_bit(name: str) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name]()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randint(-4, 5, parameter.shape))
        images = torch.randint(-4, 5, (2, layer.in_channels, 9, 12)).float()
        expected = layer(images)
        set_padded(layer, True)
        assert torch.equal(layer(images), expected)


@pytest.mark.parametrize("name", LAYERS)
def test_what_is_multiplied_has_multiples_of_8(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    for function in ("conv2d", "conv_transpose2d"):
        original = getattr(F, function)

        def noting(input: Tensor, weight: Tensor, *args: object, original: object = original) -> Tensor:
            seen.append((input.shape[1], *weight.shape[:2]))
            return original(input, weight, *args)  # type: ignore[operator,no-any-return]

        monkeypatch.setattr(F, function, noting)
    layer = LAYERS[name]()
    images = torch.randn(1, layer.in_channels, 9, 12)
    layer(images)
    set_padded(layer, True)
    layer(images)
    kept, widened = seen
    assert kept == (layer.in_channels, *layer.weight.shape[:2])
    assert all(channels % 8 == 0 for channels in widened)
    assert all(0 <= more - own < 8 for more, own in zip(widened, kept, strict=True))


@pytest.mark.parametrize("name", PADDED)
def test_a_network_gives_the_same_and_has_the_same_state(name: str) -> None:
    network = build(name, 11, (32, 32))
    fill_zero_scores(network)
    state = copy.deepcopy(network.state_dict())
    layers = [one for one in network.modules() if isinstance(one, PaddedConv2d | PaddedConvTranspose2d)]
    assert sum(layer.in_channels % 8 > 0 or layer.out_channels % 8 > 0 for layer in layers) == PADDED[name]
    assert_alike(network, torch.randn(2, 3, 32, 32))
    set_padded(network, True)
    after = network.state_dict()
    assert after.keys() == state.keys()
    assert all(torch.equal(value, after[key]) for key, value in state.items())


def test_every_architecture_pads_all_classifiers_and_deconvolutions() -> None:
    """No convolution to another number of channels than a multiple of 8 is left out."""
    assert set(PADDED) == set(architectures.names())
    for name in architectures.names():
        with torch.device("meta"):
            network = architectures.build(name, 11, (64, 64))
        for key, layer in network.named_modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.out_channels % 8:
                assert isinstance(layer, PaddedConv2d | PaddedConvTranspose2d), (name, key)


def test_a_cpu_computes_as_torch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default nothing is padded there, nor with groups, nor where channels fit."""
    monkeypatch.setattr(padded, "_lacking", lambda layer: pytest.fail("asked for what lacks"))
    layer = PaddedConv2d(64, 11, 1)
    assert layer(torch.randn(1, 64, 4, 4)).shape == (1, 11, 4, 4)
    grouped = PaddedConv2d(6, 6, 1, groups=2)
    grouped.padded = True
    assert grouped(torch.randn(1, 6, 4, 4)).shape == (1, 6, 4, 4)
    monkeypatch.undo()
    monkeypatch.setattr(F, "pad", lambda *given: pytest.fail("padded"))
    fitting = PaddedConvTranspose2d(8, 16, 2)
    fitting.padded = True
    assert fitting(torch.randn(1, 8, 4, 4)).shape == (1, 16, 5, 5)


OVERRUN = """
import torch
from architectures.padded import PaddedConv2d
torch.set_num_threads(2)
layer = PaddedConv2d({inputs}, {outputs}, 1)
for _ in range(3):
    images = torch.randn(5, {inputs}, 4, 5, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer(images).float().square().sum().backward()
"""


@pytest.mark.parametrize(("inputs", "outputs"), [(4096, 11), (4096, 2), (2049, 15)])
def test_no_memory_is_overrun_in_bfloat16(inputs: int, outputs: int) -> None:
    """In a process of its own: on a CPU with AMX torch's layer ends it in most cases."""
    done = forked(OVERRUN.format(inputs=inputs, outputs=outputs))
    assert done.returncode == 0, done.stderr


def test_many_inputs_give_the_same_in_bfloat16() -> None:
    torch.manual_seed(0)
    layer, images = PaddedConv2d(4096, 11, 1), torch.randn(2, 4096, 4, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(images)
        assert found._base is not None and found._base.shape[1] == 16
        with torch.no_grad():
            torch.testing.assert_close(found, layer(images))
    found.float().square().sum().backward()
    assert layer.weight.grad is not None
    expected = torch.einsum("nohw,nihw->oi", 2 * found.detach().float(), images)[:, :, None, None]
    error = (layer.weight.grad - expected).abs().max()
    assert error < 0.02 * expected.abs().max()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", LAYERS)
def test_a_cuda_device_pads_by_itself(name: str) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name]().cuda().to(memory_format=torch.channels_last)
    images = torch.randn(2, layer.in_channels, 9, 12).cuda().contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        by_itself = layer(images)
        set_padded(layer, True)
        forced = layer(images)
        set_padded(layer, False)
        unpadded = layer(images)
    assert torch.equal(by_itself, forced)
    torch.testing.assert_close(by_itself, unpadded, rtol=1e-2, atol=1e-2)
