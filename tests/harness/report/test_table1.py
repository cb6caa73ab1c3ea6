"""Table 1, against figures computed by hand."""

import numpy as np
import pytest
from pydantic import ValidationError

from harness.config.protocol import Protocol
from harness.config.run_spec import InitialWeights
from harness.config.suite import Suite
from harness.records.measurement import PAPER_SIZE
from harness.records.run import BEST, Failure
from harness.report.table1_tables import table1_files
from tests.harness.report.made_up import PART, WHOLE, Store
from tests.harness.report.made_up_table1 import (
    FLOAT_MAP,
    G_PART,
    KEPT,
    MIOU_PART,
    add,
    all_families,
    made,
    row,
)


class TestScores:
    def test_both_balancings_and_splits_beside_the_papers(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        add(store, decoders, class_weighting="natural")
        frame = made(store).frame
        assert len(frame) == 8 * 2 * 2
        assert list(dict.fromkeys(frame["variant"]))[:3] == [
            "Bilinear-Interpolation",
            "SegNet-Basic",
            "SegNet-Basic-EncoderAddition",
        ]
        found = row(frame, "SegNet-Basic")
        assert (found["G_paper"], found["C_paper"], found["mIoU_paper"]) == (82.7, 62.0, 47.7)
        assert found["G_ours"] == pytest.approx(G_PART)
        assert found["G_difference"] == pytest.approx(96.363636 - 82.7)
        assert found["mIoU_difference"] == pytest.approx(MIOU_PART - 47.7)
        assert found["BF_difference"] == pytest.approx(50 - 35.78)
        natural = row(frame, "SegNet-Basic", "natural")
        assert natural["G_difference"] == pytest.approx(96.363636 - 84.0)
        assert natural["architecture"] == "segnet-basic"

    def test_train_is_scored_without_bf(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        found = row(made(store).frame, "SegNet-Basic", split="train")
        assert found["G_ours"] == pytest.approx(100)
        assert found["G_difference"] == pytest.approx(100 - 94.7)
        assert np.isnan(found["BF_ours"])
        assert np.isnan(found["BF_paper"])

    def test_scores_are_of_the_chosen_iteration(self, store: Store, decoders: Protocol) -> None:
        spec = store.spec("fcn-basic", protocol=decoders)
        store.run(spec, {"end": WHOLE, BEST: PART}, chosen=4000, trained=7000)
        table = made(store)
        found = row(table.frame, "FCN-Basic")
        assert (found["chosen_iteration"], found["trained_iterations"]) == ("4,000", "7,000")
        assert found["G_ours"] == pytest.approx(G_PART)
        assert row(table.frame, "FCN-Basic", split="train")["G_ours"] == pytest.approx(G_PART)
        text = table1_files(table)["table1.md"]
        assert "| FCN-Basic | He et al. | 1 | 7,000 | 4,000 | 81.70 | 96.36 [96.4, 96.4] | +14.66 | 62.40 |" in text
        assert "the iteration of highest val global accuracy" in text

    def test_missing_and_failed_variants_stay_as_rows(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        failure = Failure(kind="diverged", message="loss is NaN", iteration=3)
        store.failed(store.spec("fcn-basic", protocol=decoders), failure)
        table = made(store)
        assert row(table.frame, "FCN-Basic")["status"] == "failed (diverged)"
        assert row(table.frame, "FCN-Basic-NoAddition")["status"] == "not run"
        assert row(table.frame, "SegNet-Basic", "natural")["status"] == "not run"
        text = table1_files(table)["table1.md"]
        assert "| FCN-Basic | He et al. | 0 (1 failed) | – | – | 81.70 | failed (diverged) | – |" in text
        assert "| FCN-Basic-NoAddition | He et al. | – | – | – | 80.50 | not run | – |" in text

    def test_several_seeds_have_mean_and_deviation(self, store: Store, decoders: Protocol) -> None:
        for seed, values in ((0, PART), (1, WHOLE)):
            store.run(store.spec("segnet-basic", protocol=decoders, seed=seed), {"end": values})
        found = row(made(store).frame, "SegNet-Basic")
        assert found["seeds"] == 2
        assert found["G_ours"] == pytest.approx((G_PART + 100) / 2)
        assert found["G_std"] == pytest.approx((100 - G_PART) / 2**0.5)

    def test_network_that_the_paper_does_not_have(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders, "smp:Unet/resnet34")
        found = row(made(store).frame, "smp:Unet/resnet34")
        assert found["G_ours"] == pytest.approx(G_PART)
        assert np.isnan(found["G_paper"])
        assert np.isnan(found["infer_ms_paper"])


class TestFamilies:
    def test_only_the_balancing_may_differ(self, store: Store, decoders: Protocol) -> None:
        for protocol in (decoders, decoders.override({"lr": "0.05"})):
            for class_weighting in ("natural", "median"):
                add(store, protocol, class_weighting=class_weighting)
        others: list[dict[str, object]] = [
            {"precision": "bf16"},
            {"variant": "camvid-jpeg93"},
            {"digest": "e" * 64},
            {"weights": InitialWeights(kind="file", sha256="ab" * 32, title="VGG16")},
        ]
        for other in others:
            store.run(store.spec("segnet-basic", protocol=decoders, **other), {"end": PART})  # type: ignore[arg-type]
        found = all_families(store)
        assert sorted(len(family.groups) for family in found) == [1, 1, 1, 1, 2, 2]
        assert {family.name for family in found} == {"decoders@2", "decoders@2+lr=0.05"}
        assert len({family.slug for family in found}) == len(found)
        joined = next(family for family in found if family.name == "decoders@2+lr=0.05")
        assert [group.protocol.class_weighting for group in joined.groups] == ["median", "natural"]

    def test_full_and_reduced_never_mix(self, store: Store, decoders: Protocol) -> None:
        small = decoders.override({"size": "120x160", "iterations": "200"})
        add(store, decoders)
        add(store, small, "fcn-basic", "natural")
        full, reduced = all_families(store)
        assert (full.networks, reduced.networks) == (["segnet-basic"], ["fcn-basic"])
        assert not full.first.reduced
        assert reduced.first.reduced == (
            "input 120 x 160 instead of 360 x 480",
            "200 of 10,000 iterations",
        )

    def test_further_balancing_stands_after_the_suites_without_the_papers(
        self, store: Store, decoders: Protocol
    ) -> None:
        add(store, decoders, class_weighting="segnet-release")
        table = made(store)
        assert table.family.class_weightings == ("median", "natural", "segnet-release")
        found = row(table.frame, "SegNet-Basic", "segnet-release")
        assert found["G_ours"] == pytest.approx(G_PART)
        assert np.isnan(found["G_paper"])


class TestResources:
    def test_storage_is_bytes_and_multiples_of_segnet_basics(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        for name, kept in KEPT.items():
            store.measurement(name, kept=(kept, 0, 0, 0), forward_ms=12.5)
        table = made(store)
        rows = table.frame.drop_duplicates("variant")
        assert list(rows["storage_bytes"]) == list(KEPT.values())
        assert list(rows["storage_ratio"]) == pytest.approx([0, 1, 17, 1, 2.75, 0, 16, 0])
        assert rows["storage_multiplier_paper"].fillna(-1).tolist() == [0, 1, 64, 1, 11, -1, 64, 0]
        text = table1_files(table)["table1.md"]
        assert "| FCN-Basic | 0.650 | 29.450 | 117.8 | 11 | 1,900,800 | 2.75 | 24.2 | 12.5 |" in text
        assert "| SegNet-Basic | 1.425 | 1.417 |" in text
        assert "64 maps of 2-bit codes (180 x 240) are 691,200 bytes, 4 float maps" in text
        assert "11 float maps are 1,900,800 and 64 are 11,059,200 bytes" in text
        assert "measured on Made-up CPU (2 cores), 2 threads, input 360 x 480, fp32, preset cpu" in text

    def test_what_is_missing_is_na_with_its_reason(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        store.measurement("segnet-basic")
        store.measurement("fcn-basic", kept=(11 * FLOAT_MAP, 0, 0, 0), forward_ms=None)
        table = made(store)
        basic, fcn = row(table.frame, "SegNet-Basic"), row(table.frame, "FCN-Basic")
        old = "no network whose decoder the measurement knows"
        assert basic["storage_bytes_reason"] == old
        assert fcn["storage_ratio_reason"] == f"SegNet-Basic: {old}"
        assert fcn["forward_ms_reason"] == "not tried"
        missing = row(table.frame, "Bilinear-Interpolation")
        assert missing["parameters_reason"] == "not measured on this device at this size"
        text = table1_files(table)["table1.md"]
        assert f"n/a (2): {old}" in text
        assert "| Bilinear-Interpolation | 0.625 | n/a (1) | n/a (1) | 0 | n/a (1) | n/a (1) | 24.2 |" in text

    def test_without_any_measurement(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        found = row(made(store).frame, "SegNet-Basic")
        assert found["parameters"] == 1_416_587
        assert found["forward_ms_reason"].startswith("no measurement in the runs' precision")

    def test_the_papers_size_comes_first_then_the_runs(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders.override({"size": "120x160"}))
        store.measurement("segnet-basic", size=(120, 160))
        first = made(store)
        assert first.measured is not None
        assert first.measured.size == (120, 160)
        assert "**REDUCED: input 120 x 160 instead of 360 x 480.**" in table1_files(first)["table1.md"]
        store.measurement("segnet-basic", device="cuda", preset="lease")
        for name in ("segnet-basic", "fcn-basic"):
            store.measurement(name)
        second = made(store)
        assert second.measured is not None
        assert second.measured.size == PAPER_SIZE
        assert second.measured.first.spec.device == "cpu"  # it holds more of the networks
        assert "; the runs' input is 120 x 160." in table1_files(second)["table1.md"]


def test_table1_needs_the_papers_data() -> None:
    values = {
        "name": "x",
        "title": "x",
        "dataset": "roads",
        "protocol": "quick@1",
        "architectures": ("segnet",),
    }
    with pytest.raises(ValidationError, match="no figure of roads; choose table3"):
        Suite.model_validate({**values, "table": "table1"})
