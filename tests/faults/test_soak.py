"""A run that is killed at twenty random moments ends as one that never was."""

import random
import signal
import time
from pathlib import Path

import pytest

from tests.faults.conftest import prepared
from tests.faults.processes import Harness, outcome, tiny, trained

pytestmark = pytest.mark.slow

KILLS = 20
LONGEST_S = 9.0  # from a start to a kill: start-up, training, validations and checkpoints all have their turn
SOAK = tiny(iterations=600, every=40)


def test_twenty_kills_at_random_moments_leave_the_record_of_an_undisturbed_run(
    tmp_path: Path, drawn_cache: Path
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed of the moments: {seed}")
    moments = random.Random(seed)
    disturbed, undisturbed = (prepared(tmp_path / name, drawn_cache) for name in ("killed", "whole"))
    trained(undisturbed, *SOAK)
    for _ in range(KILLS):
        with Harness(*SOAK, cwd=disturbed.folder) as running:
            time.sleep(moments.uniform(0.0, LONGEST_S))
            assert running.alive, running.said
            running.signal_all(signal.SIGKILL)
    trained(disturbed, *SOAK)
    trained(disturbed, *SOAK)  # what a kill right after the record has left goes now at the latest
    (record,) = disturbed.records()
    assert record["timing"]["segments"] > 3, "hardly any kill came after a checkpoint"
    assert outcome(disturbed) == outcome(undisturbed)
    assert disturbed.leftovers() == []
