"""The suite `modern`, and networks from elsewhere from the command line to the report."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import architectures
from harness.config.initial_weights import (
    IMAGENET,
    OWN_IMAGENET,
    GivenWeights,
    check_input,
    fitted,
    locate,
    resolve,
    takes_own,
)
from harness.config.planning import plan
from harness.config.protocol import load_protocol
from harness.config.request import RunRequest
from harness.config.run_spec import InitialWeights
from harness.config.suite import load_suite
from harness.system.errors import UserError
from tests.harness.commands import ROOT, assert_one_line, harness, tiny, with_cache
from tests.harness.helpers import spec, tiny_protocol

FILE = InitialWeights(kind="file", sha256="ab" * 32, title="some.pth")
CHANNELS = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


def test_a_plan_names_how_each_network_starts() -> None:
    suite = load_suite("quick").model_copy(update={"recipes": (dict(tiny_protocol().overrides),)})
    asked = RunRequest(architectures=("segnet", "smp:Unet/resnet34", "torchvision:fcn_resnet50"))
    specs = plan(asked, suite).specs
    assert [one.initial_weights.title for one in specs] == [
        "He et al.",
        "random, as segmentation_models.pytorch draws it",
        "random, as torchvision draws it",
    ]
    assert specs[1].run_id.startswith("smp-Unet-resnet34-roads-s0-")
    assert specs[0].run_id == spec().run_id


def test_imagenet_weights_are_the_library_s_own() -> None:
    smp, segnet = architectures.info("smp:Unet/resnet34"), architectures.info("segnet")
    given = resolve(["imagenet"])
    own = fitted(smp, given)
    assert own.model_copy(update={"release": ""}) == OWN_IMAGENET and takes_own(smp, IMAGENET)
    assert fitted(segnet, given) == IMAGENET and not takes_own(segnet, IMAGENET)
    with pytest.raises(UserError, match=r"segnet-basic can't start from VGG16 .*: give --encoder-weights none$"):
        fitted(architectures.info("segnet-basic"), given)


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("smp:Unet/resnet34", r"smp-hub/resnet34\.imagenet@[0-9a-f]{40}"),
        ("smp:FPN/resnet34", r"smp-hub/resnet34\.imagenet@[0-9a-f]{40}"),
        ("smp:Unet/tu-tf_efficientnet_lite0", r"timm/tf_efficientnet_lite0\.in1k"),
        ("torchvision:fcn_resnet50", r"torchvision/fcn_resnet50 backbone IMAGENET1K_V1"),
        ("segnet", ""),
    ],
)
def test_published_weights_are_named_without_a_download(name: str, release: str) -> None:
    assert re.fullmatch(release, architectures.pretrained_release(name))


def test_a_file_is_looked_for_only_where_a_network_loads_it() -> None:
    theirs = spec(architecture="smp:Unet/resnet34", initial_weights=OWN_IMAGENET)
    given = [*resolve(["imagenet"]), GivenWeights(weights=FILE, file=Path("some.pth"))]
    assert locate([theirs], given) == {}  # without it VGG16's 528 MB would be downloaded
    assert locate([theirs, spec(initial_weights=FILE)], given) == {FILE.key: Path("some.pth")}


def test_a_protocol_must_give_the_input_that_the_weights_want() -> None:
    for name in ("camvid-modern@2", "camvid@2"):  # the latter's 58 is within 2 %
        check_input("n", load_protocol(name), *CHANNELS)
    for name in ("decoders@2", "quick@2"):
        with pytest.raises(UserError, match=rf"n: .* want input .*, which protocol {name} does not give"):
            check_input("n", load_protocol(name), *CHANNELS)
    with pytest.raises(UserError, match="camvid@2"):
        check_input("n", load_protocol("camvid@2"), (127.5,) * 3, (127.5,) * 3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "smp:Unett/resnet34"], ["did you mean 'Unet'"]),
        (["run", "smp:Unet/resnet3"], ["no encoder 'resnet3'", "did you mean 'resnet"]),
        (["run", "smp:PAN/resnet34", "--size", "64x64"], ["64x64 is too small for smp:PAN/resnet34"]),
        (["measure", "torchvision:vgg"], ["unknown architecture 'torchvision:vgg'"]),
        (["check", "timm:resnet"], ["known are smp:DECODER/ENCODER, torchvision:NETWORK"]),
        (["check", "raising", "--plugin", "raising:raising"], ["importing raising raised ZeroDivisionError"]),
        (["list", "--plugin", "raising:other:more"], ["write module:function"]),
        (["run", "nothing", "--plugin", "os:nothing"], ["os has no 'nothing'"]),
        (["measure", "--plugin", "nowhere:net"], ["no module 'nowhere'", "PYTHONPATH"]),
    ],
)
def test_bad_input_is_one_line_and_code_2(arguments: list[str], says: list[str], tmp_path: Path) -> None:
    (tmp_path / "raising.py").write_text("1 / 0")
    assert_one_line(harness(*arguments, cwd=tmp_path), *says)


def test_list_names_libraries_and_plugins_without_torch(tmp_path: Path) -> None:
    (tmp_path / "light.py").write_text("def net(num_classes):\n    import torch\n    return torch.nn.Flatten()\n")
    done = harness("list", "--plugin", "light:net", cwd=tmp_path)
    for text in ("smp:DECODER/ENCODER", "torchvision:NETWORK", "plugin light:net", "camvid-modern@2"):
        assert text in done.stdout, done.stderr
    code = "import sys; sys.argv = ['harness', 'list', '--plugin', 'light:net']\n"
    code += "import harness.__main__ as m\ntry: m.main()\nexcept SystemExit: pass\n"
    code += "print('torch' in sys.modules, 'light' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "SEGNET_PLUGINS": ""}
    shown = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=tmp_path, env=environment)
    assert shown.endswith("False True\n")


def example() -> str:
    """The network that CONTRIBUTING.md shows."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "def tiny" in block]
    return str(code)


