"""The comparison of learning rates on val, against figures computed by hand."""

import numpy as np
import pandas as pd
import pytest

import datasets
from harness.config.protocol import Protocol, load_protocol
from harness.config.suite import load_suite
from harness.records.run import Failure
from harness.report import write_reports
from harness.report.collect import collect
from harness.report.families import Family, families
from harness.report.rates import means, rates
from harness.report.rates_tables import Rates, notes, rates_text
from tests.harness.report.made_up import Store, matrix

SUITE = load_suite("recipes")
LOW, OWN, LEAST, SLOW, HIGH = (load_protocol("recipes@1").override(recipe) for recipe in SUITE.recipes)


def right(share: int) -> np.ndarray:
    """Matrices of which so many of 100 pixels of the first class are right."""
    return np.stack([matrix([share, *[100] * 10], wrong=100 - share)] * 20)


def miou(share: int) -> float:
    return 100 * (share / 100 + 100 / (200 - share) + 9) / 11


def put(store: Store, protocol: Protocol, **shares: int) -> None:
    for name, share in shares.items():
        store.run(store.spec(name, protocol=protocol), {"end": right(share)})


def family(store: Store) -> Family:
    (only,) = families(SUITE, collect(store.results, SUITE).groups)
    return only


def made(store: Store) -> Rates:
    found = family(store)
    return Rates(family=found, suite=SUITE, dataset=datasets.info("camvid"), frame=rates(found))


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


def test_recipes_in_order_with_their_val_scores(filled: Store) -> None:
    frame = made(filled).frame
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


def test_one_recipe_for_all_is_the_highest_mean_of_those_that_all_finished(filled: Store) -> None:
    frame = made(filled).frame
    average = means(frame)
    assert list(average) == pytest.approx(
        [(miou(one) + miou(other)) / 2 for one, other in ((45, 30), (10, 20), (40, 70), (60, 65))]
    )
    text = " ".join(notes(made(filled)))
    assert "by the mean val mIoU of the 2 networks: AdamW 0.001, warmup-cosine" in text
    assert "another would suit FCN (learnt deconv)" in text


def test_a_recipe_that_diverged_says_so(filled: Store) -> None:
    cells = rates_text(made(filled).frame)
    last = cells.iloc[1]
    assert last["FCN (learnt deconv): mIoU %"] == "failed (diverged)"
    assert last["mean of 2 networks"] == "–"
    assert cells.iloc[4]["SegNet: mIoU %"].endswith(" *")


def test_other_lengths_are_comparisons_of_their_own(filled: Store) -> None:
    put(filled, OWN.override({"iterations": "100"}), segnet=30)
    found = families(SUITE, collect(filled.results, SUITE).groups)
    assert [one.first.protocol.iterations for one in found] == [500, 100]
    assert [one.name for one in found] == ["recipes@1", "recipes@1+iterations=100"]


def test_the_page_has_the_comparison_and_no_score_of_test(filled: Store) -> None:
    reports = filled.results.parent / "reports"
    filled.measurement("segnet")
    write_reports(filled.results, reports, ["recipes"])
    page = (reports / "recipes" / "README.md").read_text("utf-8")
    assert "mIoU on val by learning rate" in page
    assert "Made by `python -m harness run fcn8s segnet --suite recipes --data-root FOLDER --seeds 0" in page
    assert "Table 3" not in page and "Resources" not in page and "test: mIoU" not in page
    (written,) = reports.glob("recipes/*/rates.csv")
    frame = pd.read_csv(written)
    assert len(frame) == 10 and "test" not in " ".join(frame.columns)
    assert len(list(reports.glob("recipes/*/rates.png"))) == 1


def test_a_part_of_the_recipes_is_made_by_a_command_for_each(store: Store) -> None:
    put(store, LEAST, segnet=30)
    put(store, LOW, segnet=40)
    (text,) = (note for note in notes(made(store)) if note.startswith("Made by"))
    first, second = text.split(" and ")
    assert "--override 'lr=0.0001'" in first and "--override 'optimizer=adamw'" in first
    assert "--override 'lr=0.0003'" in second and "lr=0.0001" not in second


def test_a_single_recipe_is_not_called_the_highest(store: Store) -> None:
    put(store, OWN, segnet=60, fcn8s=50)
    cells = rates_text(made(store).frame)
    assert not any("*" in cell for cell in cells.iloc[0])


def test_measurements_alone_make_no_report(store: Store) -> None:
    store.measurement("segnet")
    reports = store.results.parent / "reports"
    assert write_reports(store.results, reports, ["recipes"]) == []
