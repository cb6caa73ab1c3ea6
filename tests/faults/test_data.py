"""Data that can't be written, changes, or is hostile."""

import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.faults.namespaces import mounted, read_only
from tests.faults.pictures import big_picture, deep_picture
from tests.faults.processes import NETWORK, Harness, Place, harness, tiny, trained
from tests.harness.commands import ROOT, assert_one_line

pytestmark = pytest.mark.slow

SIZE = (360, 480)


def write_camvid(root: Path, image_ids: tuple[str, ...] = ("a", "b")) -> Path:
    """A folder CamVid under `root` with these images in each split, of noise; gives the folder."""
    random = np.random.default_rng(0)
    folder = root / "CamVid"
    for split in ("train", "val", "test"):
        for name, shape, top in ((split, (*SIZE, 3), 256), (f"{split}annot", SIZE, 12)):
            (folder / name).mkdir(parents=True)
            for stem in image_ids:
                pixels = random.integers(0, top, shape).astype(np.uint8)
                Image.fromarray(pixels).save(folder / name / f"{stem}.png", compress_level=1)
    return folder


def camvid_run(root: Path, *more: str) -> list[str]:
    """Arguments of a run of seconds on it."""
    places = ["--suite", "camvid", "--data-root", str(root), "--encoder-weights", "none"]
    small = ["--size", "24x32", "--iterations", "2", "--override", "batch_size=2", "--device", "cpu"]
    return ["run", NETWORK, *places, *small, "--threads", "1", "--no-measure", "--no-report", *more]


def test_read_only_data_is_enough(tmp_path: Path) -> None:
    write_camvid(tmp_path / "data")
    place = Place(folder=tmp_path)
    with mounted(read_only(tmp_path / "data")) as inside:
        arguments, prefix = camvid_run(tmp_path / "data"), inside.prefix(tmp_path)
        trained(place, *arguments, prefix=prefix)
    (record,) = place.records()
    assert record["status"] == "finished"


def change(folder: Path) -> None:
    """Another picture in the place of one of train's."""
    (folder / "train" / "a.png").write_bytes((folder / "train" / "b.png").read_bytes())


def test_data_that_changes_under_a_run_is_refused(tmp_path: Path) -> None:
    folder = write_camvid(tmp_path / "data")
    with Harness(*camvid_run(tmp_path / "data"), cwd=tmp_path) as running:
        running.wait_for(lambda: list((tmp_path / "work").glob("runs/*/heartbeat")))
        change(folder)  # the run is planned; its process has not opened the data yet
        done = running.done()
    assert_one_line(done, "camvid in ", "has changed since the run was planned", "start the command anew")
    assert Place(folder=tmp_path).records() == []


def test_a_checkpoint_is_not_gone_on_with_on_other_data(tmp_path: Path) -> None:
    folder = write_camvid(tmp_path / "data")
    place, arguments = Place(folder=tmp_path), camvid_run(tmp_path / "data", "--override", "eval_interval=1")
    with Harness(*arguments, cwd=tmp_path) as running:
        running.wait_for(place.checkpoints)
        running.signal_all(signal.SIGKILL)
    (checkpoint,) = place.checkpoints()
    before = checkpoint.read_bytes()
    change(folder)
    with Harness(*arguments, cwd=tmp_path) as running:
        running.wait_for(lambda: len(place.checkpoints()) == 2)
        assert "goes on from" not in running.said
    assert checkpoint.read_bytes() == before


def test_hostile_pictures_and_names_are_each_a_line(tmp_path: Path) -> None:
    folder = write_camvid(tmp_path / "data", ("a", "with blanks", "straße Ω"))
    train, plain = folder / "train", np.zeros((*SIZE, 3), np.uint8)
    label = (folder / "trainannot" / "a.png").read_bytes()
    pictures = {
        "gray.png": Image.new("L", SIZE[::-1]),
        "palette.png": Image.new("P", SIZE[::-1]),
        "sixteen.png": Image.new("I;16", SIZE[::-1]),
        "cmyk.jpg": Image.new("CMYK", SIZE[::-1]),
        "small.png": Image.new("RGB", (4, 3)),
    }
    for name, picture in pictures.items():
        picture.save(train / name)
    (train / "deep.png").write_bytes(deep_picture(SIZE))
    (train / "bomb.png").write_bytes(big_picture(60_000))
    (train / "cut.png").write_bytes((train / "a.png").read_bytes()[:9000])
    (train / "text.png").write_bytes(b"no picture")
    for path in list(train.iterdir()):
        (folder / "trainannot" / f"{path.stem}.png").write_bytes(label)
    Image.fromarray(plain).save(folder / "trainannot" / "a.png")  # colors instead of class numbers
    Image.fromarray(np.full(SIZE, 77, np.uint8)).save(folder / "trainannot" / "with blanks.png")
    Image.fromarray(plain).save(train / "two\nlines.png")
    Path((train.as_posix().encode() + b"/bytes-\xe9.png").decode("utf-8", "surrogateescape")).touch()
    done = harness("data", "check", "camvid", "--data-root", str(tmp_path / "data"), cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.said, done
    lines = [line for line in done.stdout.splitlines() if line.startswith("problem: ")]
    hostile = [*pictures, "deep.png", "bomb.png", "cut.png", "text.png", "trainannot/a.png"]
    for name in [*hostile, "trainannot/with blanks.png", "two\\nlines.png", "bytes-\\udce9.png"]:
        assert len([line for line in lines if f"{name}" in line]) == 1, (name, lines)
    assert not [line for line in lines if "straße" in line]
    refused = harness(*camvid_run(tmp_path / "data"), cwd=tmp_path)
    assert_one_line(refused, "holds signs that can't be shown", "rename the file")


def test_names_with_blanks_and_signs_of_other_languages_are_fine(tmp_path: Path) -> None:
    place = Place(folder=tmp_path / "Läufe im März")
    place.folder.mkdir()
    write_camvid(place.folder / "Daten ß", ("mit Leerzeichen", "Ω"))
    arguments = camvid_run(Path("Daten ß"), "--results", "Ergebnisse ü", "--work", "Arbeit ø")
    trained(place, *arguments)
    assert list((place.folder / "Ergebnisse ü").glob("runs/[!.]*/record.json"))
    done = harness("report", "--results", "Ergebnisse ü", "--reports", "Bericht é", cwd=place.folder)
    assert done.returncode == 0, done


def test_an_architecture_that_raises_on_import_is_a_row(place: Place) -> None:
    """Whoever adds one by the registry's table: `list` does not import it, its run fails, and says how."""
    root = place.folder / "packages"
    for name in ("architectures", "datasets", "harness"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    broken = root / "architectures" / "bilinear_interpolation.py"
    broken.write_text("raise RuntimeError('not on this machine')\n", "utf-8")
    assert NETWORK in harness("list", cwd=place.folder, root=root).stdout
    assert "FAILED: RuntimeError: not on this machine" in harness(*tiny(), cwd=place.folder, root=root).said
    (record,) = place.records()
    assert record["failure"]["message"] == "RuntimeError: not on this machine"
