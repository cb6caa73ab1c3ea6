"""Encoders of segmentation_models.pytorch from files of timm's weights."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import architectures
from architectures.architecture_info import EncoderMismatch, WeightsError
from architectures.encoders.timm_weights import check_timm_file, load_timm_encoder, pretrained_input
from architectures.encoders.weights_files import Channels
from architectures.external.wrapper import ForeignNetwork

LITE = "smp:Unet/tu-tf_efficientnet_lite0"
SMALL = "smp:FPN/tu-mobilenetv3_small_050"
MEAN: Channels = (123.68, 116.779, 103.939)
STD: Channels = (58.0, 57.0, 56.0)
GREY = (127.5, 127.5, 127.5)


def fresh(name: str, size: tuple[int, int] = (64, 64)) -> ForeignNetwork:
    network = architectures.build(name, 5, size)
    assert isinstance(network, ForeignNetwork)
    return network.eval()


def timm_model(name: str) -> nn.Module:
    """Timm's whole model with batch-norm statistics that are not the initial ones."""
    torch.manual_seed(1)
    model: nn.Module = timm.create_model(architectures.info(name).timm_encoder, pretrained=False)
    with torch.no_grad():
        for key, buffer in model.named_buffers():
            if key.endswith("running_mean"):
                buffer.normal_(std=0.1)
            elif key.endswith("running_var"):
                buffer.uniform_(0.5, 2.0)
    return model.eval()


