"""Own data as a user meets it: from a folder to a report, and what is said of a bad one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.records.run import load_runs
from tests.datasets.own_files import CLASSES, save, write_flat
from tests.harness.commands import assert_one_line, harness

SIZES = ((40, 48), (64, 40), (36, 36))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nine images of three sizes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "index"))
    folder = write_flat(tmp_path / "pets", count=9, sizes=SIZES)
    (folder / "dataset.toml").write_text(CLASSES + 'title = "My [bold] pets"\n')
    return folder


def test_check_prints_what_it_found_and_draws_overlays(folder: Path, tmp_path: Path) -> None:
    done = harness("data", "check", f"folder:{folder}", "--overlays", str(tmp_path / "look"))
    assert done.returncode == 0, done.stderr
    said = ("My [bold] pets", "layout: images + masks, no split", "0, 1, 2, 255", "sound", "drawn at random")
    for text in (*said, "6 of 9 images are of another shape", "keep_ratio"):
        assert text in done.stdout
    assert len(list((tmp_path / "look" / "folder-pets").glob("*.png"))) == 8
    for number in range(25):
        save(folder / "masks" / f"alone{number:02d}.png", np.zeros((4, 4), np.uint8))
    (folder / "splits" / "train.txt").unlink()
    (folder / "splits" / "val.txt").unlink()
    (folder / "splits" / "test.txt").unlink()
    done = harness("data", "check", f"folder:{folder}", "--overlays", str(tmp_path / "look"))
    assert done.returncode == 1
    assert done.stdout.count("label without image") == 20 and "pairs: and 5 more" in done.stdout


def test_what_is_wrong_is_one_line(folder: Path, tmp_path: Path) -> None:
    assert_one_line(harness("run", "segnet", "--dataset", f"folder:{tmp_path / 'none'}"), "none: no such folder")
    assert_one_line(harness("run", "segnet", "--suite", "own"), "--dataset folder:PATH")
    assert_one_line(harness("run", "segnet", "--dataset", "camvit"), "did you mean camvid")
    save(folder / "masks" / "p00.png", np.full(SIZES[0], 9, np.uint8))
    done = harness("run", "segnet", "--dataset", f"folder:{folder}", "--dry-run")
    assert_one_line(done, "p00.png: label value 9", "mapping = { 9 = ")


@pytest.mark.slow
def test_from_a_folder_to_a_report_without_any_figure_of_the_paper(folder: Path, tmp_path: Path) -> None:
    places = [f"--{name}={tmp_path / name}" for name in ("results", "reports", "work")]
    command = ["run", "pixel-mlp", "--dataset", f"folder:{folder}", "--iterations", "2", "--device", "cpu"]
    done = harness(*command, "--no-measure", "--threads", "1", *places)
    assert done.returncode == 0, done.stderr
    (run,) = load_runs(tmp_path / "results")[0]
    run.check()
    spec = run.record.spec
    assert spec.own_data is not None and spec.own_data.classes == ("sky", "road", "car")
    (test,) = [one for one in run.record.evaluations if one.split == "test" and "end" in one.labels]
    assert run.matrices(test).shape == (1, 3, 3)
    frames = [pd.read_csv(path) for path in (tmp_path / "reports").rglob("*.csv")]
    assert frames and not any(frame[name].notna().any() for frame in frames for name in frame if "paper" in name)
    assert (tmp_path / "reports" / "own-pets" / "README.md").is_file()
    where = [places[0], places[2], "--threads", "1"]
    out = tmp_path / "out"
    predicted = harness("predict", run.record.run_id, str(folder / "images"), "--output", str(out), *where)
    assert predicted.returncode == 0 and "9 pictures in" in predicted.stdout, predicted.stderr
    assert (out / "classes.csv").read_text().splitlines()[0].endswith("sky,road,car")
    written = harness("weights", run.record.run_id, str(tmp_path / "given"), *where[:2])
    assert written.returncode == 0, written.stderr
    assert "My [bold] pets" in (tmp_path / "given" / "README.md").read_text()
    export = ["export", str(tmp_path / "given"), "--format", "torch-export", *where]
    alone = harness(*export, "--output", str(tmp_path / "alone"))
    assert alone.returncode == 0 and "no --data-root" in alone.stdout, alone.stderr
    scored = harness(*export, "--output", str(tmp_path / "scored"), "--data-root", str(folder))
    assert scored.returncode == 0 and "no mIoU" not in scored.stdout, scored.stderr
    folder.rename(tmp_path / "elsewhere")
    again = harness("report", "--suite", "own-pets", *places[:2])  # made of the records alone
    assert again.returncode == 0, again.stderr
