"""Loading VGG16's weights."""

import os
import pickle
import urllib.error
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

import architectures
from architectures.architecture_info import EncoderMismatch, WeightsError
from architectures.base import Architecture
from architectures.encoders.weights import (
    TORCHVISION_STD,
    check_encoder_file,
    imagenet_vgg16,
    load_encoder_weights,
)
from architectures.layers import BatchNorm2d

RAW = "RGB 0-255 minus mean (123.68,116.779,103.939)"
CONVOLUTIONS = tuple(f"conv{i}_{j}" for i, n in enumerate((2, 2, 3, 3, 3), 1) for j in range(1, n + 1))
INDICES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
WIDTHS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)


class Tiny(Architecture):
    """Two encoder layers of four maps."""

    def __init__(self) -> None:
        super().__init__(architectures.info("segnet"), 2, (32, 32))
        self.conv1_1 = nn.Conv2d(3, 4, 3, padding=1)
        self.bn = BatchNorm2d(4)
        self.conv1_2 = nn.Conv2d(4, 2, 3, padding=1)

    def logits(self, images: Tensor) -> Tensor:
        x: Tensor = self.conv1_2(self.bn(self.conv1_1(images)))
        return x

    def encoder_layers(self) -> Mapping[str, nn.Conv2d]:
        return {"conv1_1": self.conv1_1, "conv1_2": self.conv1_2}


@pytest.fixture
def tiny() -> Tiny:
    torch.manual_seed(0)
    return Tiny()


def tiny_state() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = {"features.0.weight": (4, 3, 3, 3), "features.0.bias": (4,)}
    shapes |= {"features.2.weight": (2, 4, 3, 3), "features.2.bias": (2,)}
    return {key: torch.randn(shape, generator=generator) for key, shape in shapes.items()}


def vgg16_state() -> dict[str, Tensor]:
    """Made-up weights in the shapes of torchvision's VGG16, overlapping in memory to be small on disk."""
    state = {}
    for i, (index, inputs, outputs) in enumerate(zip(INDICES, WIDTHS, WIDTHS[1:], strict=False)):
        state[f"features.{index}.weight"] = torch.full((1,), i + 0.5).expand(outputs, inputs, 3, 3)
        state[f"features.{index}.bias"] = torch.full((outputs,), i + 0.25)
    state["classifier.0.weight"] = torch.arange(4096.0 + 25088).as_strided((4096, 25088), (1, 1))
    state["classifier.0.bias"] = torch.arange(4096.0)
    state["classifier.3.weight"] = torch.arange(3 * 4096.0).as_strided((4096, 4096), (2, 1))
    state["classifier.3.bias"] = -torch.arange(4096.0)
    state["classifier.6.weight"] = torch.zeros(1).expand(1000, 4096)
    state["classifier.6.bias"] = torch.zeros(1000)
    return state


def save(path: Path, state: object) -> Path:
    torch.save(state, path)
    return path


VGG_SIZED = ["segnet", "fcn8s", "deeplab-largefov", "deconvnet"]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in ("fcn8s", "deconvnet"))) for n in VGG_SIZED]
)
def test_the_real_file_sets_the_whole_encoder(name: str, shared: Path) -> None:
    path = shared / "data/weights/vgg16_imagenet_conv1-conv5.fp16.safetensors"
    check_encoder_file(path, name)
    network = architectures.build(name, 11, (64, 64))
    layers = network.encoder_layers()
    untouched = {key: layers[key].weight.clone() for key in layers if key not in CONVOLUTIONS}
    assert load_encoder_weights(network, path) == CONVOLUTIONS
    with safe_open(path, framework="pt") as file:
        for key, index in zip(CONVOLUTIONS, INDICES, strict=True):
            weight, bias = (file.get_tensor(f"features.{index}.{kind}") for kind in ("weight", "bias"))
            assert weight.dtype == torch.float16 and layers[key].weight.dtype == torch.float32
            # the harness divides all channels by 58, so that even conv1_1 stays as it is
            assert torch.equal(layers[key].weight, weight.float())
            assert torch.equal(layers[key].bias, bias.float())  # type: ignore[arg-type]
    assert all(torch.equal(layers[key].weight, value) for key, value in untouched.items())


def test_values_of_half_the_precision_are_converted_before_they_are_scaled(tiny: Tiny, tmp_path: Path) -> None:
    state = {key: value.half() for key, value in tiny_state().items()}
    load_encoder_weights(tiny, save(tmp_path / "a.pth", state), (60.0, 50.0, 70.0))
    ratio = torch.tensor((60.0, 50.0, 70.0), dtype=torch.float64) / torch.tensor(TORCHVISION_STD)
    factors = (ratio / ratio.mean()).float()[:, None, None]
    assert torch.equal(tiny.conv1_1.weight, state["features.0.weight"].float() * factors)
    assert torch.equal(tiny.conv1_2.weight, state["features.2.weight"].float())


