"""Readers of pictures, labels, settings, lists and archives, of changed files and mistyped ones."""

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from datasets import DatasetError
from datasets.archive import unpack
from datasets.files import read_list
from datasets.folder.labels import apply_table, class_table, read_raw
from datasets.folder.settings import Settings, read_settings
from datasets.pictures import read_image, read_label
from tests.faults.fuzzing import bounded, changes, result_of


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
    found = result_of(lambda: read_image(path), DatasetError, path)
    assert found is None or (found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] == 3)


@given(change=changes())
@bounded
def test_labels(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(change(picture("PNG", (20, 24), 12)))
    found = result_of(lambda: read_label(path, 11, 11), DatasetError, path)
    assert found is None or (found.ndim == 2 and np.isin(found, [*range(11), 255]).all())


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
    if (raw := result_of(lambda: read_raw(path, settings_), DatasetError, path)) is not None:
        values, of_colors = raw
        assert values.ndim == 2 and values.dtype == np.uint16
        assert not of_colors or np.isin(values, range(8)).all()
        found = result_of(lambda: apply_table(values, class_table(settings_, 8), path), DatasetError)
        assert found is None or np.isin(found, [*range(8), 255]).all()


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
SIGNS = ["&a", "*a", "!!python/object:os.system", "{", "[", ": ", "- ", "? ", "1e999", ".nan", "2001-01-01", "\x00"]


@pytest.mark.parametrize("name", SETTINGS_FILES)
@given(change=changes(), word=st.sampled_from([*SIGNS, "255", "-1", "''", "\n", "="]), place=st.floats(0, 1))
@settings(bounded, max_examples=60)
def test_settings_of_own_data(
    tmp_path: Path, name: str, change: Callable[[bytes], bytes], word: str, place: float
) -> None:
    whole = SETTINGS_FILES[name]
    at = int(place * len(whole))
    for data in (change(whole), whole[:at] + word.encode() + whole[at:]):
        (tmp_path / name).write_bytes(data)
        found = result_of(lambda: read_settings(tmp_path), DatasetError, tmp_path)
        if found is not None:
            assert not found.classes or 2 <= len(found.classes) <= 254
            assert class_table(found, 3).shape == (65536,)


@given(text=st.text(max_size=200), change=changes())
@settings(bounded, max_examples=60)
def test_lists_of_own_data(tmp_path: Path, text: str, change: Callable[[bytes], bytes]) -> None:
    stems = ["a", "b.c", "d  e", "f,g", "ä"]
    images, labels = ({stem: tmp_path / folder / f"{stem}.png" for stem in stems} for folder in ("images", "masks"))
    sound = "".join(f"images/{stem}.png masks/{stem}.png\n" for stem in stems).encode()
    for data in (change(sound), text.encode("utf-8", "surrogatepass"), sound + text.encode("utf-8", "surrogatepass")):
        (tmp_path / "train.txt").write_bytes(data)
        problems: list[str] = []
        found = read_list(tmp_path / "train.txt", images, labels, problems)
        assert all("\n" not in line for line in problems)
        assert all(pair.image in images for pair in found)
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
    if result_of(lambda: unpack(path, out, "CamVid") or True, DatasetError):
        for file in (file for file in out.rglob("*") if file.is_file()):
            assert file.read_text("utf-8") in {name * 20 for name in ("train/a.png", "trainannot/a.png", "train.txt")}
    assert {path.name for path in tmp_path.iterdir()} <= {"a.zip", "out"}
