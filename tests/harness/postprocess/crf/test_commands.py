"""`logits` and `crf` as a user meets them."""

from pathlib import Path

import pytest

from harness.cli.crf import crf, logits
from harness.config.protocol import load_protocol
from harness.config.run_spec import refined
from harness.records.run import Failure
from harness.system.errors import UserError
from tests.harness.commands import assert_one_line, harness
from tests.harness.report.made_up import Store, noisy_matrices

QUICK = load_protocol("quick@2")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(results=tmp_path / "results")


def folders(folder: Path) -> dict[str, Path]:
    return {"results": folder / "results", "work": folder / "work"}


def test_a_run_that_there_is_not_is_one_line(tmp_path: Path) -> None:
    for command in ("logits", "crf"):
        assert_one_line(harness(command, "nothing", cwd=tmp_path), "run 'nothing'", "No such file")
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_a_network_s_weights_is_refused(store: Store, tmp_path: Path) -> None:
    failed, plain = store.spec("fcn8s", protocol=QUICK), store.spec("segnet", protocol=QUICK)
    store.failed(failed, Failure(kind="oom", message="OOM at batch 2"))
    twice = refined(plain)
    store.run(twice, {"end": noisy_matrices(0, 5, 0.5)})
    for run_id, says in ((failed.run_id, "has failed"), (twice.run_id, "name the one that trained")):
        with pytest.raises(UserError, match=says):
            logits(run_id, **folders(tmp_path), device="cpu")
        with pytest.raises(UserError, match=says):
            crf([run_id], **folders(tmp_path), device="cpu")


def test_other_splits_and_other_data_are_refused(store: Store, tmp_path: Path) -> None:
    """Made-up records are of another edition of the drawn data than the program draws."""
    store.pictures("segnet", QUICK, accuracy=0.5)
    run_id = store.spec("segnet", protocol=QUICK).run_id
    with pytest.raises(UserError, match="split 'all'"):
        logits(run_id, ["all"], **folders(tmp_path), device="cpu")
    with pytest.raises(UserError, match="is not what the run was trained on"):
        logits(run_id, last=True, **folders(tmp_path), device="cpu")
