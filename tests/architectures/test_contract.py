"""The contract of an architecture, held by every entry of the registry."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.nn import functional

import architectures
from architectures.base import Architecture
from tests.architectures.networks import build, fill_zero_scores

CLASSES = 5
NAMES = architectures.names()


@pytest.fixture(scope="module", params=NAMES)
def network(request: pytest.FixtureRequest) -> Iterator[Architecture]:
    """A network in evaluation mode, built for 64x64, not to be changed."""
    built = build(request.param, CLASSES)
    fill_zero_scores(built)
    built.eval()
    yield built


def test_logits_have_the_declared_shape(network: Architecture) -> None:
    stride = network.info.output_stride
    sizes = [network.image_size] if network.info.fixed_size else [(32, 32), (33, 32), (37, 53)]
    for height, width in sizes:
        with torch.no_grad():
            logits = network(torch.randn(1, 3, height, width))
        expected = ((height + stride - 1) // stride, (width + stride - 1) // stride)
        assert logits.shape == (1, CLASSES, *expected)
        assert network.output_size(height, width) == expected
        assert logits.isfinite().all()


def test_evaluation_is_deterministic_and_per_image(network: Architecture) -> None:
    torch.manual_seed(1)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        logits, again, alone = network(images), network(images), network(images[1:])
    assert logits.std() > 0
    assert torch.equal(logits, again)
    torch.testing.assert_close(logits[1:], alone, rtol=1e-3, atol=1e-5)


def test_a_pass_shows_what_it_keeps_for_the_decoder(network: Architecture) -> None:
    """By a hook on the encoder, the same tensors as those of an encoder run for it."""
    torch.manual_seed(1)
    images = torch.randn(1, 3, 64, 64)
    if network.info.context != "image":  # it has no encoder
        assert network.kept_for_decoder(images) == () and not hasattr(network, "encoder")
        return
    seen: list[tuple[tuple[torch.Tensor, ...], ...]] = []

    def note(module: nn.Module, args: object, encoded: object) -> None:
        seen.append(tuple(tuple(part) for part in network.kept_of(encoded)))

    with torch.no_grad(), network.get_submodule("encoder").register_forward_hook(note):
        network(images)
        expected = network.kept_for_decoder(images)
    assert len(seen) == (2 if expected else 0)  # no hook runs where there is no decoder
    for kept in seen:
        assert [len(part) for part in kept] == [len(part) for part in expected]
        pairs = zip(kept, expected, strict=True)
        assert all(torch.equal(one, other) for ones in pairs for one, other in zip(*ones, strict=True))


def test_same_seed_same_network(network: Architecture) -> None:
    other = build(network.info.name, CLASSES)
    fill_zero_scores(other)
    ours, theirs = network.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_training_mode_drops_and_normalises_over_the_batch(network: Architecture) -> None:
    trained = copy.deepcopy(network).train()
    before = {key: value.clone() for key, value in trained.named_buffers()}
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.manual_seed(3)
        first = trained(images)
        second = trained(images)
    drops = any(isinstance(module, nn.Dropout) for module in network.modules())
    assert torch.equal(first, second) != drops
    for key, value in trained.named_buffers():
        assert not torch.equal(value, before[key]), key


def test_export(network: Architecture) -> None:
    images = torch.randn(1, 3, 64, 64)
    program = torch.export.export(network, (images,))
    with torch.no_grad():
        torch.testing.assert_close(program.module()(images), network(images))


def test_encoder_layers_are_vgg16_s_or_none(network: Architecture) -> None:
    layers = network.encoder_layers()
    if not layers:
        assert network.info.imagenet == "none"
        return
    names = [f"conv{i}_{j}" for i, depth in enumerate((2, 2, 3, 3, 3), 1) for j in range(1, depth + 1)]
    assert list(layers)[:13] == names
    assert set(list(layers)[13:]) <= {"fc6", "fc7"}
    inside = {id(module) for module in network.modules()}
    assert all(id(layer) in inside for layer in layers.values())


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name: str) -> None:
    """Gradients of the second step: FCN's zero scores let none through to its encoder in the first."""
    size = (32, 32)
    network = build(name, CLASSES, size)
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    frozen = {key: p.clone() for key, p in network.named_parameters() if not p.requires_grad}
    optimizer = torch.optim.SGD(trainable, lr=0.01)
    # three images, so that even one value a map and image leaves batch norm more than a sign
    images = torch.randn(3, 3, *size)
    labels = torch.randint(CLASSES, (3, *network.output_size(*size)))
    for _ in range(2):
        optimizer.zero_grad()
        torch.autograd.backward(functional.cross_entropy(network(images), labels))
        optimizer.step()

    before_batch_norm = {
        f"{key}.bias" for key, _ in network.named_modules() if f"{key}_bn" in dict(network.named_modules())
    }
    assert len(before_batch_norm) >= 4 or network.info.context != "image"
    for key, parameter in network.named_parameters():
        if key in frozen:
            assert parameter.grad is None and torch.equal(parameter, frozen[key]), key
            continue
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key
        # batch norm takes away any constant, so that the gradient of a bias in front of it is zero
        assert key in before_batch_norm or parameter.grad.any(), key


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("larger", [0, 32])
def test_too_small_images_are_refused(name: str, larger: int) -> None:
    least = architectures.info(name).min_size
    size = (least + larger, least // 2) if larger else (least - 1, least)
    message = f"{name}: .* {size[0]}x{size[1]}, but at least {least}x{least} is needed"
    with torch.device("meta"):
        with pytest.raises(architectures.ArchitectureError, match=message):
            architectures.build(name, CLASSES, size)
        with pytest.raises(architectures.ArchitectureError, match=message):
            architectures.build(name, CLASSES, (64, 64))(torch.zeros(1, 3, *size))


@pytest.mark.parametrize("name", NAMES)
def test_fixed_size_is_held_to(name: str) -> None:
    with torch.device("meta"):
        network = architectures.build(name, CLASSES, (64, 96)).eval()
        images = torch.zeros(1, 3, 96, 64)
        if network.info.fixed_size:
            with pytest.raises(architectures.ArchitectureError, match=r"96x64, but it was built for 64x96"):
                network(images)
        else:
            assert network(images).shape == (1, CLASSES, *network.output_size(96, 64))


@pytest.mark.parametrize(
    "images",
    [torch.zeros(3, 64, 64), torch.zeros(1, 4, 64, 64), torch.zeros(1, 3, 64, 64, dtype=torch.uint8)],
    ids=["three dimensions", "four channels", "bytes"],
)
def test_what_is_no_image_batch_is_refused(images: torch.Tensor) -> None:
    with torch.device("meta"):
        network = architectures.build("segnet", CLASSES)
    with pytest.raises(architectures.ArchitectureError, match=r"must be a float tensor \(N, 3, H, W\)"):
        network(images)


@pytest.mark.parametrize("num_classes", [1, 0, -3])
def test_less_than_two_classes_are_refused(num_classes: int) -> None:
    with pytest.raises(architectures.ArchitectureError, match=f"num_classes is {num_classes}"):
        architectures.build("segnet", num_classes)


@pytest.mark.parametrize("name", NAMES)
def test_relu_works_in_place_in_all(name: str) -> None:
    with torch.device("meta"):
        network = architectures.build(name, CLASSES)
    relus = [module for module in network.modules() if isinstance(module, nn.ReLU)]
    assert relus and all(relu.inplace for relu in relus)
