"""Table 1, against figures computed by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

import datasets
from harness.config.protocol import Protocol, load_protocol
from harness.config.run_spec import InitialWeights
from harness.config.suite import Suite, load_suite
from harness.records.measurement import PAPER_SIZE
from harness.records.run import BEST, Failure
from harness.report.card import card
from harness.report.collect import collect
from harness.report.comparability import share_of_epochs
from harness.report.sections import Section, sections
from harness.report.tables.spec import tables_of
from harness.report.tables.table1 import NO_MEASUREMENT, table1
from tests.harness.report.made_up import G_PART, MIOU_PART, PART, WHOLE, Store
from tests.harness.report.made_up import row as only_row

SUITE = load_suite("decoders")
# What the networks keep at 360 x 480, at the first pooled resolution: 64 maps of 2-bit codes are
# 180 * 240 * 64 / 4 bytes, a float map is 180 * 240 * 4.
CODES, FLOAT_MAP = 691_200, 172_800
KEPT = {
    "bilinear-interpolation": 0,
    "segnet-basic": CODES,
    "segnet-basic-encoder-addition": CODES + 64 * FLOAT_MAP,
    "segnet-basic-single-channel-decoder": CODES,
    "fcn-basic": 11 * FLOAT_MAP,
    "fcn-basic-no-addition": 0,
    "fcn-basic-no-dim-reduction": 64 * FLOAT_MAP,
    "fcn-basic-no-addition-no-dim-reduction": 0,
}


def add(store: Store, protocol: Protocol, name: str = "segnet-basic", class_weighting: str = "median") -> Path:
    """A run that is right in part on test, and wholly on train."""
    spec = store.spec(name, protocol=protocol.override({"class_weighting": class_weighting}))
    return store.run(spec, {"end": PART}, train=WHOLE, parameters=1_416_587)


def all_sections(store: Store) -> list[Section]:
    return sections(collect(store.results, SUITE))


def made(store: Store) -> pd.DataFrame:
    """Table 1 of the only section."""
    (section,) = all_sections(store)
    return table1(section)


def row(frame: pd.DataFrame, variant: str, class_weighting: str = "median", split: str = "test") -> pd.Series:
    return only_row(frame, network=variant, class_weighting=class_weighting, split=split)


@pytest.mark.parametrize("trained", [("median", "natural"), ("median",), ("natural",)])
def test_the_card_knows_that_the_paper_has_both_class_weightings(
    store: Store, decoders: Protocol, trained: tuple[str, ...]
) -> None:
    for name in trained:
        add(store, decoders, class_weighting=name)
    (found,) = (one for one in card(all_sections(store)[0]) if one.name == "class weights")
    assert found.paper and not found.differs


def test_the_card_marks_a_class_weighting_that_the_paper_has_not(store: Store, decoders: Protocol) -> None:
    add(store, decoders, class_weighting="inverse-root")
    (found,) = (one for one in card(all_sections(store)[0]) if one.name == "class weights")
    assert found.differs and found.paper == "weighted by median frequency balancing / not weighted"


@pytest.mark.parametrize(
    ("name", "table", "share"),
    [
        ("decoders-half@1", "table1", 600 / 10_000),
        ("camvid-half@1", "table3", (2_200 / 367) / (80_000 / 3_433)),  # both of batches of 5
        ("nyuv2-half@1", "table4", (2_400 * 5 / 716) / (140_000 * 4 / 5_285)),
    ],
)
def test_share_of_the_paper_s_epochs(name: str, table: str, share: float) -> None:
    protocol = load_protocol(name)
    assert share_of_epochs(protocol, datasets.info(protocol.dataset), table) == pytest.approx(share)


class TestScores:
    def test_both_weightings_and_splits_beside_the_papers(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        add(store, decoders, class_weighting="natural")
        frame = made(store)
        assert len(frame) == 8 * 2 * 2
        assert list(dict.fromkeys(frame["network"]))[:2] == ["Bilinear-Interpolation", "SegNet-Basic"]
        found = row(frame, "SegNet-Basic")
        assert (found["G_paper"], found["C_paper"], found["mIoU_paper"]) == (82.7, 62.0, 47.7)
        assert found["G_ours"] == pytest.approx(G_PART)
        assert found["mIoU_difference"] == pytest.approx(MIOU_PART - 47.7)
        assert found["BF_difference"] == pytest.approx(50 - 35.78)
        assert row(frame, "SegNet-Basic", "natural")["G_difference"] == pytest.approx(96.363636 - 84.0)
        train = row(frame, "SegNet-Basic", split="train")
        assert train["G_difference"] == pytest.approx(100 - 94.7)
        assert np.isnan(train["BF_ours"]) and np.isnan(train["BF_paper"])

    def test_scores_are_of_the_chosen_iteration(self, store: Store, decoders: Protocol) -> None:
        spec = store.spec("fcn-basic", protocol=decoders)
        store.run(spec, {"end": WHOLE, BEST: PART}, chosen=4000, trained=7000)
        found = row(made(store), "FCN-Basic")
        assert (found["chosen_iteration"], found["trained_iterations"]) == ("4,000", "7,000")
        assert found["G_ours"] == pytest.approx(G_PART)
        assert row(made(store), "FCN-Basic", split="train")["G_ours"] == pytest.approx(G_PART)

    def test_missing_failed_and_further_variants_are_rows(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders, "smp:Unet/resnet34")
        failure = Failure(kind="diverged", message="loss is NaN", iteration=3)
        store.failed(store.spec("fcn-basic", protocol=decoders), failure)
        frame = made(store)
        assert row(frame, "FCN-Basic")["status"] == "failed (diverged)"
        assert row(frame, "FCN-Basic-NoAddition")["status"] == "not run"
        further = row(frame, "smp:Unet/resnet34")
        assert further["G_ours"] == pytest.approx(G_PART) and np.isnan(further["G_paper"])

    def test_several_seeds_have_mean_and_deviation(self, store: Store, decoders: Protocol) -> None:
        for seed, values in ((0, PART), (1, WHOLE)):
            store.run(store.spec("segnet-basic", protocol=decoders, seed=seed), {"end": values})
        found = row(made(store), "SegNet-Basic")
        assert (found["seeds"], found["G_ours"]) == (2, pytest.approx((G_PART + 100) / 2))
        assert found["G_std"] == pytest.approx((100 - G_PART) / 2**0.5)


class TestSections:
    def test_only_the_class_weights_may_differ(self, store: Store, decoders: Protocol) -> None:
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
        found = all_sections(store)
        assert sorted(len(section.groups) for section in found) == [1, 1, 1, 1, 2, 2]
        assert {section.name for section in found} == {"decoders@2", "decoders@2+lr=0.05"}
        assert len({section.slug for section in found}) == len(found)
        joined = next(section for section in found if section.name == "decoders@2+lr=0.05")
        assert [group.protocol.class_weighting for group in joined.groups] == ["median", "natural"]

    def test_full_and_reduced_never_mix(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        add(store, decoders.override({"size": "120x160", "iterations": "200"}), "fcn-basic", "natural")
        full, reduced = all_sections(store)
        assert (full.networks, reduced.networks) == (["segnet-basic"], ["fcn-basic"])
        assert not full.group.reduced
        assert reduced.group.reduced == ("input 120 x 160 instead of 360 x 480", "200 of 10,000 iterations")

    def test_further_weighting_stands_after_the_suites_without_the_papers(
        self, store: Store, decoders: Protocol
    ) -> None:
        add(store, decoders, class_weighting="segnet-release")
        (section,) = all_sections(store)
        assert section.class_weightings == ("median", "natural", "segnet-release")
        found = row(made(store), "SegNet-Basic", "segnet-release")
        assert found["G_ours"] == pytest.approx(G_PART) and np.isnan(found["G_paper"])


class TestResources:
    def test_storage_is_bytes_and_multiples_of_segnet_basics(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        for name, kept in KEPT.items():
            store.measurement(name, kept=(kept, 0, 0, 0), forward_ms=12.5)
        rows = made(store).drop_duplicates("network")
        assert list(rows["storage_bytes"]) == list(KEPT.values())
        assert list(rows["storage_ratio"]) == pytest.approx([0, 1, 17, 1, 2.75, 0, 16, 0])
        assert rows["storage_multiplier_paper"].fillna(-1).tolist() == [0, 1, 64, 1, 11, -1, 64, 0]
        assert (rows["forward_ms"] == 12.5).all()

    def test_what_is_missing_has_its_reason(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        found = row(made(store), "SegNet-Basic")
        assert found["parameters"] == 1_416_587
        assert found["forward_ms_reason"] == NO_MEASUREMENT
        store.measurement("segnet-basic")
        store.measurement("fcn-basic", kept=(11 * FLOAT_MAP, 0, 0, 0), forward_ms=None)
        frame = made(store)
        old = "no network whose decoder the measurement knows"
        assert row(frame, "SegNet-Basic")["storage_bytes_reason"] == old
        assert row(frame, "FCN-Basic")["storage_ratio_reason"] == f"SegNet-Basic: {old}"
        assert row(frame, "FCN-Basic")["forward_ms_reason"] == "not tried"
        missing = row(frame, "Bilinear-Interpolation")
        assert missing["parameters_reason"] == "not measured on this device at this size"

    def test_every_note_is_written(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        store.measurement("segnet-basic")
        (section,) = all_sections(store)
        notes = {table.spec.name: table.notes for table in tables_of(section, "scores")}
        assert all(text for found in notes.values() for text in found.values())
        assert notes["table1-resources"]["costs"].startswith("Costs of inference, batch 1, on Made-up CPU")

    def test_the_papers_size_comes_first_then_the_runs(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders.override({"size": "120x160"}))
        store.measurement("segnet-basic", size=(120, 160))
        first = all_sections(store)[0].costs
        assert first is not None and first.size == (120, 160)
        store.measurement("segnet-basic", device="cuda", preset="lease")
        for name in ("segnet-basic", "fcn-basic"):
            store.measurement(name)
        second = all_sections(store)[0].costs
        assert second is not None and second.size == PAPER_SIZE
        assert second.first.spec.device == "cpu"  # it holds more of the networks


def test_table1_needs_the_papers_data() -> None:
    values = {"name": "x", "title": "x", "dataset": "roads", "protocol": "quick@2", "architectures": ("segnet",)}
    with pytest.raises(ValidationError, match="no figure of roads; choose table3"):
        Suite.model_validate({**values, "table": "table1"})
