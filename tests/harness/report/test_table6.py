"""Table 6: ratios, units, what is n/a, and what must not stand in one table."""

from typing import Any

import pandas as pd
import pytest

from harness.config.protocol import Protocol
from harness.config.suite import load_suite
from harness.records.measurement import Measurement, MeasurementRecord, save_measurement
from harness.report import pages as report_pages
from harness.report.collect import collect
from harness.report.commands import measure_command
from harness.report.resources import MeasurementGroup, Measurements
from harness.report.sections import Section, sections
from harness.report.tables.spec import Table, tables_of
from harness.report.tables.table6 import table6
from harness.report.write import write_reports
from tests.harness.report.links import dead_links
from tests.harness.report.made_up import PART, Store
from tests.harness.report.made_up_measurements import measured

GPU: dict[str, Any] = {"device": "cuda", "preset": "lease"}


def measurements(store: Store, suite: str = "camvid") -> Measurements:
    return collect(store.results, load_suite(suite)).measurements


def only_table(store: Store, suite: str = "camvid") -> pd.DataFrame:
    (group,) = measurements(store, suite).groups
    reference = "segnet-basic" if suite == "decoders" else "segnet"
    return table6(group, reference, with_paper=suite == "camvid").set_index("network")


def tables(store: Store, group: MeasurementGroup, suite: str = "camvid") -> dict[str, Table]:
    records = collect(store.results, load_suite(suite))
    own = Section(records=records, device=group)
    return {table.spec.name: table for table in tables_of(own, "costs")}


def test_ratios_are_to_segnet_here_and_in_the_paper(store: Store) -> None:
    store.measurement("segnet", forward_ms=100, inference_mib=400, model_size_mb=120)
    store.measurement("deconvnet", forward_ms=150, inference_mib=900, model_size_mb=900)
    found = only_table(store).loc["DeconvNet"]
    assert found["forward_ms_ratio"] == pytest.approx(1.5)
    assert found["forward_ms_ratio_paper"] == pytest.approx(474.65 / 422.50)
    assert found["inference_live_mib"] == pytest.approx(900)
    assert found["inference_live_mib_ratio"] == pytest.approx(2.25)
    assert found["inference_live_mib_ratio_paper"] == pytest.approx(1872 / 1052)
    assert found["model_size_mb_ratio"] == pytest.approx(7.5)
    assert found["parameters"] == 225_000_000
    parts = ("weights", "decoder", "activations", "state")
    assert sum(found[f"training_{part}_mib"] for part in parts) == pytest.approx(found["training_live_mib"])


def test_rows_that_the_paper_or_we_do_not_have(store: Store) -> None:
    store.measurement("fcn8s-bilinear", forward_ms=50)
    found = only_table(store)
    assert pd.isna(found.loc["FCN", "forward_ms_ratio"])  # nothing to take it to
    store.measurement("segnet")
    found = only_table(store)
    assert set(found.index) == {"SegNet", "DeepLab-LargeFOV", "FCN (learnt deconv)", "DeconvNet", "FCN"}
    assert found.loc["FCN", "forward_ms_ratio"] == pytest.approx(0.5)
    assert pd.isna(found.loc["FCN", "forward_ms_paper"]) and pd.isna(found.loc["DeconvNet", "forward_ms"])
    assert found.loc["DeconvNet", "model_size_mb_paper"] == 877


def test_missing_figure_is_na_with_its_reason(store: Store) -> None:
    store.measurement("segnet", backward_ms=None)
    store.measurement("deconvnet")
    frame = only_table(store)
    assert frame.loc["SegNet", "backward_ms_reason"] == "not tried"
    (group,) = measurements(store).groups
    text = tables(store, group)["table6"].text.set_index("network")
    assert text.loc["SegNet", "backward, ms"] == "n/a"
    assert not [head for head in tables(store, group)["table6-inference"].text if "NVML" in str(head)]


def test_what_was_not_measured_has_no_row_but_in_the_file(store: Store) -> None:
    store.measurement("segnet")
    record = measured("deconvnet")
    save_measurement(store.results, record.model_copy(update={"cells": without(record, "forward", "backward")}))
    (group,) = measurements(store).groups
    found = tables(store, group)
    assert list(found["table6"].text["network"]) == ["SegNet"]  # nor those that the paper alone has
    assert set(found["table6-size"].text["network"]) == {"SegNet", "DeconvNet"}
    assert "DeconvNet" in found["table6"].files("Time")["table6.csv"]


