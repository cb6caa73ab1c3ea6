"""Readers given files with bytes changed, cut out or put in: a valid result or one of our errors, at once.

Files with a checksum give what was written, or are refused: never something else.
"""

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import datasets
from architectures.architecture_info import ArchitectureError
from architectures.encoders.weights import load_encoder_weights
from datasets import DatasetError
from datasets.archive import unpack
from datasets.cache import open_split
from datasets.files import read_list
from datasets.folder.labels import apply_table, class_table, read_raw
from datasets.folder.settings import Settings, read_settings
from datasets.pictures import read_image, read_label
from harness.config.protocol import Protocol, load_protocol, parse_size, parse_toml, validated
from harness.config.suite import Suite
from harness.records.measurement import read_record, save_measurement
from harness.records.run import load_run
from harness.system.errors import UserError
from harness.system.signals import parse_time
from harness.training.checkpoint import (
    DamagedWeights,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)
from tests.datasets.conftest import write_camvid
from tests.harness.profiling.test_record import make_cell, make_record
from tests.harness.report.made_up import Store, blocks, matrix

# A minute at most for them all, and no example that hangs.
bounded = settings(
    max_examples=120,
    deadline=5000,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@st.composite
def changes(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """What happens to a file: bytes set anywhere, then perhaps cut off, cut out or put in."""
    place = st.floats(0, 1, exclude_max=True)
    set_bytes = draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=6))
    how = draw(st.sampled_from(["set", "set", "set", "cut off", "cut out", "put in"]))
    start, length = draw(place), draw(st.integers(1, 40))
    extra = draw(st.binary(min_size=1, max_size=40)) if how == "put in" else b""

    def change(data: bytes) -> bytes:
        changed = bytearray(data)
        for share, value in set_bytes:
            changed[int(share * len(changed))] = value
        at = int(start * len(changed))
        if how == "cut off":
            del changed[at:]
        elif how == "cut out":
            del changed[at : at + length]
        changed[at:at] = extra
        return bytes(changed)

    return change


def one_line(error: Exception) -> bool:
    return "\n" not in str(error) and bool(str(error))


# -- what carries a checksum --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run's record."""
    store = Store(results=tmp_path_factory.mktemp("results"))
    scores = {"end": np.stack([matrix([100] * 11, wrong=7)] * 3)}
    spec = store.spec("segnet", protocol=load_protocol("quick@1"))
    return store.run(spec, scores, image_ids={"test_000": blocks((180, 240), 0)})


def content(folder: Path) -> list[object]:
    stored = load_run(folder)
    stored.check()
    found: list[object] = [stored.record, stored.history()]
    for evaluation in stored.record.evaluations:
        found.append(stored.matrices(evaluation).tobytes())
        found += [stored.boundary(evaluation).tobytes()] if evaluation.boundary else []
    return found


@pytest.mark.parametrize("summed", [True, False])
@pytest.mark.parametrize("name", ["record.json", "history.json", "scores.npz", "prediction-test_000.png"])
@given(change=changes())
@bounded
def test_records(run_folder: Path, tmp_path: Path, name: str, summed: bool, change: Callable[[bytes], bytes]) -> None:
    folder = tmp_path / run_folder.name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(run_folder, folder)
    (folder / name).write_bytes(change((run_folder / name).read_bytes()))
    if not summed:
        (folder / "SHA256SUMS").unlink()
    try:
        found = content(folder)
    except ValueError as error:
        assert type(error) is ValueError and one_line(error) and str(folder) in str(error)
    else:
        assert found == content(run_folder) or not summed