def test_the_ten_lines_of_contributing_are_a_network(tmp_path: Path) -> None:
    code = example()
    assert len([line for line in code.splitlines() if line]) == 10
    (tmp_path / "tiny.py").write_text(code)
    done = harness("check", "tiny", "--plugin", "tiny:tiny", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" ok ") >= 9 and "FAILED" not in done.stdout


def test_a_broken_network_fails_its_check(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("from torch import nn\ndef net(k): return nn.Conv2d(3, 7, 1)\n")
    done = harness("check", "net", "--plugin", "broken:net", cwd=tmp_path)
    assert done.returncode == 1 and "FAILED" in done.stdout
    assert "11 classes ask for" in " ".join(done.stdout.split())


@pytest.mark.slow
def test_networks_from_elsewhere_go_the_whole_street(tmp_path: Path, drawn_cache: Path) -> None:
    """Trained, measured and reported beside SegNet, by URI and by plugin; found again the second time."""
    (tmp_path / "tiny.py").write_text(example())
    names = ["tiny", "smp:Unet/mobilenet_v2"]
    arguments = [*tiny(*names, iterations=2), "--plugin", "tiny:tiny"]
    done = harness(*arguments, "--no-measure", cwd=with_cache(tmp_path, drawn_cache))
    assert done.returncode == 0, done.stdout + done.stderr
    once = ["--size", "32x40", "--threads", "1", "--preset", "quick", "--phase", "forward", "--plugin", "tiny:tiny"]
    done = harness("measure", *names, *once, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    runs = sorted((tmp_path / "results" / "runs").iterdir())
    assert [run.name.partition("-roads")[0] for run in runs] == ["smp-Unet-mobilenet_v2", "tiny"]
    record = json.loads((runs[0] / "record.json").read_text())
    assert record["spec"]["architecture"] == "smp:Unet/mobilenet_v2"
    assert record["environment"]["segmentation_models_pytorch"]
    measured = {path.name for path in (tmp_path / "results" / "measurements").rglob("*.json")}
    ran = {run.name.partition("-roads")[0] for run in runs}
    # a plugin's has the beginning of its source's hash too
    assert {re.sub(r"(-[0-9a-f]{8})?-32x40.*", "", name) for name in measured} == ran
    for path in (tmp_path / "results" / "measurements").rglob("*.json"):
        assert not [cell["failure"] for cell in json.loads(path.read_text())["cells"] if cell.get("failure")]
    again = harness(*arguments, "--no-measure", "--report", cwd=tmp_path)
    assert again.stdout.count("finished before, nothing to do") == 2
    page = (tmp_path / "reports" / "quick" / "README.md").read_text("utf-8")
    for name in names:
        assert f"| {name} |" in page
