"""Table 6: ratios, units, what is n/a, and what must not stand in one table."""

import io

import pandas as pd
import pytest

import datasets
from harness.config.protocol import Protocol
from harness.config.suite import load_suite
from harness.report.collect import collect
from harness.report.resource_tables import table6_files
from harness.report.resources import Measurements, collect_measurements, for_size
from harness.report.table6 import comparison, table6
from harness.report.wording import measure_command
from tests.harness.report.made_up import Store
from tests.harness.report.made_up_measurements import MIB

AGAINST = comparison(load_suite("camvid"), datasets.info("camvid"))


def measurements(store: Store, suite: str = "camvid") -> Measurements:
    return collect_measurements(store.results, collect(store.results, load_suite(suite)))


def only_table(store: Store) -> pd.DataFrame:
    (group,) = measurements(store).groups
    return table6(group, AGAINST).set_index("network")


def text_of(store: Store) -> str:
    (group,) = measurements(store).groups
    files = table6_files(group, AGAINST, table6(group, AGAINST))
    (name,) = [name for name in files if name.endswith(".md")]
    return files[name]


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


def test_paper_rows_that_were_not_measured_stay(store: Store) -> None:
    store.measurement("segnet")
    frame = only_table(store)
    assert list(frame.index) == ["SegNet", "DeepLab-LargeFOV", "FCN (learnt deconv)", "DeconvNet"]
    assert frame.loc["DeconvNet", "status"] == "not measured"
    assert frame.loc["DeconvNet", "model_size_mb_paper"] == 877


def test_network_that_the_paper_does_not_have(store: Store) -> None:
    store.measurement("segnet")
    store.measurement("fcn8s-bilinear", forward_ms=50)
    found = only_table(store).loc["FCN"]
    assert found["forward_ms_ratio"] == pytest.approx(0.5)
    assert pd.isna(found["forward_ms_paper"])


def test_without_segnet_there_is_no_ratio_and_the_reason_stands(store: Store) -> None:
    store.measurement("deconvnet")
    found = only_table(store).loc["DeconvNet"]
    assert pd.isna(found["forward_ms_ratio"])
    assert found["forward_ms_ratio_reason"] == "no measurement of SegNet on this device"
    text = text_of(store)
    assert "n/a (1)" in text
    assert "- n/a (1): no measurement of SegNet on this device" in text


def test_missing_figure_is_na_with_its_reason(store: Store) -> None:
    store.measurement("segnet", backward_ms=None)
    store.measurement("deconvnet")
    frame = only_table(store)
    assert pd.isna(frame.loc["SegNet", "backward_ms"])
    assert frame.loc["SegNet", "backward_ms_reason"] == "not tried"
    assert frame.loc["DeconvNet", "backward_ms_ratio_reason"] == "SegNet: not tried"


def test_what_a_device_does_not_have_is_one_line_and_no_column(store: Store) -> None:
    store.measurement("segnet")
    text = text_of(store)
    assert "NVML used minus idle here, MiB" not in text
    assert "- n/a for every network: training allocator's peak, " in text
    assert "measured on a CPU" in text


def test_gpu_memory_has_columns_of_its_own(store: Store) -> None:
    store.measurement("segnet", device="cuda", preset="lease", inference_mib=400)
    found = only_table(store).loc["SegNet"]
    assert found["inference_live_mib"] == pytest.approx(400)
    assert found["inference_nvml_mib"] == pytest.approx(600)
    text = text_of(store)
    assert "| NVML used minus idle here, MiB |" in text
    assert "# Table 6 on Made-up GPU, input 360 x 480, fp32, preset lease" in text


def test_sizes_devices_and_efforts_are_never_mixed(store: Store, camvid: Protocol) -> None:
    store.pictures("segnet", camvid.override({"size": "90x120"}), accuracy=0.5)
    store.measurement("segnet")
    store.measurement("deconvnet", preset="full")
    store.measurement("segnet", device="cuda", preset="lease")
    store.measurement("segnet", size=(90, 120))
    found = measurements(store).groups
    assert [group.slug for group in found] == [
        "cuda-made-up-360x480-fp32-lease",
        "cpu-made-up-360x480-fp32-full-2t",
        "cpu-made-up-360x480-fp32-cpu-2t",
        "cpu-made-up-90x120-fp32-cpu-2t",
    ]
    assert [group.reduced for group in found] == ["", "", "", "input 90 x 120 instead of 360 x 480"]


