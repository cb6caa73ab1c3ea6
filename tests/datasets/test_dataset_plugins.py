"""Datasets of plugins: what they declare, what they give, and what is said of bad ones."""

import sys
from pathlib import Path

import numpy as np
import pytest

import datasets
from datasets import DatasetError, plugins
from datasets.check import check

GOOD = """
import numpy as np
import datasets

@datasets.declare(classes=("dark", "bright"))
def halves(split, root):
    "Pictures with a dark and a bright half."
    label = np.repeat([[0, 1]], 8, axis=0).repeat(8, axis=1).astype(np.uint8)
    image = np.stack([label * 200] * 3, axis=2)
    return [(image, label)] * 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module file that can be imported as `mine`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv(plugins.VARIABLE, raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a module that a test writes anew is read anew
    for name in [name for name in sys.modules if name == "mine"]:
        monkeypatch.delitem(sys.modules, name)
    yield tmp_path / "mine.py"
    sys.modules.pop("mine", None)


def test_a_plugin_is_a_dataset(module: Path) -> None:
    module.write_text(GOOD)
    assert plugins.add(["mine:halves", "mine:nothing", "elsewhere:net"]) == ["mine:nothing", "elsewhere:net"]
    info = datasets.info("halves")
    assert (info.name, info.classes, info.size, info.own) == ("halves", ("dark", "bright"), (32, 32), True)
    assert dict(info.splits) == {"train": 3, "val": 3, "test": 3}
    train = datasets.load("halves", "train")
    image, label = train[2]
    assert image.shape == (8, 16, 3) and label.tolist()[0] == [0] * 8 + [1] * 8
    assert train.sizes == ((8, 16),) * 3 and len(set(train.image_ids)) == 3
    assert check("halves").problems == ()
    with pytest.raises(DatasetError, match="no split 'dev'"):
        datasets.load("halves", "dev")


def test_content_is_that_of_the_pictures(module: Path) -> None:
    module.write_text(GOOD)
    plugins.add(["mine:halves"])
    before = datasets.content_hash("halves")
    assert datasets.load("halves", "val").content_hash == before[1]
    sys.modules.pop("mine")
    module.write_text(GOOD.replace("* 200", "* 201"))
    assert datasets.content_hash("halves")[1] != before[1]


def test_identity_follows_names_of_classes_and_a_declared_size(module: Path) -> None:
    found = set()
    for facts in ('("dark", "bright")', '("dark", "light")', '("dark", "bright"), size=(32, 32)'):
        sys.modules.pop("mine", None)
        module.write_text(GOOD.replace('("dark", "bright")', facts))
        plugins.add(["mine:halves"])
        found.add(datasets.content_hash("halves")[1])
    assert len(found) == 3


def with_ids(module: Path, ids: str) -> tuple[str, ...]:
    """The ids of the images of a plugin that gives these."""
    items = f"type('Items', (list,), {{'image_ids': {ids}}})([(image, label)] * 3)"
    module.write_text(GOOD.replace("[(image, label)] * 3", items))
    plugins.add(["mine:halves"])
    return datasets.load("halves", "test").image_ids


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ("('a', 'b', 'c')", ("a", "b", "c")),
        ("np.array(['a', 'b', 'c'])", ("a", "b", "c")),
        ("np.arange(3)", ("0", "1", "2")),
        ("None", ("test-00000", "test-00001", "test-00002")),
        ("('a', 'b', 'ж' * 113)", ("a", "b", "ж" * 113)),
    ],
)
def test_ids_of_a_plugin(module: Path, ids: str, expected: tuple[str, ...]) -> None:
    assert with_ids(module, ids) == expected


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ("('a', 'b/c', 'd')", "image_ids: 'b/c' can't be part of a file's name: give 1 to 227 bytes without '/'"),
        ("('a', 'b\\n', 'd')", "image_ids: .* can't be part of a file's name"),
        ("('a', '', 'd')", "image_ids: '' can't be part of a file's name"),
        ("('a', 'b', 'ж' * 114)", "image_ids: 'ж+ can't be part of a file's name"),
        ("('a', 'b', 'a')", "image_ids: 'a' 2 times: give each image an id of its own"),
        ("('a', 'b')", "image_ids: 2 of them for 3 images: give one an image"),
        ("5", "image_ids: TypeError"),
    ],
)
def test_ids_that_can_not_name_files_are_refused_before_training(module: Path, ids: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        with_ids(module, ids)
    assert "plugin mine:halves: test" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[(image, label)] * 3", "[]", "gives no images"),
        ("[(image, label)] * 3", "[(image, label + 1)] * 3", "label value 2; classes are 0 to 1 and void is 255"),
        ("[(image, label)] * 3", "[(image[..., 0], label)] * 3", "the image is uint8"),
        ("[(image, label)] * 3", "[(image, label[:-1])] * 3", "the label is uint8"),
        ("return", "1 / 0; return", "ZeroDivisionError"),
    ],
)
def test_bad_items_are_named(module: Path, old: str, new: str, message: str) -> None:
    module.write_text(GOOD.replace(old, new))
    plugins.add(["mine:halves"])
    with pytest.raises(DatasetError, match=message) as caught:
        list(datasets.load("halves", "train"))
    assert "mine:halves" in str(caught.value) and "\n" not in str(caught.value)


def test_bad_declarations_are_refused() -> None:
    for facts in ({"classes": ("a",)}, {"classes": ("a", "a")}, {"classes": ("a", "b"), "colors": ((0, 0, 0),)}):
        with pytest.raises(DatasetError, match="declare"):
            datasets.declare(**facts)  # type: ignore[arg-type]
    for size in ((360,), "ab", (0, 480), (360.5, 480)):
        with pytest.raises(DatasetError, match=r"size is .* must be \(height, width\) in pixels"):
            datasets.declare(classes=("a", "b"), size=size)
    with pytest.raises(DatasetError, match="allowed are classes, colors, title, size"):
        datasets.declare(classes=("a", "b"), palette=3)


def test_two_of_one_name_are_refused(module: Path) -> None:
    module.write_text(GOOD + "\n\nHalves = halves\nroads = halves\n")
    with pytest.raises(DatasetError, match="registered twice"):
        plugins.add(["mine:halves", "mine:Halves"])


@pytest.mark.parametrize("name", ["roads", "Roads", "camvid"])
def test_a_name_of_this_package_is_refused(module: Path, name: str) -> None:
    module.write_text(GOOD + f"\n\n{name} = halves\n")
    with pytest.raises(DatasetError, match="registered twice: this package and"):
        plugins.add([f"mine:{name}"])


def test_the_dataset_of_contributing(module: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text("utf-8")
    code = next(block for block in text.split("```python\n")[1:] if "datasets.declare" in block).partition("```")[0]
    assert len(code.strip().splitlines()) <= 16
    module.write_text(code)
    (name,) = {line.split("(")[0].removeprefix("def ") for line in code.splitlines() if line.startswith("def ")}
    assert plugins.add([f"mine:{name}"]) == []
    report = check(name.replace("_", "-"))
    assert report.problems == () and all(min(split.pixels[:-1]) > 0 for split in report.splits)
    assert np.array_equal(datasets.load(name, "val")[0][0], datasets.load(name, "val")[0][0])
