"""Disks that are full or read-only, as small file systems in a namespace of their own."""

import shutil
import signal
from pathlib import Path

import pytest

from tests.faults.namespaces import mounted, read_only, small_disk
from tests.faults.processes import Harness, Place, harness, outcome, tiny
from tests.harness.commands import assert_one_line

pytestmark = pytest.mark.slow

FULL = "No space left on device"


def bytes_below(folder: Path) -> dict[str, bytes]:
    """But for the position, which is for the terminal alone."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != "position.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_no_room_for_a_checkpoint(place: Place, undisturbed: Place, drawn_cache: Path) -> None:
    with mounted(small_disk(place.work, "64m")) as inside:
        prefix = inside.prefix(place.folder)
        inside.run("ln", "-s", str(drawn_cache), str(place.work / "cache"))
        work = Place(folder=inside.seen(place.folder))
        with Harness(*tiny(), cwd=place.folder, prefix=prefix) as running:
            running.wait_for(work.checkpoints)
            running.signal_all(signal.SIGTERM)
            assert running.done().returncode == 130
        (checkpoint,) = work.checkpoints()
        before = bytes_below(checkpoint.parent)
        ballast = inside.fill(place.work)
        done = harness(*tiny(), cwd=place.folder, prefix=prefix)
        assert_one_line(done, "can't write ", f"work/runs/{checkpoint.parent.name}/", FULL, "free space")
        assert bytes_below(checkpoint.parent) == before
        assert place.records() == []
        inside.run("rm", str(ballast))
        done = harness(*tiny(), cwd=place.folder, prefix=prefix)
        assert done.returncode == 0, done
        assert "goes on from iteration" in done.stdout
        shutil.copytree(checkpoint.parent, place.work / "runs" / checkpoint.parent.name)
    assert outcome(place) == outcome(undisturbed)


def test_no_room_for_a_record(place: Place, undisturbed: Place) -> None:
    place.results.mkdir()
    with mounted(small_disk(place.results, "8m")) as inside:
        prefix = inside.prefix(place.folder)
        seen = Place(folder=inside.seen(place.folder))
        ballast = inside.fill(place.results)
        done = harness(*tiny(), cwd=place.folder, prefix=prefix)
        assert_one_line(done, "can't write ", "results/runs/", FULL)
        assert seen.records() == [] and seen.leftovers() == []
        inside.run("rm", str(ballast))
        done = harness(*tiny(), cwd=place.folder, prefix=prefix)
        assert done.returncode == 0, done
        assert "goes on from iteration 12 of 12" in done.stdout  # nothing is trained again
        shutil.copytree(seen.results, place.folder / "found" / "results")
    (place.folder / "found" / "work").symlink_to(place.work)
    assert outcome(Place(folder=place.folder / "found")) == outcome(undisturbed)


def test_no_room_for_decoded_data(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with mounted(small_disk(tmp_path / "work", "1m")) as inside:
        done = harness(*tiny(), cwd=tmp_path, prefix=inside.prefix(tmp_path))
        assert_one_line(done, "1 MiB free", "decoded train split of roads", "make room")
        left = [path for path in inside.seen(tmp_path / "work").rglob("*") if path.is_file()]
        assert [path.suffix for path in left] == [".lock"]


def test_no_room_for_a_report(undisturbed: Place, tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    arguments = ["report", "--results", str(undisturbed.results), "--reports", str(tmp_path / "reports")]
    with mounted(small_disk(tmp_path / "reports", "8m")) as inside:
        prefix = inside.prefix(tmp_path)
        assert harness(*arguments, cwd=tmp_path, prefix=prefix).returncode == 0
        reports = inside.seen(tmp_path / "reports")
        before = bytes_below(reports)
        ballast = inside.fill(tmp_path / "reports")
        assert_one_line(harness(*arguments, cwd=tmp_path, prefix=prefix), "can't write ", FULL)
        inside.run("rm", str(ballast))
        assert bytes_below(reports) == before


@pytest.mark.parametrize("name", ["results", "reports", "work"])
def test_a_folder_that_is_read_only(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with mounted(read_only(tmp_path / name)) as inside:
        done = harness(*tiny(), cwd=tmp_path, prefix=inside.prefix(tmp_path))
    assert_one_line(done, f"--{name} {name}: Read-only file system")
