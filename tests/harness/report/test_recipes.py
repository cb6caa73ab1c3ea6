"""The comparison of recipes on val, against figures computed by hand."""

import pandas as pd
import pytest

from harness import load_results
from harness.config.protocol import Protocol, load_protocol
from harness.config.suite import load_suite
from harness.records.run import Failure
from harness.report.tables.recipes import means
from harness.report.write import write_reports
from tests.harness.commands import ROOT
from tests.harness.report.made_up import Store, miou, right
from tests.harness.report.test_table3 import table

SUITE = load_suite("recipes")
ALL = [load_protocol("recipes@1").override(recipe) for recipe in SUITE.recipes]
LOW, OWN, LEAST, SLOW, HIGH = ALL


def put(store: Store, protocol: Protocol, **shares: int) -> None:
    for name, share in shares.items():
        store.run(store.spec(name, protocol=protocol), {"end": right(share)})


@pytest.fixture
def filled(store: Store) -> Store:
    """SegNet with all recipes, FCN with the protocol's own two lower ones; one diverged."""
    put(store, LEAST, segnet=10, fcn8s=20)
    put(store, SLOW, segnet=45, fcn8s=30)
    put(store, LOW, segnet=40, fcn8s=70)
    put(store, OWN, segnet=60, fcn8s=65)
    put(store, HIGH, segnet=50)
    store.failed(store.spec("fcn8s", protocol=HIGH), Failure(kind="diverged", message="not finite", iteration=9))
    return store


def frame_of(store: Store) -> pd.DataFrame:
    return table(store, "recipes", "recipes").frame


def test_recipes_in_order_with_their_val_scores(filled: Store) -> None:
    frame = frame_of(filled)
    segnet = frame[frame["network"] == "SegNet"]
    assert list(segnet["recipe"]) == [
        "SGD 0.01, warmup-cosine",
        "SGD 0.1, warmup-cosine",
        "AdamW 0.0001, warmup-cosine",
        "AdamW 0.0003, warmup-cosine",
        "AdamW 0.001, warmup-cosine",
    ]
    assert list(segnet["mIoU"]) == pytest.approx([miou(45), miou(50), miou(10), miou(40), miou(60)])
    assert list(segnet["highest"]) == [False, False, False, False, True]
    assert (segnet["iterations"] == 500).all()
    assert frame["status"].eq("failed (diverged)").sum() == 1


def test_the_mean_is_of_recipes_that_all_finished_and_counts_fcn_once(filled: Store) -> None:
    expected = [(miou(one) + miou(other)) / 2 for one, other in ((45, 30), (10, 20), (40, 70), (60, 65))]
    assert list(means(frame_of(filled))) == pytest.approx(expected)
    # the same network with another decoder of its own would count a second time
    for protocol, share in ((SLOW, 90), (LEAST, 90), (LOW, 90), (OWN, 90), (HIGH, 90)):
        put(filled, protocol, **{"fcn8s-bilinear": share})
    assert list(means(frame_of(filled))) == pytest.approx(expected)


def test_the_files_have_no_score_of_test(filled: Store) -> None:
    reports = filled.results.parent / "reports"
    filled.measurement("segnet")
    write_reports(filled.results, reports, ["recipes"])
    (written,) = reports.glob("recipes/*/recipes.csv")
    frame = pd.read_csv(written)
    assert len(frame) == 10 and "test" not in " ".join(frame.columns)
    assert len(list(reports.glob("recipes/*/rates.png"))) == 1
    assert not list(reports.rglob("table*"))


def test_measurements_alone_make_no_report(store: Store) -> None:
    store.measurement("segnet")
    assert write_reports(store.results, store.results.parent / "reports", ["recipes"]) == []


@pytest.mark.parametrize(("name", "optimizer"), [("camvid-tuned@1", None), ("own@1", "adamw")])
def test_protocols_have_the_recipe_that_the_committed_runs_choose(name: str, optimizer: str | None) -> None:
    """The highest mean over the networks of val mIoU at the end, of all recipes or of those of one optimizer."""
    runs = load_results(ROOT / "results")
    runs = runs[(runs["protocol"] == "recipes@1") & (runs["split"] == "val") & (runs["checkpoint"] == "end")]
    scores = runs.pivot_table(index="overrides", columns="architecture", values="miou")
    assert sorted(scores) == sorted(SUITE.architectures) and scores.notna().all(axis=None)
    recipes = {" ".join(f"{key}={value}" for key, value in one.overrides.items()): one for one in ALL}
    means = scores.mean(axis=1)
    wanted = recipes[max((one for one in means.index if optimizer in (None, recipes[one].optimizer)), key=means.get)]
    protocol = load_protocol(name)
    for field in ("optimizer", "lr", "lr_scheduler", "weight_decay", "momentum", "hflip", "batch_size"):
        assert getattr(protocol, field) == getattr(wanted, field), field