def without(record: MeasurementRecord, *phases: str) -> tuple[Measurement, ...]:
    return tuple(cell for cell in record.cells if cell.key.phase not in phases)


def test_gpu_memory_energy_and_precision(store: Store) -> None:
    store.measurement("segnet", device="cuda", preset="lease", inference_mib=400, energy_mj=850.0)
    found = only_table(store).loc["SegNet"]
    assert found["inference_live_mib"] == pytest.approx(400)
    assert found["inference_nvml_mib"] == pytest.approx(600)
    assert found["energy_j"] == pytest.approx(0.85)
    (group,) = measurements(store).groups
    files = tables(store, group)["table6"].files("Time", "table6-gpu")
    assert set(files) == {"table6-gpu.csv", "table6-gpu.tex"}
    assert "fp32 without TF32" in files["table6-gpu.csv"]


def test_sizes_devices_presets_and_variants_are_never_mixed(store: Store, camvid: Protocol) -> None:
    store.pictures("segnet", camvid.override({"size": "90x120"}), accuracy=0.5)
    store.measurement("segnet")
    store.measurement("deconvnet", preset="full")
    store.measurement("segnet", device="cuda", preset="lease")
    store.measurement("segnet", size=(90, 120))
    store.measurement("deconvnet", device="cuda", preset="lease", options=("channels-last", "folded"))
    found = measurements(store).groups
    assert [group.slug for group in found] == [
        "cuda-made-up-360x480-fp32-lease",
        "cpu-made-up-360x480-fp32-full-2t",
        "cpu-made-up-360x480-fp32-cpu-2t",
        "cuda-made-up-360x480-fp32-channels-last-folded-lease",
        "cpu-made-up-90x120-fp32-cpu-2t",
    ]
    assert [bool(group.reduced) for group in found] == [False, False, False, False, True]
    assert measure_command(found[3]) == (
        "python -m harness measure deconvnet --size 360x480 --classes 11 --device cuda --precision fp32 "
        "--variant channels-last+folded --preset lease"
    )


def test_scores_stand_beside_the_runs_size_then_fp32_then_the_papers_size(store: Store, camvid: Protocol) -> None:
    at = camvid.override({"size": "90x120"})
    for name in ("segnet", "deconvnet"):
        store.run(store.spec(name, protocol=at, precision="bf16"), {"half": PART, "end": PART})

    def found() -> tuple[tuple[int, int], str, str]:
        (section,) = sections(collect(store.results, load_suite("camvid")))
        assert section.costs is not None
        return section.costs.size, section.costs.first.spec.precision, section.costs.first.spec.device

    store.measurement("segnet", precision="bf16")
    assert found() == ((360, 480), "bf16", "cpu")
    store.measurement("segnet", size=(90, 120))
    assert found() == ((90, 120), "fp32", "cpu"), "the size counts for more"
    store.measurement("segnet", size=(90, 120), precision="bf16", device="cuda")
    assert found() == ((90, 120), "bf16", "cuda")
    for name in ("segnet", "deconvnet"):
        store.measurement(name, size=(90, 120), precision="bf16")
    assert found() == ((90, 120), "bf16", "cpu"), "most of the networks"


def test_scores_never_stand_beside_times_alone(store: Store, camvid: Protocol) -> None:
    store.run(store.spec("segnet", protocol=camvid.override({"size": "90x120"})), {"half": PART, "end": PART})
    record = measured("segnet", size=(90, 120))
    times = tuple(cell for cell in record.cells if cell.key.phase == "forward")
    save_measurement(store.results, record.model_copy(update={"cells": times}))
    records = collect(store.results, load_suite("camvid"))
    (section,) = sections(records)
    assert section.costs is None
    (group,) = records.measurements.groups
    assert list(tables(store, group)) == ["table6"], "no empty table of memory or size"
    folder = store.results.parent / "reports" / "camvid"
    write_reports(store.results, folder.parent)
    assert dead_links((folder / "costs.md").read_text(), folder) == []


