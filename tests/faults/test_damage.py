"""Files that are cut off or have a bit turned over: named, and never taken for whole."""

import shutil
import signal
from pathlib import Path

import pytest

import architectures
from harness.records.measurement import MeasureSpec, measurement_path
from harness.records.run import finished, load_runs
from harness.report.frames import load_results
from tests.faults.processes import NETWORK, Harness, Place, flip, harness, outcome, tiny, trained
from tests.harness.commands import assert_one_line

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
    assert harness(*still, cwd=place.folder).returncode == 1
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
def test_a_damaged_record_is_unreadable_and_not_finished(undisturbed: Place, tmp_path: Path, name: str) -> None:
    shutil.copytree(undisturbed.results, tmp_path / "results")
    (run,), _ = load_runs(tmp_path / "results")
    path = sorted(run.folder.glob(name))[0]
    flip(path)
    (line,) = load_results(tmp_path / "results").attrs["unreadable"]
    assert run.folder.name in line and (name == "SHA256SUMS" or path.name in line)
    assert finished(tmp_path / "results", run.record.spec) is None


def test_what_is_damaged_is_listed_and_stops_no_report(undisturbed: Place, tmp_path: Path) -> None:
    """A measurement and comparisons; runs are in test_odd_records.py."""
    place = Place(folder=tmp_path)
    shutil.copytree(undisturbed.results, place.results)
    others = {
        "measurements/cpu-made-up/a.json": "a measurement record",
        "indices/made-up/a.json": "a comparison",
        "performance/a.json": "a comparison",
    }
    for name in others:
        (place.results / name).parent.mkdir(parents=True)
        (place.results / name).write_text("{", "utf-8")
    done = harness("report", cwd=tmp_path)
    assert done.returncode == 0 and "Traceback" not in done.said, done
    said = "".join(page.read_text("utf-8") for page in (tmp_path / "reports").rglob("README.md"))
    for name, kind in others.items():
        assert f"- unreadable: {name}: not {kind}" in said


def test_a_damaged_run_is_done_again(place: Place, undisturbed: Place) -> None:
    shutil.copytree(undisturbed.results / "runs", place.results / "runs")
    (scores,) = place.results.glob("runs/*/scores.npz")
    flip(scores)
    assert "to do (its record is damaged)" in trained(place, *tiny())
    assert outcome(place) == outcome(undisturbed)


def test_a_damaged_measurement_is_never_written_over(undisturbed: Place, place: Place) -> None:
    shutil.copytree(undisturbed.results, place.results)
    spec = MeasureSpec(
        architecture=NETWORK,
        architecture_revision=architectures.info(NETWORK).revision,
        num_classes=11,
        size=(24, 32),
        precision="fp32",
        device="cpu",
        preset="quick",
        threads=1,
    )
    path = measurement_path(place.results, spec)
    path.parent.mkdir(parents=True)
    path.write_text('{"spec', "utf-8")
    refused = harness(*tiny("--measure"), cwd=place.folder)
    assert_one_line(refused, path.name, "not a measurement record", "remove it, and measure anew")
    assert path.read_text("utf-8") == '{"spec'


def test_a_damaged_record_is_refused_by_merge(undisturbed: Place, tmp_path: Path) -> None:
    shutil.copytree(undisturbed.results, tmp_path / "there")
    (scores,) = (tmp_path / "there").glob("runs/*/scores.npz")
    flip(scores)
    done = harness("merge", str(tmp_path / "there"), cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.said, done
    assert f"{scores}: damaged" in done.stdout and "1 refused" in done.stdout
    assert not list((tmp_path / "results").glob("runs/*"))
