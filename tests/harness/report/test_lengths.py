"""Networks trained for several lengths, against figures computed by hand."""

from pathlib import Path

import numpy as np
import pytest

import datasets
from harness.config.protocol import Protocol
from harness.config.run_spec import InitialWeights, refined
from harness.config.suite import load_suite
from harness.report import write_reports
from harness.report.checks import Published, checks
from harness.report.collect import collect
from harness.report.lengths import Lengths, lengths, lengths_frame, lengths_notes, lengths_text
from tests.harness.report.made_up import Store
from tests.harness.report.test_rates import miou, right

SUITE = load_suite("camvid")
LOADED = InitialWeights(kind="file", sha256="ab" * 32, title="VGG16")


def put(store: Store, protocol: Protocol, iterations: int, seed: int = 0, **shares: int) -> None:
    own = protocol.override({"iterations": f"{iterations}", "eval_interval": f"{iterations // 10}"})
    for name, share in shares.items():
        spec = store.spec(name, protocol=own, seed=seed, weights=LOADED)
        store.run(spec, {"end": right(share)}, train=right(99), layers=((), 13))


def found(store: Store) -> list[Lengths]:
    groups = collect(store.results, SUITE).groups
    return lengths([(group, checks(group, datasets.info("camvid"), Published())) for group in groups])


@pytest.fixture
def filled(store: Store, camvid: Protocol) -> Store:
    """SegNet passes DeepLab with more iterations; FCN has the shorter one alone, DeconvNet the longer."""
    put(store, camvid, 1000, segnet=40, fcn8s=70, **{"deeplab-largefov": 60})
    put(store, camvid, 1000, seed=1, segnet=50)
    put(store, camvid, 2000, segnet=75, deconvnet=10, **{"deeplab-largefov": 65})
    return store


def test_a_row_for_each_length_of_networks_with_several(filled: Store) -> None:
    (one,) = found(filled)
    assert one.name == "camvid-epochs@2"
    text = lengths_text(one)
    assert list(text["network"]) == ["SegNet", "SegNet", "DeepLab-LargeFOV", "DeepLab-LargeFOV"]
    assert list(text["iterations"]) == ["1,000", "2,000"] * 2
    assert list(text["seeds"]) == ["2", "1", "1", "1"]
    assert list(text["test: mIoU %"])[:2] == [f"{(miou(40) + miou(50)) / 2:.2f}", f"{miou(75):.2f}"]
    assert set(text["train: mIoU %"]) == {f"{miou(99):.2f}"}
    assert set(text["test: BF %"]) == {"50.00"}


def test_gains_and_the_order(filled: Store) -> None:
    _, gains, order = lengths_notes(*found(filled))
    segnet, deeplab = miou(75) - (miou(40) + miou(50)) / 2, miou(65) - miou(60)
    assert gains == (
        f"mIoU on test from 1,000 to 2,000 iterations, points: SegNet +{segnet:.2f}, DeepLab-LargeFOV +{deeplab:.2f}."
    )
    assert order == ("The order on test changes: 1,000: DeepLab-LargeFOV > SegNet; 2,000: SegNet > DeepLab-LargeFOV.")


def test_an_order_that_stays_is_named_once(store: Store, camvid: Protocol) -> None:
    for iterations in (1000, 2000, 4000):
        put(store, camvid, iterations, segnet=40, fcn8s=70)
    _, first, second, order = lengths_notes(*found(store))
    assert "from 1,000 to 2,000" in first and "from 2,000 to 4,000" in second
    assert order == "The order on test is the same for every length: FCN (learnt deconv) > SegNet."


def test_other_recipes_weights_and_full_runs_do_not_mix(store: Store, camvid: Protocol) -> None:
    put(store, camvid, 1000, segnet=40)
    put(store, camvid.override({"lr": "0.01"}), 2000, segnet=40)
    own = camvid.override({"iterations": "2000"})
    store.run(store.spec("segnet", protocol=own), {"end": right(40)})  # from other weights
    store.run(store.spec("segnet", protocol=camvid, weights=LOADED), {"end": right(40)}, layers=((), 13))
    assert found(store) == []


def test_refined_networks_are_no_training_of_their_own(store: Store, camvid: Protocol) -> None:
    for iterations in (1000, 2000):
        own = camvid.override({"iterations": f"{iterations}"})
        spec = store.spec("deeplab-largefov", protocol=own, weights=LOADED)
        store.run(spec, {"end": right(40)}, layers=((), 13))
        store.run(refined(spec), {"end": right(50)}, layers=((), 13))
    (one,) = found(store)
    assert one.networks == ["DeepLab-LargeFOV"]


def test_the_page_and_a_file_hold_it(filled: Store, tmp_path: Path) -> None:
    write_reports(filled.results, tmp_path / "reports", ["camvid"])
    folder = tmp_path / "reports" / "camvid"
    page = (folder / "README.md").read_text()
    head = "### What do more iterations bring? camvid-epochs@2 on "
    assert page.count(head) == 1 and "(lengths.csv)" in page
    section = page.split(head)[1].split("\n### ")[0]
    assert "**REDUCED: 1,000 of 8,560 iterations; 2,000 of 8,560 iterations**" in section
    frame = lengths_frame(found(filled))
    assert len(frame) == 4 and not frame["test"].isna().any()
    assert np.isfinite(frame["loss_last"]).all()
    assert len((folder / "lengths.csv").read_text().splitlines()) == 5