def test_reduced_inputs_have_a_page_of_their_own_where_one_page_is_too_long(
    store: Store, camvid: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.run(store.spec("segnet", protocol=camvid.override({"size": "90x120"})), {"half": PART, "end": PART})
    store.measurement("segnet")
    store.measurement("segnet", size=(90, 120))
    folder = store.results.parent / "reports" / "camvid"
    write_reports(store.results, folder.parent)
    assert not (folder / "costs-reduced.md").exists()
    monkeypatch.setattr(report_pages, "LINES", 20)
    write_reports(store.results, folder.parent)
    pages = {name: (folder / f"{name}.md").read_text() for name in ("costs", "costs-reduced")}
    assert [("input 360 x 480" in page, "input 90 x 120, " in page) for page in pages.values()] == [
        (True, False),
        (False, True),
    ]
    assert [dead_links(page, folder) for page in pages.values()] == [[], []]


def test_a_suite_shows_its_own_networks_at_the_size_of_its_runs(store: Store, quick: Protocol) -> None:
    for name in ("segnet", "segnet-basic", "fcn-basic"):
        store.measurement(name)
    for suite, expected in (("camvid", ["segnet"]), ("decoders", ["segnet-basic", "fcn-basic"])):
        (group,) = measurements(store, suite).groups
        assert [record.spec.architecture for record in group.records] == expected
    store.pictures("segnet", quick, accuracy=0.5)
    store.measurement("segnet", size=(48, 64))
    assert [group.size for group in measurements(store, "quick").groups] == [(48, 64)]


def test_decoders_are_held_against_segnet_basic_and_not_the_papers_table6(store: Store) -> None:
    store.measurement("segnet-basic", forward_ms=100)
    store.measurement("fcn-basic", forward_ms=50)
    frame = only_table(store, "decoders")
    assert list(frame.index) == ["SegNet-Basic", "FCN-Basic"]
    assert frame.loc["FCN-Basic", "forward_ms_ratio"] == pytest.approx(0.5)
    assert not [column for column in frame if "paper" in str(column)]


def test_other_revision_and_unreadable_are_named(store: Store) -> None:
    store.measurement("segnet", revision=99)
    folder = store.results / "measurements" / "cpu-made-up"
    (folder / "broken.json").write_text("{", "utf-8")
    found = measurements(store)
    assert found.groups == ()
    assert found.outdated[0][1].startswith("revision 99 of segnet, now ")
    assert found.unreadable[0].startswith("measurements/cpu-made-up/broken.json: ")


@pytest.mark.parametrize(
    ("theirs_ms", "spread", "same"),
    [
        (103.9, 2.0, True),  # twice 2 % of 103.9 ms, the larger of the two, is 4.156 ms
        (104.2, 2.0, False),
        (96.1, 2.0, True),  # SegNet's 2 ms is the larger one
        (95.9, 2.0, False),
        (100.0, 0.0, True),
    ],
)
def test_no_difference_within_twice_the_larger_spread(
    store: Store, theirs_ms: float, spread: float, same: bool
) -> None:
    store.measurement("segnet", forward_ms=100, spread_percent=spread)
    store.measurement("deconvnet", forward_ms=theirs_ms, spread_percent=spread)
    frame = only_table(store)
    assert bool(frame.loc["DeconvNet", "forward_ms_ratio_no_difference"]) is same
    assert frame.loc["SegNet", "forward_ms_ratio_no_difference"] is pd.NA


def test_with_fewer_than_three_processes_six_percent_are_no_difference(store: Store) -> None:
    store.measurement("segnet", forward_ms=100, spread_percent=0.1, processes=1)
    store.measurement("deconvnet", forward_ms=106.3, spread_percent=0.1, processes=1)  # 6 % of it are 6.38 ms
    store.measurement("fcn8s", forward_ms=106.5, spread_percent=0.1, processes=1)  # 6 % of it are 6.39 ms
    frame = only_table(store)["forward_ms_ratio_no_difference"]
    assert bool(frame["DeconvNet"]) and not bool(frame["FCN (learnt deconv)"])


class TestSeries:
    def test_all_sizes_of_what_is_shown_and_nothing_else(self, store: Store) -> None:
        for size in ((360, 480), (90, 120)):
            store.measurement("segnet", size=size)
        store.measurement("segnet", size=(90, 120), device="cuda", preset="lease")
        found = measurements(store)
        assert [group.size for group in found.groups] == [(360, 480)]
        assert [one.slug for one in found.series] == ["cpu-made-up-fp32-cpu-2t"]
        assert found.series[0].sizes == [(90, 120), (360, 480)]

    def test_options_are_apart(self, store: Store) -> None:
        store.measurement("segnet", **GPU)
        store.measurement("segnet", size=(90, 120), options=("compiled",), **GPU)
        store.measurement("segnet", options=("compiled",), **GPU)
        found = measurements(store)
        assert [one.slug for one in found.series] == [
            "cuda-made-up-fp32-lease",
            "cuda-made-up-fp32-compiled-lease",
        ]
        assert [len(one.records) for one in found.series] == [1, 2]
