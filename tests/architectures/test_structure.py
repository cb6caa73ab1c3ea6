"""Structure: parameter counts, map sizes, and layer by layer against the official definitions."""

import csv
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

import architectures
from architectures.deeplab_largefov import DeepLabLargeFOV
from architectures.layers import BatchNorm2d

NAMES = architectures.names()
KINDS: dict[type[nn.Module], str] = {
    nn.Conv2d: "conv",
    nn.ConvTranspose2d: "deconv",
    BatchNorm2d: "bn",
    nn.ReLU: "relu",
    nn.Dropout: "dropout",
    nn.MaxPool2d: "pool",
    nn.AvgPool2d: "pool",
}


class Step(NamedTuple):
    """A layer in the order of execution."""

    name: str
    kind: str
    module: nn.Module
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def trace(name: str, num_classes: int = 11, size: tuple[int, int] = (360, 480)) -> list[Step]:
    """Layers of one forward pass on the meta device."""
    steps: list[Step] = []
    with torch.device("meta"):
        network = architectures.build(name, num_classes, size).eval()
        for path, module in network.named_modules():
            kind = next((kind for base, kind in KINDS.items() if isinstance(module, base)), None)
            if kind is not None:

                def record(
                    layer: nn.Module,
                    args: tuple[Tensor, ...],
                    output: Tensor,
                    name: str = path.rpartition(".")[2],
                    kind: str = kind,
                ) -> None:
                    steps.append(Step(name, kind, layer, tuple(args[0].shape[1:]), tuple(output.shape[1:])))

                module.register_forward_hook(record)
            else:
                assert not list(module.parameters(recurse=False)), f"{path} is of an unknown kind"
        network(torch.zeros(1, 3, *size))
    return steps


def read_rows(path: Path, kinds: set[str]) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["type"] in kinds]


def geometry(module: nn.Module) -> tuple[int, int, int, int]:
    """Kernel, stride, padding, dilation of a square layer."""
    values = []
    for attribute in ("kernel_size", "stride", "padding", "dilation"):
        value = getattr(module, attribute, 1)
        height, width = value if isinstance(value, tuple) else (value, value)
        assert height == width
        values.append(height)
    return values[0], values[1], values[2], values[3]


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("name", "num_classes", "count"),
    [
        ("segnet", 11, 29_449_355),
        ("segnet", 37, 29_464_357),
        ("fcn8s", 11, 134_373_761),
        ("fcn8s-bilinear", 11, 134_338_913),
        ("deeplab-largefov", 11, 20_507_723),
        ("deconvnet", 11, 219_280_715),
        ("deconvnet", 37, 219_282_405),
    ],
)
def test_trainable_parameters_at_360x480(name: str, num_classes: int, count: int) -> None:
    with torch.device("meta"):
        network = architectures.build(name, num_classes)
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == count


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("segnet", {"conv1_1_D"}),
        ("fcn8s", {"score_fr", "score_pool4", "score_pool3", "upscore2", "upscore_pool4", "upscore8"}),
        ("deeplab-largefov", {"fc8"}),
        ("deconvnet", {"score"}),
    ],
)
def test_batch_norm_and_relu_follow_every_convolution_but_scores(name: str, without: set[str]) -> None:
    steps = trace(name, size=(64, 64))
    followers = {
        step.name: tuple(after.kind for after in steps[i + 1 : i + 3])
        for i, step in enumerate(steps)
        if step.kind in ("conv", "deconv")
    }
    assert {layer for layer, kinds in followers.items() if kinds != ("bn", "relu")} == without
    assert sum(step.kind == "bn" for step in steps) == len(followers) - len(without)


POOLS = [((256, 45, 60), "conv3_3_relu"), ((512, 23, 30), "conv4_3_relu"), ((512, 12, 15), "conv5_3_relu")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "segnet",
            [
                *POOLS,
                ((512, 23, 30), "conv5_1_D_relu"),
                ((256, 45, 60), "conv4_1_D_relu"),
                ((128, 90, 120), "conv3_1_D_relu"),
            ],
        ),
        ("fcn8s", [*POOLS, ((4096, 12, 15), "fc6_relu"), ((4096, 12, 15), "fc7_relu")]),
        (
            "deeplab-largefov",
            [
                ((256, 45, 60), "2"),
                ((512, 45, 60), "3"),
                ((512, 45, 60), "4"),
                ((1024, 45, 60), "fc6_relu"),
                ((1024, 45, 60), "fc7_relu"),
            ],
        ),
        (
            "deconvnet",
            [
                *POOLS,
                ((512, 23, 30), "deconv5_3_relu"),
                ((256, 45, 60), "deconv4_3_relu"),
                ((128, 90, 120), "deconv3_3_relu"),
            ],
        ),
    ],
)
def test_dropout_stands_where_the_paper_has_it(name: str, expected: list[tuple[tuple[int, ...], str]]) -> None:
    """(input, layer before): pooled maps of blocks 3 to 5, then decoder blocks or fully connected layers."""
    steps = trace(name)
    found = [(step.inputs, steps[i - 1].name) for i, step in enumerate(steps) if step.kind == "dropout"]
    assert found == expected
    assert all(step.module.p == 0.5 for step in steps if step.kind == "dropout")


