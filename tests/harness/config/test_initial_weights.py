"""`--encoder-weights`: which file each network takes, and what is refused before anything is trained."""

import hashlib
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

import architectures
from architectures.external.wrapper import ForeignNetwork
from harness.config.initial_weights import OWN_IMAGENET, fitted, locate, resolve
from harness.config.protocol import load_protocol
from harness.config.request import RunRequest
from harness.config.run_spec import InitialWeights
from harness.config.worker_job import WorkerJob
from harness.system.errors import UserError
from harness.training.model import build_network
from tests.harness.commands import assert_one_line, harness, tiny
from tests.harness.helpers import spec

TIMM = "smp:FPN/tu-mobilenetv3_small_050"


@pytest.fixture(scope="module")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vgg") / "vgg.safetensors"
    state = {"features.0.weight": torch.ones(64, 3, 3, 3), "features.0.bias": torch.ones(64)}
    save_file(state, path, metadata={"source": "VGG16, one layer"})
    return path


@pytest.fixture(scope="module")
def mobile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mobile") / "mobile.safetensors"
    torch.manual_seed(1)
    state = timm.create_model("mobilenetv3_small_050", pretrained=False).state_dict()
    save_file(state, path, metadata={"source": "MobileNet,  made up"})
    return path


def of(path: Path, title: str) -> InitialWeights:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return InitialWeights(kind="file", sha256=digest, title=title)


def test_each_network_takes_the_first_that_fits_its_encoder(vgg: Path, mobile: Path) -> None:
    given = resolve([str(mobile), str(vgg), "imagenet", "none"])
    segnet, ours, theirs, basic = (
        architectures.info(name) for name in ("segnet", TIMM, "smp:Unet/resnet34", "segnet-basic")
    )
    assert fitted(segnet, given) == of(vgg, "VGG16, one layer")
    assert fitted(ours, given) == of(mobile, "MobileNet, made up")
    assert fitted(theirs, given).title == OWN_IMAGENET.title
    assert fitted(basic, given).title == "He et al."
    assert fitted(ours, resolve(["none", str(mobile)])).kind == "none"


def test_each_run_s_own_file_is_located(vgg: Path, mobile: Path) -> None:
    given = resolve([str(mobile), str(vgg)])
    names = ("segnet", TIMM)
    specs = [spec(architecture=name, initial_weights=fitted(architectures.info(name), given)) for name in names]
    assert specs[0].run_id != spec().run_id
    files = locate(specs, given)
    assert [files[one.initial_weights.key] for one in specs] == [vgg.resolve(), mobile.resolve()]
    assert locate(specs[:1], given).keys() == {specs[0].initial_weights.key}


def test_what_fits_no_given_file_is_refused_by_name(vgg: Path, mobile: Path, tmp_path: Path) -> None:
    for name, files, says in (
        (TIMM, [vgg], rf"{vgg}: holds no encoder layer of {TIMM}, which needs timm's mobilenetv3_small_050"),
        ("segnet", [mobile], rf"{mobile}: holds no encoder layer of segnet, which needs VGG16's"),
        ("smp:Unet/tu-resnet18", [vgg, mobile], rf"{vgg}: .*; {mobile}: .* needs timm's resnet18"),
        (
            "smp:Unet/resnet34",
            [mobile],
            rf"smp:Unet/resnet34 can't start from {mobile}, which takes an encoder of timm \(smp:DECODER/"
            r"tu-NAME\): give --encoder-weights imagenet \(its library's own\) or none",
        ),
        ("segnet-basic", [vgg], rf"segnet-basic can't start from {vgg}: give --encoder-weights none"),
    ):
        with pytest.raises(UserError, match=says) as caught:
            fitted(architectures.info(name), resolve([str(path) for path in files]))
        assert "\n" not in str(caught.value)
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    with pytest.raises(architectures.ArchitectureError, match=r"broken\.pth: is damaged"):
        fitted(architectures.info("segnet"), resolve([str(tmp_path / "broken.pth"), str(vgg)]))


def job(path: Path, folder: Path, **changes: object) -> WorkerJob:
    return WorkerJob(
        spec=spec(architecture=TIMM, initial_weights=of(path, "MobileNet"), **changes),
        request=RunRequest(results=folder, work=folder, weights={of(path, "MobileNet").key: path}),
    )


def test_a_run_starts_from_the_file_and_converts_the_protocol_s_input(mobile: Path, tmp_path: Path) -> None:
    protocol = load_protocol("camvid@2")
    network, layers_set = build_network(job(mobile, tmp_path, protocol=protocol), (64, 64))
    assert isinstance(network, ForeignNetwork)
    weight = network.encoder_module().get_parameter("model.conv_stem.weight")
    torch.manual_seed(1)
    whole = timm.create_model("mobilenetv3_small_050", pretrained=False)
    assert torch.equal(weight, whole.conv_stem.weight)
    assert len(layers_set) > 10
    gray = torch.tensor([100.0, 150.0, 200.0])
    given = (gray - torch.tensor(protocol.input_mean)) / torch.tensor(protocol.input_std)
    assert network.input_scale is not None and network.input_shift is not None
    converted = given * network.input_scale.flatten() + network.input_shift.flatten()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])  # timm's of this one
    torch.testing.assert_close(converted, (gray / 255 - mean) / std)


def test_a_protocol_whose_input_cannot_be_converted_is_refused(mobile: Path, tmp_path: Path) -> None:
    protocol = load_protocol("decoders@2").override({"size": "64x64"})
    with pytest.raises(UserError, match=r"weights by timm's names want .* protocol decoders@2\+size=64x64"):
        build_network(job(mobile, tmp_path, protocol=protocol), (64, 64))


def test_the_option_is_repeated_and_a_misfit_ends_the_command(vgg: Path, mobile: Path, tmp_path: Path) -> None:
    both = ["--encoder-weights", str(vgg), "--encoder-weights", str(mobile)]
    done = harness(*tiny("segnet", TIMM), *both, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("to do") == 2
    done = harness(*tiny("segnet", TIMM), *both[:2], "--dry-run", cwd=tmp_path)
    assert_one_line(done, "vgg.safetensors: holds no encoder layer of " + TIMM)
