"""Files that are cut off or have a bit turned over: named, and never taken for whole."""

import shutil
import signal
from pathlib import Path

import pytest

from tests.faults.processes import Harness, Place, assert_one_line, flip, harness, outcome, tiny, trained

pytestmark = pytest.mark.slow


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def started(place: Place, arguments: list[str], checkpoints: int) -> Path:
    """Begin a run and kill it when it has written so many checkpoints; gives the latest."""
    with Harness(*arguments, cwd=place.folder) as running:
        running.wait_for(lambda: len(list(place.work.glob("runs/*/checkpoint*.pt"))) == checkpoints)
        running.wait_for(place.checkpoints)
        running.signal_all(signal.SIGKILL)
    (checkpoint,) = place.checkpoints()
    return checkpoint


def test_a_damaged_checkpoint_is_named_and_the_previous_one_used(place: Place, undisturbed: Place) -> None:
    checkpoint = started(place, tiny(), 2)
    flip(checkpoint)
    said = trained(place, *tiny())
    assert f"{checkpoint}: damaged checkpoint" in said
    assert "the previous one is used" in said and "goes on from iteration 4 of 12" in said
    assert outcome(place) == outcome(undisturbed)


def test_with_all_checkpoints_damaged_the_run_starts_again(place: Place, undisturbed: Place) -> None:
    checkpoint = started(place, tiny(), 2)
    for path in checkpoint.parent.glob("checkpoint*.pt"):
        cut(path)
    said = trained(place, *tiny())
    assert said.count("damaged checkpoint") == 2 and "starting from the beginning" in said
    assert outcome(place) == outcome(undisturbed)


def test_damaged_best_weights_are_not_scored(place: Place) -> None:
    """With so small a rate nothing is learnt: the first validation stays the best one to the end."""
    still = tiny("--override", "lr=1e-30")
    checkpoint = started(place, still, 1)
    (best,) = checkpoint.parent.glob("best-*.safetensors")
    assert best.name == "best-000004.safetensors"
    flip(best, 0.9)
    with Harness(*still, cwd=place.folder) as running:
        running.wait_for(place.records)
    (record,) = place.records()
    assert record["failure"]["kind"] == "data"
    assert record["failure"]["message"].startswith("best-000004.safetensors: damaged weights; remove ")
    shutil.rmtree(checkpoint.parent)
    trained(place, *still)
    assert place.records()[0]["best_iteration"] == 4


def test_damaged_decoded_data_is_decoded_again(place: Place, undisturbed: Place, drawn_cache: Path) -> None:
    (place.work / "cache").unlink()
    shutil.copytree(drawn_cache, place.work / "cache")
    (images,) = (place.work / "cache").glob("roads-*/val-24x32/images.npy")
    whole = images.read_bytes()
    flip(images)
    trained(place, *tiny())
    assert images.read_bytes() == whole
    assert outcome(place) == outcome(undisturbed)


@pytest.mark.parametrize("name", ["record.json", "history.json", "scores.npz", "prediction-*.png", "SHA256SUMS"])
def test_a_damaged_record_is_listed_as_unreadable(undisturbed: Place, tmp_path: Path, name: str) -> None:
    place = Place(folder=tmp_path)
    shutil.copytree(undisturbed.results, place.results)
    path = sorted(place.results.glob(f"runs/[!.]*/{name}"))[0]
    flip(path)
    done = harness("report", cwd=tmp_path)
    assert done.code == 0 and "Traceback" not in done.said, done
    assert "## Records left out" in place.page
    line = next(line for line in place.page.splitlines() if line.startswith("- unreadable: runs/"))
    assert path.parent.name in line and (name == "SHA256SUMS" or path.name in line)
    planned = harness(*tiny("--dry-run"), cwd=tmp_path, variables={"COLUMNS": "400"})
    assert "to do (its record is damaged)" in planned.out


def test_a_damaged_run_is_done_again(place: Place, undisturbed: Place) -> None:
    shutil.copytree(undisturbed.results / "runs", place.results / "runs")
    (scores,) = place.results.glob("runs/*/scores.npz")
    flip(scores)
    done = harness(*tiny(), cwd=place.folder)
    assert done.code == 0, done
    assert "to do (its record is damaged)" in done.out
    assert outcome(place) == outcome(undisturbed)


def test_a_damaged_measurement_is_listed_and_never_written_over(undisturbed: Place, tmp_path: Path) -> None:
    place = Place(folder=tmp_path)
    shutil.copytree(undisturbed.results, place.results)
    path = min(place.results.glob("measurements/*/*.json"), key=lambda found: len(found.name))  # one more by AdamW
    cut(path)
    damaged = path.read_bytes()
    done = harness("report", cwd=tmp_path)
    assert done.code == 0 and "Traceback" not in done.said, done
    assert f"- unreadable: measurements/{path.parent.name}/{path.name}: not a measurement record" in place.page
    (place.work).mkdir()
    (place.work / "cache").symlink_to(undisturbed.work / "cache")
    refused = harness(*tiny(), cwd=tmp_path)
    assert_one_line(refused, path.name, "not a measurement record", "remove it, and measure anew")
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("folder", ["indices/made-up", "performance"])
def test_damaged_comparisons_are_listed(undisturbed: Place, tmp_path: Path, folder: str) -> None:
    place = Place(folder=tmp_path)
    shutil.copytree(undisturbed.results, place.results)
    path = place.results / folder / "a.json"
    path.parent.mkdir(parents=True)
    path.write_text("{", "utf-8")
    done = harness("report", cwd=tmp_path)
    assert done.code == 0 and "Traceback" not in done.said, done
    page = tmp_path / "reports" / folder.partition("/")[0] / "README.md"
    assert f"- unreadable: {folder}/a.json: not a comparison" in page.read_text("utf-8")


def test_a_damaged_record_is_refused_by_merge(undisturbed: Place, tmp_path: Path) -> None:
    shutil.copytree(undisturbed.results, tmp_path / "there")
    (scores,) = (tmp_path / "there").glob("runs/*/scores.npz")
    flip(scores)
    done = harness("merge", str(tmp_path / "there"), cwd=tmp_path)
    assert done.code == 1 and "Traceback" not in done.said, done
    assert f"{scores}: damaged" in done.out and "1 refused" in done.out
    assert not list((tmp_path / "results").glob("runs/*"))
