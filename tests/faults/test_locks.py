"""Two commands on the same folders: work is shared, never doubled or interleaved."""

import pytest

from tests.faults.processes import Harness, Place, outcome, tiny

pytestmark = pytest.mark.slow


def test_two_commands_on_one_results_folder_share_the_runs(place: Place, undisturbed: Place) -> None:
    both = tiny("--seeds", "0,1")
    with Harness(*both, cwd=place.folder) as one, Harness(*both, cwd=place.folder) as other:
        done = one.done(), other.done()
    assert [ended.returncode for ended in done] == [0, 0], done
    assert "left to another process that works on it" in done[0].stdout + done[1].stdout
    records = place.records()
    assert [(record["status"], record["timing"]["segments"]) for record in records] == [("finished", 1)] * 2
    trained = [ended.stdout.count("iteration 12 of 12") for ended in done]
    assert sum(trained) == 2, done
    assert outcome(place) == outcome(undisturbed)
    assert place.leftovers() == []


def test_two_results_folders_do_not_share_a_checkpoint(place: Place, undisturbed: Place) -> None:
    with Harness(*tiny(), cwd=place.folder) as one:
        one.wait_for(place.checkpoints)
        with Harness(*tiny("--results", "others"), cwd=place.folder) as other:
            other.wait_for(lambda: "left to another process that works on it" in other.said)
        assert one.done().returncode == 0
    assert outcome(place) == outcome(undisturbed)
