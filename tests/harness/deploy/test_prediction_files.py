"""The files of predictions: what is taken, what is left out, what is written."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import harness
from harness.deploy.items import TABLE, collect
from harness.deploy.pictures import predict_items
from harness.deploy.predict import Pixels, Predictor, class_shares, predictor
from harness.deploy.weights import drawn
from harness.system.errors import UserError
from tests.datasets.own_files import BY_SPLIT, save, write_splits
from tests.harness.commands import assert_one_line
from tests.harness.commands import harness as command
from tests.harness.deploy.conftest import Trained, film


def pictures(folder: Path) -> Path:
    (folder / "in" / "deeper").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, size in (("a.jpg", (48, 64, 3)), ("deeper/b.png", (30, 50, 3))):
        Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(folder / "in" / name)
    (folder / "in" / "c.png").write_bytes(b"no picture")
    (folder / "in" / "notes.txt").write_text("not taken")
    return folder / "in"


@pytest.mark.parametrize("batch", [1, 4])
def test_files_of_a_folder(tmp_path: Path, model: Predictor, batch: int) -> None:
    output = tmp_path / "out"
    items = collect([str(pictures(tmp_path))], output, force=False)
    outcome = predict_items(model, items, output, batch=batch)
    assert outcome.done == 2 and len(outcome.failed) == 1 and "c.png" in outcome.failed[0]
    names = {path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()}
    assert names == {
        *("a.png", "a_color.png", "a_overlay.png", TABLE),
        *("deeper/b.png", "deeper/b_color.png", "deeper/b_overlay.png"),
    }
    labels = np.asarray(Image.open(output / "a.png"))
    assert np.array_equal(labels, harness.predict(model, tmp_path / "in" / "a.jpg"))
    assert np.array_equal(np.asarray(Image.open(output / "a_color.png")), np.asarray(model.config.colors)[labels])
    with (output / TABLE).open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["width"], row["height"]) for row in rows] == [("64", "48"), ("50", "30")]
    shares = [float(rows[0][name]) for name in model.config.classes]
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert shares == pytest.approx(class_shares(labels, 11).tolist(), abs=1e-6)
    with pytest.raises(UserError, match="is there already"):
        collect([str(tmp_path / "in")], output, force=False)
    assert len(collect([str(tmp_path / "in")], output, force=True)) == 3


def test_what_would_be_written_twice_is_refused(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match="written twice"):
        collect([str(tmp_path / "x" / "a.png"), str(tmp_path / "y" / "a.png")], tmp_path / "out", force=False)
    with pytest.raises(UserError, match="no such picture"):
        collect([str(tmp_path / "z.png")], tmp_path / "out", force=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no pictures or videos"):
        collect([str(tmp_path / "empty")], tmp_path / "out", force=False)


@pytest.mark.parametrize("output", ["in", "."])
def test_no_option_lets_a_picture_be_written_over(tmp_path: Path, output: str) -> None:
    folder = pictures(tmp_path)
    with pytest.raises(UserError, match=r"c\.png is a picture to be predicted, and would be written over"):
        collect([str(folder)], tmp_path / "in", force=True)
    if output == ".":  # the folder lies below the output, and is no output itself
        assert len(collect([str(folder)], tmp_path, force=False)) == 3


def test_what_cannot_be_read_is_left_out_and_the_others_are_predicted(tmp_path: Path, model: Predictor) -> None:
    pytest.importorskip("imageio_ffmpeg")
    folder = pictures(tmp_path)
    (folder / "0.mp4").write_bytes(b"no film")
    Image.new("RGB", (9, 200)).save(folder / "icon.png")
    items = collect([str(folder)], tmp_path / "out", force=False)
    outcome = predict_items(model, items, tmp_path / "out", native=True)
    lines = sorted(Path(line.partition(": ")[0]).name for line in outcome.failed)
    assert lines == ["0.mp4", "c.png", "icon.png"] and outcome.done == 2
    assert any("images are 200x9, but at least 16x16 is needed" in line for line in outcome.failed)


def short_of_memory(predictor: Predictor, monkeypatch: pytest.MonkeyPatch, side: int) -> None:
    """Lets the forward pass have memory for one picture of this many rows."""

    def labels(self: Predictor, pictures: list[Pixels], native: bool = False) -> list[Pixels]:
        if len(pictures) > 1 or pictures[0].shape[0] > side:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return plain(self, pictures, native)

    plain = Predictor.labels
    monkeypatch.setattr(Predictor, "labels", labels)


def test_a_picture_too_large_for_the_memory_is_left_out(
    tmp_path: Path, small: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_of_memory(small, monkeypatch, 100)
    for name, height in (("a", 30), ("b", 200), ("c", 40)):
        Image.new("RGB", (40, height)).save(tmp_path / f"{name}.png")
    film(tmp_path / "d.mp4", 2)
    outcome = predict_items(small, collect([str(tmp_path)], tmp_path / "out", False), tmp_path / "out", batch=4)
    assert outcome.done == 4 and outcome.failed == [
        f"{tmp_path / 'b.png'}: needs more memory than there is; make it smaller"
    ]
    assert not list((tmp_path / "out").glob("b*"))
    monkeypatch.setattr(Predictor, "labels", lambda *_: 1 / 0)  # any other error is no picture's
    with pytest.raises(ZeroDivisionError):
        predict_items(small, collect([str(tmp_path)], tmp_path / "out", True), tmp_path / "out")


def test_a_name_too_long_for_what_is_added_is_left_out(tmp_path: Path, small: Predictor) -> None:
    for name in ("ä" * 120, "a" * 200, "b"):
        Image.new("RGB", (40, 32)).save(tmp_path / f"{name}.png")
    outcome = predict_items(small, collect([str(tmp_path)], tmp_path / "out", False), tmp_path / "out")
    assert outcome.done == 2 and len(outcome.failed) == 1
    assert "ä.png: its name is 21 bytes too long" in outcome.failed[0]
    assert len(list((tmp_path / "out").iterdir())) == 2 * 3 + 1


def test_links_are_followed_but_not_in_circles(tmp_path: Path, small: Predictor) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "there").mkdir()
    for path in ("in/a.png", "there/b.png"):
        Image.new("RGB", (40, 32)).save(tmp_path / path)
    links = {"linked": "there", "circle": "in", "c.png": "there/b.png", "gone.png": "none.png", "self": "in/self"}
    for name, target in links.items():
        (tmp_path / "in" / name).symlink_to(tmp_path / target)
    items = collect([str(tmp_path / "in")], tmp_path / "out", force=False)
    assert [item.name for item in items if not item.unusable] == ["a", "c", "linked/b"]
    outcome = predict_items(small, items, tmp_path / "out")
    assert outcome.done == 3
    assert [line.rpartition("/")[2] for line in outcome.failed] == [
        f"{name}: can't be read, or is a link to nothing" for name in ("gone.png", "self")
    ]


def test_a_model_of_one_size_leaves_pictures_of_others_out(tmp_path: Path) -> None:
    ready = predictor(drawn("deconvnet", (32, 32), 3), "cpu")
    for side in (32, 40):
        Image.new("RGB", (side, side)).save(tmp_path / f"{side}.png")
    outcome = predict_items(ready, collect([str(tmp_path)], tmp_path / "out", False), tmp_path / "out", native=True)
    assert outcome.done == 1 and len(outcome.failed) == 1 and "40.png" in outcome.failed[0]


def test_a_name_that_is_no_utf_8_stands_in_the_table(tmp_path: Path, model: Predictor) -> None:
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    Image.new("RGB", (40, 32)).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / name)
    outcome = predict_items(model, collect([str(tmp_path)], tmp_path / "out", force=False), tmp_path / "out")
    assert outcome.done == 1
    assert "caf\\udce9.png" in (tmp_path / "out" / TABLE).read_text("utf-8")


def test_own_data_gives_its_images_of_all_splits(
    tmp_path: Path, trained: Trained, small: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "index"))
    folder, output = write_splits(tmp_path / "pets", *BY_SPLIT), tmp_path / "out"
    for split in ("train", "val", "test"):  # one name in three splits
        for kind in ("images", "masks"):
            (folder / split / kind / f"{split}0.png").rename(folder / split / kind / "p.png")
    items = collect([f"folder:{folder}"], output, force=False)
    assert [item.name for item in items] == [f"{s}/{name}" for s in ("train", "val", "test") for name in ("p", f"{s}1")]
    assert {Path(item.source).parent.name for item in items} == {"images"}
    assert predict_items(small, items, output).done == 6
    assert (output / "val" / "p_overlay.png").is_file()
    save(folder / "val" / "masks" / "p.png", np.zeros((3, 3), np.uint8))
    for path, says in ((folder, "p.png: 3 x 3 pixels where its image"), (tmp_path / "none", "none: no such folder")):
        assert_one_line(command("predict", str(trained.weights), f"folder:{path}", "--output", str(output)), says)


def test_the_command(trained: Trained, tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    where = ["--results", str(trained.results), "--work", str(trained.work), "--threads", "1", "--device", "cpu"]
    done = command("predict", trained.run_id, str(folder), "--output", str(tmp_path / "out"), *where)
    assert done.returncode == 1, done.stderr  # of three pictures one is none
    assert "2 pictures in" in done.stdout and "c.png" in done.stdout
    assert (tmp_path / "out" / "deeper" / "b_overlay.png").exists()
    again = command("predict", str(trained.weights), str(folder), "--output", str(tmp_path / "out"), *where)
    assert_one_line(again, "is there already", "--force")
    untrained = command("predict", "segnet", str(folder), "--results", str(tmp_path / "none"))
    assert_one_line(untrained, "no run is finished yet")