def test_a_file_of_another_encoder_is_told_by_its_names(tmp_path: Path) -> None:
    path = save(tmp_path / "a.pth", {"conv_stem.weight": torch.zeros(4, 3, 3, 3)})
    with pytest.raises(EncoderMismatch, match=r"a\.pth: holds no encoder layer of segnet, which needs VGG16's"):
        check_encoder_file(path, "segnet")
    check_encoder_file(save(tmp_path / "b.pth", tiny_state()), "segnet")


@pytest.mark.parametrize("name", ["segnet", "deconvnet"])
def test_only_the_encoder_is_set_where_no_fully_connected_layer_fits(name: str, tmp_path: Path) -> None:
    path = save(tmp_path / "vgg16.pth", vgg16_state())
    network = architectures.build(name, 3, (32, 32))
    others = {key: p.clone() for key, p in network.named_parameters() if not key.startswith("encoder")}
    assert load_encoder_weights(network, path) == CONVOLUTIONS
    for i, name in enumerate(CONVOLUTIONS[1:], start=1):
        layer = network.encoder_layers()[name]
        assert layer.bias is not None
        assert (layer.weight == i + 0.5).all() and (layer.bias == i + 0.25).all()
    assert all(torch.equal(network.get_parameter(key), value) for key, value in others.items())


def test_fcn8s_takes_the_classifier_whole(tmp_path: Path) -> None:
    path = save(tmp_path / "vgg16.pth", vgg16_state())
    with torch.device("meta"):
        network = architectures.build("fcn8s", 3, (32, 32))
    network.to_empty(device="cpu")  # drawing half a gigabyte that is replaced takes seconds
    assert load_encoder_weights(network, path) == (*CONVOLUTIONS, "fc6", "fc7")
    fc6, fc7 = (network.encoder_layers()[name] for name in ("fc6", "fc7"))
    assert fc6.bias is not None and fc7.bias is not None
    # classifier.0 reads the 512 maps of 7x7 one after another; its made-up value is output + input
    for out, channel, row, column in ((0, 0, 0, 0), (7, 3, 2, 5), (4095, 511, 6, 6)):
        assert fc6.weight[out, channel, row, column] == out + channel * 49 + row * 7 + column
    assert fc7.weight[10, 20, 0, 0] == 2 * 10 + 20
    assert fc6.bias[4095] == 4095 and fc7.bias[4095] == -4095


def test_deeplab_takes_the_classifier_decimated(tmp_path: Path) -> None:
    path = save(tmp_path / "vgg16.pth", vgg16_state())
    network = architectures.build("deeplab-largefov", 3, (32, 32))
    assert load_encoder_weights(network, path) == (*CONVOLUTIONS, "fc6", "fc7")
    fc6, fc7 = (network.encoder_layers()[name] for name in ("fc6", "fc7"))
    assert fc6.bias is not None and fc7.bias is not None
    for out, channel, row, column in ((0, 0, 0, 0), (7, 3, 2, 1), (1023, 511, 2, 2)):
        assert fc6.weight[out, channel, row, column] == 4 * out + channel * 49 + 3 * row * 7 + 3 * column
    assert fc7.weight[10, 20, 0, 0] == 2 * 40 + 80
    assert fc6.bias[1023] == 4092 and fc7.bias[1023] == -4092


@pytest.mark.parametrize(("metadata", "weights_std"), [({"input": RAW}, (1.0, 1.0, 1.0)), (None, TORCHVISION_STD)])
@pytest.mark.parametrize("input_std", [(58.0, 58.0, 58.0), (60.0, 50.0, 70.0)])
def test_conv1_1_sees_what_it_was_trained_on(
    tiny: Tiny,
    tmp_path: Path,
    metadata: dict[str, str] | None,
    weights_std: tuple[float, float, float],
    input_std: tuple[float, float, float],
) -> None:
    """Behind batch norm, converted weights on our input are the file's weights on their input."""
    state = tiny_state()
    save_file(state, tmp_path / "a.safetensors", metadata=metadata)
    assert load_encoder_weights(tiny, tmp_path / "a.safetensors", input_std) == ("conv1_1", "conv1_2")
    assert torch.equal(tiny.conv1_2.weight, state["features.2.weight"])
    levels = 100 * torch.randn(2, 3, 16, 16)

    def scaled(std: tuple[float, float, float]) -> Tensor:
        return levels / torch.tensor(std).reshape(1, 3, 1, 1)

    theirs = nn.functional.conv2d(scaled(weights_std), state["features.0.weight"], padding=1)
    ours = nn.functional.conv2d(scaled(input_std), tiny.conv1_1.weight, padding=1)
    torch.testing.assert_close(tiny.bn(ours), tiny.bn(theirs), rtol=1e-3, atol=1e-4)


def test_part_of_the_encoder_is_enough(tiny: Tiny, tmp_path: Path) -> None:
    state = {key: value for key, value in tiny_state().items() if key.startswith("features.2")}
    before = tiny.conv1_1.weight.clone()
    assert load_encoder_weights(tiny, save(tmp_path / "a.pth", state)) == ("conv1_2",)
    assert torch.equal(tiny.conv1_1.weight, before)