def test_reduced_table_is_marked_and_says_what_small_inputs_do(store: Store, camvid: Protocol) -> None:
    store.pictures("segnet", camvid.override({"size": "90x120"}), accuracy=0.5)
    store.measurement("segnet", size=(90, 120))
    text = text_of(store)
    assert "**REDUCED: input 90 x 120 instead of 360 x 480**" in text
    assert "this is another DeconvNet" in text


def test_plots_take_the_runs_size_and_failing_that_the_papers(store: Store, camvid: Protocol) -> None:
    store.pictures("segnet", camvid.override({"size": "90x120"}), accuracy=0.5)
    store.measurement("segnet")
    found = for_size(measurements(store), (90, 120), "fp32")
    assert found is not None
    assert found.size == (360, 480)
    store.measurement("segnet", size=(90, 120))
    found = for_size(measurements(store), (90, 120), "fp32")
    assert found is not None
    assert found.size == (90, 120)


def test_plots_take_fp32_where_the_runs_precision_was_not_measured(store: Store, camvid: Protocol) -> None:
    store.pictures("segnet", camvid.override({"size": "90x120"}), accuracy=0.5)
    store.measurement("segnet", precision="bf16")
    store.measurement("segnet", size=(90, 120))
    found = for_size(measurements(store), (90, 120), "bf16")
    assert found is not None
    assert (found.size, found.first.spec.precision) == ((90, 120), "fp32"), "the size counts for more"
    store.measurement("segnet", size=(90, 120), precision="bf16")
    found = for_size(measurements(store), (90, 120), "bf16")
    assert found is not None and found.first.spec.precision == "bf16"


def test_drawn_suite_shows_the_size_of_its_runs_only(store: Store, quick: Protocol) -> None:
    store.pictures("segnet", quick, accuracy=0.5)
    store.measurement("segnet")
    assert [group.size for group in measurements(store, "quick").groups] == [(360, 480)]
    store.measurement("segnet", size=(48, 64))
    assert [group.size for group in measurements(store, "quick").groups] == [(48, 64)]


def test_a_suite_shows_the_measurements_of_its_own_networks(store: Store, camvid: Protocol) -> None:
    store.pictures("smp:Unet/resnet34", camvid, accuracy=0.5)
    for name in ("segnet", "smp:Unet/resnet34", "segnet-basic", "fcn-basic"):
        store.measurement(name)
    for suite, expected in (
        ("camvid", ["segnet", "smp:Unet/resnet34"]),
        ("decoders", ["segnet-basic", "fcn-basic"]),
    ):
        (group,) = measurements(store, suite).groups
        assert [record.spec.architecture for record in group.records] == expected


def test_decoders_are_held_against_segnet_basic_and_not_the_papers_table6(store: Store) -> None:
    store.measurement("segnet-basic", forward_ms=100)
    store.measurement("fcn-basic", forward_ms=50)
    (group,) = measurements(store, "decoders").groups
    against = comparison(load_suite("decoders"), datasets.info("camvid"))
    frame = table6(group, against).set_index("network")
    assert list(frame.index) == ["SegNet-Basic", "FCN-Basic"]
    assert frame.loc["FCN-Basic", "forward_ms_ratio"] == pytest.approx(0.5)
    files = table6_files(group, against, table6(group, against))
    assert "resources-cpu-made-up-360x480-fp32-cpu-2t.csv" in files
    text = files["resources-cpu-made-up-360x480-fp32-cpu-2t.md"]
    assert "| forward: ratio to SegNet-Basic, here |" in text
    assert "Titan" not in text
    assert "Table 6" not in text


def test_other_revision_and_unreadable_are_named(store: Store) -> None:
    store.measurement("segnet", revision=99)
    folder = store.results / "measurements" / "cpu-made-up"
    (folder / "broken.json").write_text("{", "utf-8")
    found = measurements(store)
    assert found.groups == ()
    assert found.outdated[0][1].startswith("revision 99 of segnet, now ")
    assert found.unreadable[0].startswith("measurements/cpu-made-up/broken.json: ")