def save(path: Path, state: dict[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    save_file({key: value.contiguous() for key, value in state.items()}, path, metadata=metadata)
    return path


@pytest.fixture(scope="module")
def lite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("weights") / "lite0.safetensors", timm_model(LITE).state_dict())


def test_the_encoder_is_timm_s_on_timm_s_input(lite_file: Path) -> None:
    """Features of our images are those of timm's model on the same images as it wants them, borders too."""
    network = fresh(LITE)
    decoder = {key: p.clone() for key, p in network.named_parameters() if ".encoder." not in key}
    layers_set = load_timm_encoder(network, lite_file, MEAN, STD)
    encoder = network.encoder_module()
    assert len(layers_set) == sum(isinstance(module, nn.Conv2d) for module in encoder.modules())
    assert all(torch.equal(network.get_parameter(key), value) for key, value in decoder.items())
    whole = timm_model(LITE)
    stored = whole.state_dict()
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, stored[key.removeprefix("model.")]), key

    levels = torch.rand(2, 3, 64, 64) * 255
    as_given = (levels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    as_wanted = (levels / 255 - 0.5) / 0.5
    seen: list[Tensor] = []
    hook = encoder.register_forward_hook(lambda module, inputs, maps: seen.append(maps[-1]))
    with torch.no_grad():
        logits = network(as_given)
        expected = whole.blocks(whole.bn1(whole.conv_stem(as_wanted)))  # type: ignore[operator]
        hook.remove()
        assert torch.equal(logits, network.network(as_given * network.input_scale + network.input_shift))
    torch.testing.assert_close(seen[0], expected, rtol=1e-3, atol=1e-4)


def test_the_conversion_of_the_input_is_scale_and_shift_and_travels_with_the_weights(lite_file: Path) -> None:
    network = fresh(LITE)
    plain = set(network.state_dict())
    load_timm_encoder(network, lite_file, MEAN, STD)
    state = network.state_dict()
    assert set(state) - plain == {"input_scale", "input_shift"}
    assert pretrained_input("tf_efficientnet_lite0") == (GREY, GREY)
    assert state["input_scale"].flatten().tolist() == pytest.approx([s / 127.5 for s in STD])
    assert state["input_shift"].flatten().tolist() == pytest.approx([(m - 127.5) / 127.5 for m in MEAN])
    other = fresh(LITE)
    other.load_state_dict(state)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(other(images), network(images))


def test_padding_is_the_mean_that_the_weights_want(lite_file: Path) -> None:
    """An odd size: images are converted, then padded with zeros."""
    network = fresh(LITE, (61, 83))
    load_timm_encoder(network, lite_file, MEAN, STD)
    images = torch.randn(1, 3, 61, 83)
    converted = images * network.input_scale + network.input_shift  # type: ignore[operator]
    with torch.no_grad():
        expected = network.network(nn.functional.pad(converted, (0, 13, 0, 3)))[:, :, :61, :83]
        assert torch.equal(network(images), expected)


# encoders whose modules smp and timm name the same, flattened, and wrapped once more
@pytest.mark.parametrize(
    "name",
    [
        SMALL,
        "smp:Unet/tu-resnet18",
        "smp:UPerNet/tu-convnextv2_atto",
        "smp:FPN/tu-efficientformer_l1",
        "smp:DeepLabV3Plus/tu-regnety_002",
    ],
)
def test_encoders_of_any_kind_take_their_whole_state(name: str, tmp_path: Path) -> None:
    stored = timm_model(name).state_dict()
    path = save(tmp_path / "a.safetensors", stored)
    check_timm_file(path, architectures.info(name))
    network = fresh(name, (64, 64))
    before = network.encoder_module().state_dict()
    assert len(load_timm_encoder(network, path, MEAN, STD)) > 10
    flat = {key.replace(".", "_"): value for key, value in stored.items()}
    after = network.encoder_module().state_dict()
    assert before.keys() == after.keys()
    for key, value in after.items():
        bare = key.removeprefix("model.").removeprefix("model.").replace(".", "_")
        assert torch.equal(value, flat[bare]), key


def test_pth_files_and_missing_counters_are_taken(tmp_path: Path) -> None:
    state = timm_model(SMALL).state_dict()
    torch.save({k: v for k, v in state.items() if not k.endswith("batches_tracked")}, tmp_path / "a.pth")
    check_timm_file(tmp_path / "a.pth", architectures.info(SMALL))
    network = fresh(SMALL)
    load_timm_encoder(network, tmp_path / "a.pth", MEAN, STD)
    assert torch.equal(network.encoder_module().state_dict()["model.conv_stem.weight"], state["conv_stem.weight"])


def broken(**changes: Tensor | None) -> dict[str, Tensor]:
    state = dict(timm_model(SMALL).state_dict())
    for key, value in changes.items():
        name = key.replace("__", ".")
        if value is None:
            del state[name]
        else:
            state[name] = value
    return state


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"conv_stem__weight": None, "bn1__bias": None}, r"missing: conv_stem\.weight, bn1\.bias$"),
        ({"bn1__running_var": None}, r"missing: bn1\.running_var$"),
        ({"extra__weight": torch.zeros(1), "more": torch.zeros(1)}, r"unexpected: extra\.weight, more$"),
        (
            {"conv_stem__weight": torch.zeros(16, 1, 3, 3)},
            r"of another shape: conv_stem\.weight \(16, 1, 3, 3\), not \(16, 3, 3, 3\)$",
        ),
        ({"bn1__bias": torch.full((16,), torch.nan)}, r"bn1\.bias holds values that are not finite"),
        ({"bn1__bias": torch.zeros(16, dtype=torch.int32)}, r"bn1\.bias is torch\.int32"),
    ],
)
def test_what_does_not_fit_is_named_and_changes_nothing(
    changes: dict[str, Tensor | None], says: str, tmp_path: Path
) -> None:
    path = save(tmp_path / "a.safetensors", broken(**changes))
    network = fresh(SMALL)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(WeightsError, match=says) as caught:
        load_timm_encoder(network, path, MEAN, STD)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in after.items())


def test_a_classifier_is_left_out_whatever_its_shape(tmp_path: Path) -> None:
    path = save(tmp_path / "a.safetensors", broken(classifier__weight=torch.zeros(7, 1024), classifier__bias=None))
    load_timm_encoder(fresh(SMALL), path, MEAN, STD)


def test_a_file_of_another_encoder_is_refused_by_name(lite_file: Path, tmp_path: Path) -> None:
    info = architectures.info(SMALL)
    with pytest.raises(EncoderMismatch, match=r"lite0\.safetensors: does not fit smp:FPN/tu-mobilenetv3_small"):
        check_timm_file(lite_file, info)
    vgg = save(tmp_path / "vgg.safetensors", {"features.0.weight": torch.zeros(64, 3, 3, 3)})
    says = r"vgg\.safetensors: holds no encoder layer of smp:FPN/.*, which needs timm's mobilenetv3_small_050"
    with pytest.raises(EncoderMismatch, match=says):
        check_timm_file(vgg, info)


def test_a_declared_input_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.safetensors", timm_model(SMALL).state_dict(), {"input": "RGB 0-255 minus mean"})
    with pytest.raises(WeightsError, match="metadata 'input' is 'RGB 0-255 minus mean', but weights by timm's"):
        load_timm_encoder(fresh(SMALL), path, MEAN, STD)
