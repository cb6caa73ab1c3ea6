"""Whether networks keep their order over seeds and initial weights, against figures computed by hand."""

from pathlib import Path

import pytest

from harness.config.initial_weights import HE
from harness.config.protocol import Protocol
from harness.config.run_spec import InitialWeights
from harness.config.suite import load_suite
from harness.report import write_reports
from harness.report.collect import collect
from harness.report.order import Order, order_frame, order_notes, order_text, orders
from tests.harness.report.made_up import Store
from tests.harness.report.test_rates import miou, right

SUITE = load_suite("camvid")
LOADED = InitialWeights(kind="file", sha256="ab" * 32, title="VGG16")


def put(store: Store, protocol: Protocol, weights: InitialWeights, seed: int, **shares: int) -> None:
    for name, share in shares.items():
        spec = store.spec(name, protocol=protocol, seed=seed, weights=weights)
        store.run(spec, {"end": right(share)}, layers=((), 13))


def found(store: Store) -> list[Order]:
    return orders(collect(store.results, SUITE).groups)


@pytest.fixture
def filled(store: Store, camvid: Protocol) -> Store:
    """FCN ahead of SegNet with both seeds and from random weights; DeepLab now above SegNet, now below."""
    put(store, camvid, LOADED, 0, segnet=50, fcn8s=70, **{"deeplab-largefov": 60})
    put(store, camvid, LOADED, 1, segnet=54, fcn8s=72, **{"deeplab-largefov": 52})
    put(store, camvid, HE, 0, segnet=20, fcn8s=40, deconvnet=10)
    return store


def test_rows_are_initial_weights_and_seeds(filled: Store) -> None:
    (order,) = found(filled)
    text = order_text(order)
    assert list(text["initial weights of the encoder"]) == ["VGG16", "VGG16", "none loaded"]
    assert list(text["seed"]) == ["0", "1", "0"]
    assert list(text["SegNet"]) == [f"{miou(50):.2f} (3)", f"{miou(54):.2f} (2)", f"{miou(20):.2f} (2)"]
    assert list(text["DeconvNet"]) == ["–", "–", f"{miou(10):.2f} (3)"]


def test_pairs_that_keep_their_order_are_told_from_the_others(filled: Store) -> None:
    (order,) = found(filled)
    pairs = {(pair.one, pair.other): (pair.ahead, pair.rows) for pair in order.pairs()}
    assert pairs == {
        ("SegNet", "DeepLab-LargeFOV"): (1, 2),
        ("SegNet", "FCN (learnt deconv)"): (0, 3),
        ("FCN (learnt deconv)", "DeepLab-LargeFOV"): (2, 2),
    }
    _, pairs_note, seeds_note = order_notes(order)
    assert "side by side in several rows: 3; in the same order in each: 2." in pairs_note
    assert "Not so: SegNet above DeepLab-LargeFOV in 1 of 2." in pairs_note
    assert f"SegNet {miou(54) - miou(50):.2f}" in seeds_note and "DeconvNet" not in seeds_note


def test_one_seed_of_one_kind_of_weights_shows_no_order(store: Store, camvid: Protocol) -> None:
    put(store, camvid, LOADED, 0, segnet=50, fcn8s=70)
    put(store, camvid, LOADED, 1, segnet=50)  # alone in its row
    put(store, camvid.override({"lr": "0.01"}), LOADED, 1, segnet=50, fcn8s=70)  # another protocol
    assert found(store) == []


def test_the_page_and_a_file_hold_it(filled: Store, tmp_path: Path) -> None:
    write_reports(filled.results, tmp_path / "reports", ["camvid"])
    folder = tmp_path / "reports" / "camvid"
    page = (folder / "README.md").read_text()
    assert "### Does the order hold over seeds and initial weights? " in page and "(order.csv)" in page
    frame = order_frame(found(filled))
    assert len(frame) == 9 and set(frame["place"]) == {1, 2, 3}
    assert len((folder / "order.csv").read_text().splitlines()) == 10
