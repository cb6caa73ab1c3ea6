"""The order of a group's networks, against figures computed by hand."""

import numpy as np
import pandas as pd
import pytest

from harness.config.protocol import Protocol
from harness.config.suite import load_suite
from harness.report.collect import collect
from harness.report.sections import sections
from harness.report.tables.spec import Table, tables_of
from tests.harness.report.made_up import FIRST, SECOND, Store, miou, right


def order(store: Store) -> Table | None:
    """The table of the only section of suite camvid."""
    (section,) = sections(collect(store.results, load_suite("camvid")))
    return next((one for one in tables_of(section, "scores") if one.spec.name == "order"), None)


def save(store: Store, protocol: Protocol, shares: dict[str, int], seed: int = 0) -> None:
    for name, share in shares.items():
        store.run(store.spec(name, protocol=protocol, seed=seed), {"half": right(1), "end": right(share)})


def test_highest_first_with_the_lead_over_the_next(store: Store, camvid: Protocol) -> None:
    save(store, camvid, {"segnet": 60, "fcn8s": 90, "deconvnet": 20})
    table = order(store)
    assert table is not None
    frame = table.frame
    assert list(frame["architecture"]) == ["fcn8s", "segnet", "deconvnet"]
    assert list(frame["next"]) == ["SegNet", "DeconvNet", ""]
    assert frame["lead"].tolist()[:2] == pytest.approx([miou(90) - miou(60), miou(60) - miou(20)])
    # all images of a network are alike: whatever is drawn of them gives the same
    assert frame["lead_low"].tolist()[:2] == pytest.approx(frame["lead_high"].tolist()[:2])
    assert np.isnan(frame["lead"].iloc[-1]) and list(frame["lead_seeds"][:2]) == [1, 1]
    assert "seed 0" not in table.text and "over seeds" not in table.notes["order"]


def test_what_blocks_of_images_do_not_tell_apart_is_marked(store: Store, camvid: Protocol) -> None:
    for name, matrices in (("segnet", FIRST), ("fcn8s", SECOND), ("deconvnet", right(5))):
        store.run(store.spec(name, protocol=camvid), {"half": right(1), "end": matrices})
    table = order(store)
    assert table is not None
    assert list(table.text.iloc[:, -1].str.startswith("≈ ")) == [True, False, False]
    assert table.text.iloc[-1, -1] == "–"


def test_seeds_that_two_networks_share_are_compared_in_pairs(store: Store, camvid: Protocol) -> None:
    save(store, camvid, {"segnet": 60, "fcn8s": 70, "deconvnet": 90})
    save(store, camvid, {"segnet": 30, "fcn8s": 40}, seed=1)
    table = order(store)
    assert table is not None
    frame = table.frame.set_index("architecture")
    assert list(frame.index) == ["deconvnet", "fcn8s", "segnet"]
    assert frame.loc["fcn8s", ["mIoU_seed_0", "mIoU_seed_1"]].tolist() == pytest.approx([miou(70), miou(40)])
    assert pd.isna(frame.loc["deconvnet", "mIoU_seed_1"])
    # by the only seed that both have, not by the means
    assert frame.loc["deconvnet", "lead"] == pytest.approx(miou(90) - miou(70))
    each = sorted((miou(70) - miou(60), miou(40) - miou(30)))
    lead = frame.loc["fcn8s"]
    assert lead["lead"] == pytest.approx(sum(each) / 2)
    # a draw of two seeds is one of them twice, or both; unpaired, 70 against 30 would be among the draws
    assert [lead["lead_low"], lead["lead_high"]] == pytest.approx(each)
    assert list(frame["lead_seeds"][:2]) == [1, 2] and "fewer seeds" in table.notes["order"]


def test_there_is_none_of_one_network_or_of_too_few_images(store: Store, camvid: Protocol) -> None:
    save(store, camvid, {"segnet": 60})
    assert order(store) is None
    for name in ("fcn8s", "deconvnet"):
        store.run(store.spec(name, protocol=camvid, digest="e" * 64), {"half": right(1)[:3], "end": right(60)[:3]})
    found = [
        table.spec.name
        for section in sections(collect(store.results, load_suite("camvid")))
        for table in tables_of(section, "scores")
    ]
    assert "table3" in found and "order" not in found