def test_segnet_is_its_definition(shared: Path) -> None:
    rows = read_rows(shared / "reference/segnet.csv", {"conv", "bn", "relu"})
    steps = [step for step in trace("segnet") if step.kind != "dropout"]
    assert [step.kind for step in steps] == [row["type"] for row in rows]
    for row, step in zip(rows, steps, strict=True):
        assert step.outputs == tuple(int(row[key]) for key in ("out_channels", "output_h", "output_w"))
        assert parameters(step.module) == int(row["params"])
        if step.kind == "conv":
            assert step.name == row["name"]
            assert geometry(step.module) == tuple(int(row[key]) for key in ("kernel", "stride", "pad", "dilation"))
        if step.kind == "bn":
            assert step.name == row["name"]


def test_fcn8s_is_its_definition(shared: Path) -> None:
    """Padding and map sizes differ, as the header says."""
    rows = read_rows(shared / "reference/fcn8s.csv", {"conv", "deconv"})
    steps = [step for step in trace("fcn8s", num_classes=21) if step.kind in ("conv", "deconv")]
    for row, step in zip(rows, steps, strict=True):
        assert (step.name, step.kind) == (row["name"], row["type"])
        kernel, stride, _, dilation = geometry(step.module)
        assert (kernel, stride, dilation) == tuple(int(row[key]) for key in ("kernel", "stride", "dilation"))
        assert (step.inputs[0], step.outputs[0]) == (int(row["in_channels"]), int(row["out_channels"]))
        assert parameters(step.module) == int(row["params"])


def test_deeplab_is_its_definition(shared: Path) -> None:
    """At the definition's 321x321, where rounding up and down agree."""
    rows = read_rows(shared / "reference/deeplab_largefov.csv", {"conv", "pool"})
    steps = [s for s in trace("deeplab-largefov", 21, (321, 321)) if s.kind in ("conv", "pool")]
    for row, step in zip(rows, steps, strict=True):
        assert step.kind == row["type"]
        assert isinstance(step.module, nn.AvgPool2d) == row["note"].startswith("AVE")
        assert step.outputs == tuple(int(row[key]) for key in ("out_channels", "output_h", "output_w"))
        expected = tuple(int(row[key] or 1) for key in ("kernel", "stride", "pad", "dilation"))
        assert geometry(step.module) == expected
        if step.kind == "conv":
            assert step.name == row["name"].removesuffix("_voc12")
            assert parameters(step.module) == int(row["params"])


def test_deconvnet_is_its_definition(shared: Path) -> None:
    """At the definition's 224x224, with 1024 features where it has 4096."""

    def narrowed(channels: str) -> int:
        return 1024 if channels == "4096" else int(channels)

    rows = read_rows(shared / "reference/deconvnet.csv", {"conv", "deconv", "bn", "relu"})
    steps = [step for step in trace("deconvnet", 21, (224, 224)) if step.kind != "dropout"]
    for row, step in zip(rows, steps, strict=True):
        assert step.kind == row["type"]
        assert step.outputs == (narrowed(row["out_channels"]), int(row["output_h"]), int(row["output_w"]))
        if step.kind in ("conv", "deconv"):
            assert step.name == row["name"].replace("-", "_").replace("seg_score_voc", "score")
            assert geometry(step.module) == tuple(int(row[key]) for key in ("kernel", "stride", "pad", "dilation"))
            assert step.inputs[0] == narrowed(row["in_channels"])
        if "4096" not in (row["in_channels"], row["out_channels"]):
            assert parameters(step.module) == int(row["params"])


def test_the_average_pool_of_deeplab_counts_its_padding() -> None:
    averaged = DeepLabLargeFOV(architectures.info("deeplab-largefov"), 3, (32, 32)).pool5a(torch.ones(1, 1, 3, 3))
    expected = torch.tensor([[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]) / 9
    torch.testing.assert_close(averaged[0, 0], expected)
