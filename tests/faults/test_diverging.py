"""A loss that is no longer finite."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from harness.training.checkpoint import load_checkpoint
from tests.faults.processes import Place, harness, tiny

pytestmark = pytest.mark.slow


def test_a_diverging_run_stops_at_its_iteration_and_keeps_the_last_good_state(place: Place) -> None:
    """With SGD and this rate weight decay makes weights grow tenfold a step, until a product is no float."""
    absurd = ("--override", "optimizer=sgd", "--override", "lr=1e3", "--override", "lr_scheduler=fixed")
    done = harness(*tiny(*absurd, iterations=400, every=2), cwd=place.folder)
    assert done.returncode == 1, done
    (record,) = place.records()
    failure = record["failure"]
    assert failure["kind"] == "diverged"
    assert failure["message"].endswith(f"not finite at iteration {failure['iteration']}")
    assert failure["message"] in done.stdout
    (checkpoint,) = place.checkpoints()
    stored = load_checkpoint(checkpoint)
    assert stored is not None
    tensors, values = stored
    assert 0 < values["iteration"] < failure["iteration"]
    assert all(math.isfinite(loss) for _, loss, _ in values["history"])
    assert all(torch.isfinite(tensor).all() for tensor in tensors["model"].values())
    assert all(
        torch.isfinite(tensor).all()
        for path in checkpoint.parent.glob("best-*.safetensors")
        for tensor in load_file(path).values()
    )


def test_a_rate_that_is_no_number_is_refused(tmp_path: Path) -> None:
    for value in ("nan", "inf", "-inf", "1e400"):
        done = harness(*tiny("--override", f"lr={value}"), cwd=tmp_path)
        assert done.returncode == 2 and "Traceback" not in done.said, done
        assert "lr: Input should be" in done.stderr