def broken(**changes: Tensor | None) -> dict[str, Tensor]:
    state = tiny_state()
    for key, value in changes.items():
        if value is None:
            del state[key.replace("_", ".")]
        else:
            state[key.replace("_", ".")] = value
    return state


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (broken(features_2_weight=torch.zeros(2, 4, 5, 5)), r"features\.2\.weight is .*needs floats \(2, 4, 3, 3\)"),
        (broken(features_2_bias=torch.zeros(3)), r"features\.2\.bias is .* \(3,\), but conv1_2 needs"),
        (broken(features_2_bias=torch.zeros(2, dtype=torch.int64)), r"features\.2\.bias is torch\.int64"),
        (broken(features_2_bias=torch.tensor([0.0, torch.nan])), r"features\.2\.bias holds values that are not"),
        (broken(features_2_bias=None), r"features\.2\.bias is missing"),
        (broken(features_2_weight=None), r"features\.2\.weight is missing"),
        ({"encoder.weight": torch.zeros(1)}, r"holds no encoder layer of segnet"),
        ({}, r"holds no encoder layer of segnet"),
        ({"state_dict": tiny_state()}, r"is not a state dict"),
        ([torch.zeros(1)], r"is not a state dict"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(
    tiny: Tiny, tmp_path: Path, state: object, message: str
) -> None:
    before = {key: value.clone() for key, value in tiny.state_dict().items()}
    with pytest.raises(WeightsError, match=message) as caught:
        load_encoder_weights(tiny, save(tmp_path / "a.pth", state))
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in tiny.state_dict().items())


class Harmful:
    """Makes a folder when unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_pickled_code_is_refused_and_not_run(tiny: Tiny, tmp_path: Path) -> None:
    harmful = Harmful(tmp_path / "ran")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(harmful, protocol=2))
    for path in (save(tmp_path / "a.pth", {"features.0.weight": harmful}), tmp_path / "b.pth"):
        with pytest.raises(WeightsError, match="pickled code, which is not run"):
            load_encoder_weights(tiny, path)
    assert not (tmp_path / "ran").exists()


def test_missing_folder_and_foreign_files_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such weights file"):
        load_encoder_weights(tiny, tmp_path / "none.pth")
    with pytest.raises(WeightsError, match="no such weights file"):
        load_encoder_weights(tiny, tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match=r"must be a \.safetensors or \.pth file"):
        load_encoder_weights(tiny, tmp_path / "vgg16.caffemodel")
    (tmp_path / "folder.pth").mkdir()
    with pytest.raises(WeightsError, match="cannot be read"):
        load_encoder_weights(tiny, tmp_path / "folder.pth")


def test_unknown_input_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    save_file(tiny_state(), tmp_path / "a.safetensors", metadata={"input": "BGR 0-1"})
    with pytest.raises(WeightsError, match="'BGR 0-1', but must begin with 'RGB 0-255 minus mean'"):
        load_encoder_weights(tiny, tmp_path / "a.safetensors")


@pytest.mark.parametrize("std", [(58.0, 0.0, 58.0), (58.0, -1.0, 58.0), (58.0, float("nan"), 58.0)])
def test_bad_input_std_is_refused(tiny: Tiny, tmp_path: Path, std: tuple[float, float, float]) -> None:
    before = tiny.conv1_1.weight.clone()
    with pytest.raises(WeightsError, match="three positive numbers"):
        load_encoder_weights(tiny, save(tmp_path / "a.pth", tiny_state()), std)
    assert torch.equal(tiny.conv1_1.weight, before)


def test_imagenet_vgg16_takes_a_given_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such weights file"):
        imagenet_vgg16(tmp_path / "a.pth")
    (tmp_path / "a.pth").touch()
    assert imagenet_vgg16(tmp_path / "a.pth") == tmp_path / "a.pth"


def test_imagenet_vgg16_downloads_once_into_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, str]] = []

    def download(url: str, dst: str, hash_prefix: str) -> None:
        calls.append((url, hash_prefix))
        Path(dst).touch()

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    expected = tmp_path / "hub" / "checkpoints" / "vgg16-397923af.pth"
    assert imagenet_vgg16() == expected
    assert imagenet_vgg16() == expected
    assert len(calls) == 1
    assert calls[0][0].endswith("/vgg16-397923af.pth") and calls[0][1] == "397923af"


@pytest.mark.parametrize("error", [urllib.error.URLError("no route to host"), RuntimeError("invalid hash value\nx")])
def test_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(url: str, dst: str, hash_prefix: str) -> None:
        raise error

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(WeightsError, match=r"fetch .*/vgg16-397923af\.pth and put it into") as caught:
        imagenet_vgg16()
    assert str(tmp_path / "hub" / "checkpoints") in str(caught.value) and "\n" not in str(caught.value)