@given(change=changes())
@bounded
def test_checkpoints(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "checkpoint.pt"
    if not path.exists():
        tensors = {"weights": torch.arange(1000.0), "arrays": {"a": torch.arange(9)}}
        save_checkpoint(path, tensors=tensors, values={"iteration": 3, "history": [[1, 0.5, 0.1]]})
        shutil.copy(path, tmp_path / "whole")
    path.write_bytes(change((tmp_path / "whole").read_bytes()))
    damaged: list[str] = []
    stored = load_checkpoint(path, damaged.append)
    if stored is None:
        assert len(damaged) == 1 and str(path) in damaged[0] and "\n" not in damaged[0]
    else:
        tensors, values = stored
        assert torch.equal(tensors["weights"], torch.arange(1000.0))
        assert torch.equal(tensors["arrays"]["a"], torch.arange(9))
        assert values == {"iteration": 3, "history": [[1, 0.5, 0.1]]}


@given(change=changes())
@bounded
def test_weights_of_a_run(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    torch.manual_seed(0)
    model, path = nn.Conv2d(3, 4, 3), tmp_path / "best.safetensors"
    sha256 = save_weights(path, model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    path.write_bytes(change(path.read_bytes()))
    nn.init.zeros_(model.weight)
    try:
        load_weights(path, model, sha256)
    except DamagedWeights as error:
        assert one_line(error)
    else:
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    try:
        load_weights(path, model, None)  # of which no checksum is known
    except DamagedWeights as error:
        assert one_line(error)


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "manifest.json"])
@given(change=changes())
@bounded
def test_decoded_data(tmp_path: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    if not (tmp_path / "data").exists():
        write_camvid(tmp_path / "data")
    dataset = datasets.load("camvid", "val", tmp_path / "data")
    whole = open_split(dataset, (4, 5), tmp_path / "cache")
    images, labels = np.array(whole.images), np.array(whole.labels)
    (path,) = (tmp_path / "cache").glob(f"*/val-4x5/{name}")
    path.write_bytes(change(path.read_bytes()))
    found = open_split(dataset, (4, 5), tmp_path / "cache")
    assert np.array_equal(found.images, images) and np.array_equal(found.labels, labels)


# -- what does not ------------------------------------------------------------------------------------------


def picture(kind: str, shape: tuple[int, ...], top: int) -> bytes:
    target = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, top, shape).astype(np.uint8)
    Image.fromarray(pixels).save(target, format=kind)
    return target.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@given(change=changes())
@bounded
def test_images(tmp_path: Path, kind: str, change: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(change(picture(kind, (20, 24, 3), 256)))
    try:
        found = read_image(path)
    except DatasetError as error:
        assert one_line(error) and str(path) in str(error)
    else:
        assert found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] == 3


@given(change=changes())
@bounded
def test_labels(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(change(picture("PNG", (20, 24), 12)))
    try:
        found = read_label(path, 11, 11)
    except DatasetError as error:
        assert one_line(error) and str(path) in str(error)
    else:
        assert found.ndim == 2 and np.isin(found, [*range(11), 255]).all()


LABEL_FILES = {
    "gray": (np.tile(np.arange(8, dtype=np.uint8), (6, 1)), "PNG", None),
    "deep": (np.tile(np.arange(8, dtype=np.uint16), (6, 1)), "PNG", None),
    "palette": (np.tile(np.arange(8, dtype=np.uint8), (6, 1)), "PNG", "P"),
    "colors": (np.tile(np.arange(24, dtype=np.uint8).reshape(8, 3), (6, 1, 1)), "PNG", None),
    "tiff": (np.tile(np.arange(8, dtype=np.uint8), (6, 1)), "TIFF", None),
    "bmp": (np.tile(np.arange(8, dtype=np.uint8), (6, 1)), "BMP", None),
}


@pytest.mark.parametrize("name", LABEL_FILES)
@given(change=changes())
@settings(bounded, max_examples=60)
def test_labels_of_own_data(tmp_path: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    pixels, kind, mode = LABEL_FILES[name]
    target, path = io.BytesIO(), tmp_path / "a.png"
    file = Image.fromarray(pixels)
    (file if mode is None else file.convert(mode)).save(target, format=kind)
    path.write_bytes(change(target.getvalue()))
    colors = {(int(r), int(g), int(b)): n for n, (r, g, b) in enumerate(LABEL_FILES["colors"][0][0])}
    settings_ = Settings(origin=tmp_path / "dataset.toml", label_colors=colors)
    try:
        values, of_colors = read_raw(path, settings_)
    except DatasetError as error:
        assert one_line(error) and str(path) in str(error)
    else:
        assert values.ndim == 2 and values.dtype == np.uint16
        assert not of_colors or np.isin(values, range(8)).all()
        try:
            found = apply_table(values, class_table(settings_, 8), path)
        except DatasetError as error:
            assert one_line(error)
        else:
            assert np.isin(found, [*range(8), 255]).all()


SETTINGS_FILES = {
    "dataset.toml": (
        b'name = "x"\nclasses = ["a", "b"]\ncolors = [[0, 0, 9], [1, 2, 3]]\nignore = [7, 255]\nzero = "class"\n'
        b'mapping = { 3 = 1, 4 = "ignore" }\norientation = "apply"\nimages = "i/{split}"\nlabels = "m/{split}"\n'
    ),
    "data.yaml": (
        b"path: .\ntrain: images/train\nval: [images/val]\ntest:\nmasks_dir: masks\nnames:\n  0: a\n  1: b\n"
        b"label_mapping: {3: 1}\nx: &y [1, 2]\nz: [*y, *y]\n"
    ),
    "labelmap.txt": b"# label:color\nroad:10,20,30::\ncar:200,0,0:a,b:c\n",
    "class_dict.csv": b'name,r,g,b\n"a, b",10,20,30\ncar,200,0,0\n',
    "label_colors.txt": b"10 20 30\troad\n200 0 0\tcar one\n",
}
YAML_SIGNS = [
    "&a",
    "*a",
    "!!python/object:os.system",
    "{",
    "[",
    ": ",
    "- ",
    "? ",
    "1e999",
    ".nan",
    "2001-01-01",
    "\x00",
]


@pytest.mark.parametrize("name", SETTINGS_FILES)
@given(change=changes(), word=st.sampled_from([*YAML_SIGNS, "255", "-1", "''", "\n", "="]), place=st.floats(0, 1))
@settings(bounded, max_examples=60)
def test_settings_of_own_data(
    tmp_path: Path, name: str, change: Callable[[bytes], bytes], word: str, place: float
) -> None:
    whole = SETTINGS_FILES[name]
    at = int(place * len(whole))
    for data in (change(whole), whole[:at] + word.encode() + whole[at:]):
        (tmp_path / name).write_bytes(data)
        try:
            found = read_settings(tmp_path)
        except DatasetError as error:
            assert one_line(error) and str(tmp_path) in str(error)
        else:
            assert not found.classes or 2 <= len(found.classes) <= 254
            assert class_table(found, 3).shape == (65536,)


@given(text=st.text(max_size=200), change=changes())
@settings(bounded, max_examples=60)
def test_lists_of_own_data(tmp_path: Path, text: str, change: Callable[[bytes], bytes]) -> None:
    stems = ["a", "b.c", "d  e", "f,g", "ä"]
    files_ = {stem: tmp_path / f"{stem}.png" for stem in stems}
    sound = "".join(f"images/{stem}.png masks/{stem}.png\n" for stem in stems).encode()
    for data in (change(sound), text.encode("utf-8", "surrogatepass"), sound + text.encode("utf-8", "surrogatepass")):
        (tmp_path / "train.txt").write_bytes(data)
        problems: list[str] = []
        found = read_list(tmp_path / "train.txt", files_, files_, problems)
        assert all("\n" not in line for line in problems)
        assert all(pair.image in files_ for pair in found)
        assert len({pair.image for pair in found}) == len(found)


@given(change=changes())
@bounded
def test_archives(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("train/a.png", "trainannot/a.png", "train.txt"):
            archive.writestr(f"top/CamVid/{name}", name * 20)
    path, out = tmp_path / "a.zip", tmp_path / "out"
    path.write_bytes(change(target.getvalue()))
    shutil.rmtree(out, ignore_errors=True)
    try:
        unpack(path, out, "CamVid")
    except DatasetError as error:
        assert one_line(error)
    else:
        for file in (file for file in out.rglob("*") if file.is_file()):
            assert file.read_text("utf-8") in {name * 20 for name in ("train/a.png", "trainannot/a.png", "train.txt")}
    assert {path.name for path in tmp_path.iterdir()} <= {"a.zip", "out"}


class Tiny(nn.Module):
    """As much of an architecture as initial weights are put into."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def encoder_layers(self) -> dict[str, nn.Conv2d]:
        return {"conv1_1": self.conv}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@given(change=changes())
@bounded
def test_initial_weights(tmp_path: Path, suffix: str, change: Callable[[bytes], bytes]) -> None:
    from safetensors.torch import save

    state = {"features.0.weight": torch.ones(4, 3, 3, 3), "features.0.bias": torch.zeros(4)}
    path = tmp_path / f"a{suffix}"
    if suffix == ".pth":
        torch.save(state, path)
    else:
        path.write_bytes(save(state))
    path.write_bytes(change(path.read_bytes()))
    model = Tiny()
    try:
        load_encoder_weights(model, path)  # type: ignore[arg-type]
    except ArchitectureError as error:
        assert one_line(error) and str(path) in str(error)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


@given(change=changes())
@bounded
def test_measurements(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    path = save_measurement(tmp_path, make_record(make_cell()))
    path.write_bytes(change(path.read_bytes()))
    try:
        read_record(path)
    except UserError as error:
        assert one_line(error) and str(path) in str(error)


PROTOCOLS = Path(__file__).resolve().parent.parent.parent / "harness" / "config" / "protocols"
WORDS = [
    "size",
    "lr",
    "batch_size",
    "report_at",
    "nan",
    "inf",
    "-1",
    "1e999",
    "''",
    "[]",
    "{}",
    "true",
    "=",
    "\n",
    "0x",
]


@given(change=changes(), word=st.sampled_from(WORDS), place=st.floats(0, 1), lines=st.integers(0, 40))
@settings(bounded, max_examples=400)
def test_protocols(change: Callable[[bytes], bytes], word: str, place: float, lines: int) -> None:
    text = (PROTOCOLS / "quick@1.toml").read_bytes()
    at = int(place * len(text))
    mistyped = text[:at] + word.encode() + text[at:]
    for content in (change(text), mistyped, b"\n".join(text.splitlines()[:lines])):
        try:
            values = parse_toml(content, "protocol x", "x.toml")
            protocol = validated(Protocol, {"name": "x", **values}, "protocol x")
        except UserError as error:
            assert one_line(error)
        else:
            assert protocol.evaluation_points() and protocol.lr > 0


@given(
    values=st.dictionaries(
        st.sampled_from([*Suite.model_fields, "other"]),
        st.one_of(st.none(), st.text(), st.lists(st.text()), st.integers()),
    )
)
@bounded
def test_suites(values: dict[str, object]) -> None:
    try:
        validated(Suite, {"name": "x", **values}, "suite x")
    except UserError as error:
        assert one_line(error)


@given(text=st.one_of(st.text(), st.from_regex(r"\d+[xX]\d+"), st.from_regex(r"\d+[smh]")))
@settings(bounded, max_examples=300)
def test_sizes_and_times(text: str) -> None:
    for read in (parse_size, lambda text: parse_time(text, "budget")):
        try:
            read(text)
        except UserError as error:
            assert one_line(error)


@given(changed=st.dictionaries(st.sampled_from([*Protocol.model_fields, "other"]), st.text(max_size=12), max_size=3))
@settings(bounded, max_examples=300)
def test_overrides(changed: dict[str, str]) -> None:
    try:
        load_protocol("quick@1").override(changed)
    except UserError as error:
        assert one_line(error)
