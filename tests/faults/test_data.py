"""Data that can't be written, changes, or is hostile."""

import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.faults.data import SIZE, camvid_run, write_camvid
from tests.faults.namespaces import mounted, read_only
from tests.faults.packages import copy_packages
from tests.faults.pictures import big_picture, deep_picture
from tests.faults.processes import NETWORK, ROOT, Harness, Place, assert_one_line, harness, tiny, trained

pytestmark = pytest.mark.slow


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
    assert done.code == 1 and "Traceback" not in done.said, done
    lines = [line for line in done.out.splitlines() if line.startswith("problem: ")]
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
    assert done.code == 0, done


READER = """
import sys
from pathlib import Path
from datasets import DatasetError
from datasets.archive import unpack
for name in sys.argv[2:]:
    try:
        unpack(Path(name), Path(sys.argv[1]), "CamVid")
        print("unpacked")
    except DatasetError as error:
        print(f"refused: {error}")
"""


def test_hostile_archives_are_refused_and_write_nothing(tmp_path: Path) -> None:
    names = [
        "../evil.png",
        "/tmp/evil.png",
        "CamVid/train/../../evil.png",
        "CamVid/train/..\\evil.png",
        "C:/evil.png",
    ]
    for number, name in enumerate(names):
        with zipfile.ZipFile(tmp_path / f"{number}.zip", "w") as archive:
            archive.writestr("CamVid/train/a.png", b"x")
            archive.writestr(name, b"evil")
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        link = zipfile.ZipInfo("CamVid/train/link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("CamVid/train/a.png", bytes(60 << 20))
    archives = sorted(tmp_path.glob("*.zip"))
    before = sorted(tmp_path.rglob("*"))
    command = [sys.executable, "-c", READER, str(tmp_path / "out"), *map(str, archives)]
    read = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = read.stdout.splitlines()
    assert len(lines) == len(archives) and all(line.startswith("refused: ") for line in lines), lines
    assert sorted(tmp_path.rglob("*")) == before


class Harmful:
    """Makes a file when unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.mark), "w"))


def test_pickled_code_in_a_weights_file_is_never_carried_out(place: Place) -> None:
    mark = place.folder / "mark"
    torch.save({"features.0.weight": Harmful(mark)}, place.folder / "evil.pth")
    command = ["run", "segnet", "--size", "32x40", "--iterations", "2", "--device", "cpu"]
    done = harness(*command, "--encoder-weights", "evil.pth", cwd=place.folder)
    assert_one_line(done, "evil.pth", "pickled code, which is not run")
    assert not mark.exists()


def test_pickled_code_in_a_checkpoint_is_never_carried_out(place: Place) -> None:
    with Harness(*tiny(), cwd=place.folder) as running:
        running.wait_for(place.checkpoints)
        running.signal_all(signal.SIGKILL)
    (checkpoint,) = place.checkpoints()
    mark = place.folder / "mark"
    for path in checkpoint.parent.glob("checkpoint*.pt"):
        torch.save({"tensors": Harmful(mark), "values": "{}"}, path)
    with Harness(*tiny(), cwd=place.folder) as running:
        running.wait_for(lambda: "starting from the beginning" in running.said)
        assert f"{checkpoint}: damaged checkpoint" in running.said
    assert not mark.exists()


def test_an_architecture_that_raises_on_import_is_a_row(place: Place) -> None:
    """Whoever adds one by the registry's table: `list` does not import it, its run fails, and says how."""
    root = copy_packages(place.folder / "packages")
    broken = root / "architectures" / "bilinear_interpolation.py"
    broken.write_text("raise RuntimeError('not on this machine')\n", "utf-8")
    assert NETWORK in harness("list", cwd=place.folder, root=root).out
    assert "FAILED: RuntimeError: not on this machine" in harness(*tiny(), cwd=place.folder, root=root).said
    (record,) = place.records()
    assert record["failure"]["message"] == "RuntimeError: not on this machine"
