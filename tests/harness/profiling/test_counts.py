from collections.abc import Callable

import pytest
from torch import Tensor, nn

import architectures
from architectures.pooling import IndexPool, Storage, max_unpool
from harness.profiling.flops import count, logits_size, shapes
from harness.profiling.live_memory import live_inference, live_training
from harness.profiling.roofline import moved_bytes


class Two(nn.Module):
    """A strided convolution and a transposed one."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(8, 5, 4, stride=2, padding=1, bias=False)
        self.up.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.up(self.norm(self.down(images)).relu_())
        return logits


def test_counts_by_hand() -> None:
    counts = count(Two, (16, 20))
    convolution, norm, deconvolution = 3 * 8 * 9 + 8, 16, 8 * 5 * 16
    assert counts.parameters == convolution + norm + deconvolution
    assert counts.trainable_parameters == convolution + norm
    assert counts.model_size_mb == pytest.approx(4 * counts.parameters / 1e6)
    # each output pixel of the convolution, each input pixel of the deconvolution, is 8 x 10
    assert counts.gmacs * 1e9 == pytest.approx(80 * (3 * 8 * 9) + 80 * (8 * 5 * 16))
    assert logits_size(Two, (16, 20)) == (16, 20)


def test_training_by_hand() -> None:
    """The first convolution needs no gradient of its input, the frozen deconvolution none of its weight."""
    assert count(Two, (16, 20)).training_gmacs * 1e9 == pytest.approx(2 * 80 * (3 * 8 * 9) + 2 * 80 * (8 * 5 * 16))


def test_groups_take_part_in_the_backward_pass() -> None:
    """Each of 6 channels has filters of its own: 2 outputs of 9 values each, at 16 x 20 pixels."""

    def build() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 12, 3, padding=1, groups=6))

    counts = count(build, (16, 20))
    first, grouped = 320 * 3 * 6, 320 * 12 * 9
    assert counts.gmacs * 1e9 == pytest.approx(first + grouped)
    assert counts.training_gmacs * 1e9 == pytest.approx(2 * first + 3 * grouped)


@pytest.mark.parametrize("name", ["segnet-basic", "segnet-basic-single-channel-decoder", "fcn8s", "deconvnet"])
def test_training_is_three_times_a_forward_pass_but_for_the_image_gradient(name: str) -> None:
    """Forward, gradient of inputs, gradient of weights, of which the first layer leaves out one.

    FCN's fc6 and DeconvNet's are matrix products here, FCN's with one in place.
    """
    counts = count(lambda: architectures.build(name, 5, (64, 96)), (64, 96))
    first = 64 * 96 * 64 * (3 * 49 if "basic" in name else 3 * 9)
    assert counts.training_gmacs * 1e9 == pytest.approx(3 * counts.gmacs * 1e9 - first)


def test_operators_without_a_formula_are_named() -> None:
    assert count(Two, (16, 20)).gmacs_not_counted == ("_native_batch_norm_legit_no_training", "relu")


def test_views_and_convolutions_are_not_among_them(small: Callable[[], nn.Module]) -> None:
    named = count(small, (36, 48)).gmacs_not_counted
    assert {"add", "max_pool2d_with_indices", "max_unpool2d"} < set(named)
    assert not {"view", "detach", "convolution", "empty"} & set(named)


def test_shapes_hold_what_the_parts_give() -> None:
    found = shapes(Two, (16, 20), 5, "fp32")
    assert {name: getattr(found, name) for name, _ in count(Two, (16, 20))} == dict(count(Two, (16, 20)))
    assert found.inference_live == live_inference(Two, batch=1, size=(16, 20), precision="fp32")
    assert found.training_live == live_training(
        Two, batch=4, size=(16, 20), label_size=(16, 20), num_classes=5, precision="fp32"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "megabytes"),
    [("segnet", 117.797), ("fcn8s", 537.495), ("deeplab-largefov", 82.031), ("deconvnet", 877.123)],
)
def test_model_sizes_of_table_6(name: str, megabytes: float) -> None:
    """The paper's 117, 539, 83 and 877 MB, at 11 classes."""
    counts = count(lambda: architectures.build(name, 11, (360, 480)), (360, 480))
    assert counts.model_size_mb == pytest.approx(megabytes, abs=0.001)


def convolution() -> nn.Module:
    return nn.Conv2d(3, 5, 1, bias=False)


def test_bytes_of_a_forward_pass_by_hand() -> None:
    """Convolution and ReLU in place; two images of 8 x 10."""
    flop, moved = moved_bytes(
        lambda: nn.Sequential(convolution(), nn.ReLU(inplace=True)),
        (8, 10),
        batch=2,
        training=False,
        num_classes=5,
        precision="fp32",
    )
    images, weight, maps = 4 * 2 * 3 * 80, 4 * 15, 4 * 2 * 5 * 80
    assert flop == 2 * 2 * 80 * 15
    assert moved == (images + weight + maps) + (maps + maps)


def test_bytes_of_a_training_step_by_hand() -> None:
    flop, moved = moved_bytes(convolution, (8, 10), batch=1, training=True, num_classes=5, precision="fp32")
    images, weight, maps, labels, one = 4 * 3 * 80, 4 * 15, 4 * 5 * 80, 8 * 80, 4
    forward = (images + weight + maps) + (maps + maps) + (maps + labels + one + one)  # the loss, its weight
    backward = (
        (one + one)  # 1 like the loss
        + (one + maps + labels + one + maps)  # nll_loss2d_backward
        + (maps + maps + maps)  # _log_softmax_backward_data
        + (maps + images + weight + weight)  # no gradient of the images
    )
    optimizer = 3 * weight + 3 * weight  # weight, gradient and momentum, as its schema says
    assert flop == 2 * (2 * 80 * 15)
    assert moved == forward + backward + optimizer


class Pooling(nn.Module):
    """A pooling that keeps indices, and its unpooling."""

    def __init__(self, storage: Storage) -> None:
        super().__init__()
        self.pool = IndexPool(storage)

    def forward(self, images: Tensor) -> Tensor:
        values, pooled = self.pool(images)
        return max_unpool(values, *pooled)


@pytest.mark.parametrize(("storage", "indices"), [("int64", 8 * 60), ("uint8", 60), ("2bit", 15)])
def test_poolings_move_their_indices_as_they_are_stored(storage: Storage, indices: int) -> None:
    """3 maps of 8 x 10 pool to 4 x 5."""
    _, moved = moved_bytes(lambda: Pooling(storage), (8, 10), batch=1, training=False, num_classes=3, precision="fp32")
    maps, values = 4 * 3 * 80, 4 * 60
    assert moved == 2 * (maps + values + indices)


def test_bytes_are_the_same_each_time() -> None:
    def moved() -> tuple[int, int]:
        return moved_bytes(
            lambda: architectures.build("segnet-basic", 5, (32, 48)),
            (32, 48),
            batch=2,
            training=True,
            num_classes=5,
            precision="fp32",
        )

    assert moved() == moved() == moved()


def test_half_precision_moves_less_of_large_maps() -> None:
    """Maps halve; the weights were converted before."""

    def build() -> nn.Module:
        return nn.Sequential(convolution(), nn.ReLU(inplace=True))

    arguments = {"size": (80, 100), "batch": 1, "training": False, "num_classes": 5}
    images, maps = 4 * 3 * 8000, 4 * 5 * 8000
    _, moved = moved_bytes(build, precision="bf16", **arguments)  # type: ignore[arg-type]
    converted = images + images // 2
    assert moved == converted + (images // 2 + 30 + maps // 2) + (maps // 2 + maps // 2)