def test_flags_are_shown(store: Store) -> None:
    store.measurement("segnet", flags=("Rounds differ by 12 %.",))
    assert "- SegNet: forward at batch 1: Rounds differ by 12 %." in text_of(store)


def test_mebibytes(store: Store) -> None:
    store.measurement("segnet", training_mib=3 * 2**10 / MIB * 2**10)
    assert only_table(store).loc["SegNet", "training_live_mib"] == pytest.approx(3)


def test_options_have_tables_of_their_own_after_the_plain_ones(store: Store) -> None:
    store.measurement("segnet")
    store.measurement("segnet", device="cuda", preset="lease")
    store.measurement("deconvnet", device="cuda", preset="lease", options=("channels-last", "folded"))
    found = measurements(store).groups
    assert [group.slug for group in found] == [
        "cuda-made-up-360x480-fp32-lease",
        "cpu-made-up-360x480-fp32-cpu-2t",
        "cuda-made-up-360x480-fp32-channels-last-folded-lease",
    ]
    assert all(len(group.records) == 1 for group in found)
    text = table6_files(found[2], AGAINST, table6(found[2], AGAINST))
    assert "table6-cuda-made-up-360x480-fp32-channels-last-folded-lease.md" in text
    assert measure_command(found[2]) == (
        "python -m harness measure deconvnet --size 360x480 --classes 11 --device cuda --precision fp32 "
        "--variant channels-last+folded --preset lease"
    )


def test_copies_of_weights_in_bf16_are_told_of(store: Store) -> None:
    store.measurement("segnet")
    assert "copies in bf16" not in text_of(store)
    store.measurement("segnet", precision="bf16")
    (found,) = [group for group in measurements(store).groups if group.first.spec.precision == "bf16"]
    text = "".join(table6_files(found, AGAINST, table6(found, AGAINST)).values())
    assert "the copies in bf16 that layers compute with are held besides" in text


def test_counts_of_several_threads_are_told_of(store: Store) -> None:
    store.measurement("segnet")
    assert "Live tensors were counted on" not in text_of(store)
    store.measurement("fcn8s", counted_on=16)
    assert "Live tensors were counted on 16 threads." in text_of(store)


def test_table_without_shapes_says_where_they_stand(store: Store) -> None:
    store.measurement("segnet", options=("compiled",), inference_mib=None)
    text = text_of(store)
    assert "- n/a for every network: training live tensors' peak, " in text
    assert "## Size and work" not in text
    assert "stands with the plain rows." in text


@pytest.mark.parametrize(
    ("theirs_ms", "spread", "same"),
    [
        (103.9, 2.0, True),  # twice 2 % of 103.9 ms, the larger of the two, is 4.156 ms
        (104.2, 2.0, False),
        (96.1, 2.0, True),  # SegNet's 2 ms is the larger one
        (95.9, 2.0, False),
        (100.0, 0.0, False),  # nothing is less than no spread
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
    assert (f"{theirs_ms / 100:.2f} (no difference) |" in text_of(store)) is same


def test_one_round_has_no_spread_to_tell_by(store: Store) -> None:
    for name in ("segnet", "deconvnet"):
        store.measurement(name, rounds=1)
    assert only_table(store).loc["DeconvNet", "forward_ms_ratio_no_difference"] is pd.NA
    assert "1.00 (no difference)" not in text_of(store)


def test_csv_keeps_the_bare_ratio_and_a_mark(store: Store) -> None:
    store.measurement("segnet")
    store.measurement("deconvnet")
    (group,) = measurements(store).groups
    files = table6_files(group, AGAINST, table6(group, AGAINST))
    (text,) = [text for name, text in files.items() if name.endswith(".csv")]
    back = pd.read_csv(io.StringIO(text)).set_index("network")
    assert back.loc["DeconvNet", "forward_ms_ratio"] == 1
    assert back.loc["DeconvNet", "forward_ms_ratio_no_difference"] in (True, "True")
    assert back["forward_ms_ratio_no_difference"].isna()["SegNet"]


def test_failed_cell_is_named_in_the_notes(store: Store) -> None:
    store.measurement("segnet", backward_ms=None)
    store.measurement("deconvnet")
    assert "- SegNet: FAILED, backward at batch 1: not tried" in text_of(store)
    assert only_table(store).loc["SegNet", "status"] == "failed: backward at batch 1: not tried"
