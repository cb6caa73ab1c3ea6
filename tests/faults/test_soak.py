"""A run that is killed at random moments ends as one that never was."""

import random
import signal
import time
from pathlib import Path

import pytest

from tests.faults.conftest import prepared
from tests.faults.processes import Harness, Place, outcome, tiny, trained

pytestmark = pytest.mark.slow

KILLS = 8
STARTING_S = 5.0  # from a start to a kill, at most: start-up, and on a fast machine the first iterations
TRAINING_S = 0.5  # from a new checkpoint to a kill, at most: training, validations and the next checkpoint
SOAK = tiny(iterations=300, every=20)


def test_kills_at_random_moments_leave_the_record_of_an_undisturbed_run(tmp_path: Path, drawn_cache: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed of the moments: {seed}")
    moments = random.Random(seed)
    disturbed, undisturbed = (prepared(tmp_path / name, drawn_cache) for name in ("killed", "whole"))
    trained(undisturbed, *SOAK)
    for kill in range(KILLS):
        before = _checkpointed_at(disturbed)
        with Harness(*SOAK, cwd=disturbed.folder) as running:
            if kill % 2:
                running.wait_for(lambda before=before: _checkpointed_at(disturbed) != before)  # type: ignore[misc]
            time.sleep(moments.uniform(0.0, TRAINING_S if kill % 2 else STARTING_S))
            assert running.alive, running.said
            running.signal_all(signal.SIGKILL)
    trained(disturbed, *SOAK)
    trained(disturbed, *SOAK)  # what a kill right after the record has left goes now at the latest
    (record,) = disturbed.records()
    assert record["timing"]["segments"] > KILLS // 2
    assert outcome(disturbed) == outcome(undisturbed)
    assert disturbed.leftovers() == []


def _checkpointed_at(place: Place) -> list[int]:
    """When the checkpoints there were written, in nanoseconds."""
    return [path.stat().st_mtime_ns for path in place.checkpoints()]
