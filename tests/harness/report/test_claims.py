"""The paper's claims judged on made-up records: verdicts, what limits them, the frame and the page."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.config.protocol import Protocol, load_protocol
from harness.config.run_spec import refined as refine
from harness.config.suite import load_suite
from harness.paper.verdicts import Counts
from harness.records.measurement import MeasurementRecord, save_measurement
from harness.records.run import Failure
from harness.report.claims import claims_files, forest_rows, load_claims
from harness.report.collect import collect
from tests.harness.report.made_up import FIRST, PART, SECOND, WHOLE, Store, matrix
from tests.harness.report.made_up_claims import FCN, FOUR, PLAIN, SEGNET, VGG, collected, result, seven
from tests.harness.report.made_up_measurements import measured

WHOLE37 = np.stack([matrix([100] * 37)] * 20)
PART37 = np.stack([matrix([60, *[100] * 36], wrong=40)] * 20)


class TestVerdicts:
    def test_supported(self, store: Store, decoders: Protocol) -> None:
        seven(store, decoders)
        found = result(store, 7)
        assert (found.verdict, found.counts) == ("supported", Counts(holds=28))
        assert (found.limitations, found.reason) == (("one seed",), "")

    def test_some_against(self, store: Store, decoders: Protocol) -> None:
        # ahead in BF, and by more than in the others, in which it is behind
        seven(store, decoders, better=PART, worse=WHOLE)
        found = result(store, 7)
        assert (found.verdict, found.counts) == ("mixed", Counts(holds=16, against=12))
        against = {(one.kind, one.quantity) for one in found.groups[0].findings if one.outcome == "against"}
        assert against == {("more", "G"), ("more", "C"), ("more", "mIoU")}

    def test_within_noise(self, store: Store, decoders: Protocol) -> None:
        seven(store, decoders, better=FIRST, worse=SECOND)
        found = result(store, 7)
        assert (found.verdict, found.counts) == ("mixed", Counts(holds=16, noise=12))
        gap = found.groups[0].findings[0].difference
        assert gap is not None
        # 40 / 11 points up in ten images and down in ten: 95 % of the draws of twenty hold 6 to 14 of either kind
        assert (gap.low, gap.high) == pytest.approx((-40 / 11 * 8 / 20, 40 / 11 * 8 / 20))

    def test_groups_that_contradict_each_other_are_counted_together(self, store: Store, decoders: Protocol) -> None:
        seven(store, decoders)
        seven(store, decoders, better=PART, worse=WHOLE, bf=(0.5, 0.9), weights=VGG)
        found = result(store, 7)
        assert found.verdict == "mixed"
        assert [one.counts.verdict for one in found.deciding] == ["contradicted", "supported"]

    def test_full_runs_decide_whatever_reduced_ones_say(self, store: Store, decoders: Protocol) -> None:
        reduced = decoders.override({"size": "120x160", "iterations": "200"})
        seven(store, reduced, better=PART, worse=WHOLE)
        only = result(store, 7)
        assert only.verdict == "mixed"
        assert only.limitations == (*("input 120 x 160 instead of 360 x 480", "200 of 10,000 iterations", "one seed"),)
        seven(store, decoders)
        assert (result(store, 7).verdict, result(store, 7).limitations) == ("supported", ("one seed",))

    def test_a_group_with_few_of_the_comparisons_does_not_decide_beside_one_with_most(
        self, store: Store, decoders: Protocol
    ) -> None:
        reduced = decoders.override({"size": "120x160"})
        seven(store, reduced, better=PART, worse=WHOLE)
        for name, matrices in ((FCN, WHOLE), (PLAIN, PART)):  # full, but without SegNet-Basic and of one weighting
            store.run(store.spec(name, protocol=decoders.override({"class_weighting": "median"})), {"end": matrices})
        found = result(store, 7)
        few, most = sorted(found.groups, key=lambda one: one.counts.judged)
        assert 0 < few.counts.judged < few.counts.missing and few.group.full
        assert found.deciding == (most,) and found.verdict == "mixed"

    def test_a_group_with_few_comparisons_decides_where_there_is_no_better(
        self, store: Store, decoders: Protocol
    ) -> None:
        for name, matrices in ((FCN, WHOLE), (PLAIN, PART)):
            store.run(store.spec(name, protocol=decoders.override({"class_weighting": "median"})), {"end": matrices})
        found = result(store, 7)
        assert found.verdict == "mixed" and found.counts.judged < found.counts.missing
        assert len(found.deciding) == 1 and found.limitations[-1].endswith("of 28 comparisons")

    def test_changed_recipe_is_a_limitation(self, store: Store, decoders: Protocol) -> None:
        seven(store, decoders.override({"lr": "0.05"}))
        assert result(store, 7).limitations == ("changed recipe: lr=0.05", "one seed")

    def test_fewer_epochs_than_the_paper_s_are_a_limitation(self, store: Store) -> None:
        seven(store, load_protocol("decoders-half@1"))
        # 600 iterations of the paper's 10,000, the batch and the images alike
        limits = ("input 180 x 240 instead of 360 x 480", "6 % of the paper's epochs", "one seed")
        assert result(store, 7).limitations == limits

    def test_untested_says_why(self, store: Store, decoders: Protocol) -> None:
        store.run(store.spec(SEGNET, protocol=decoders), {"end": WHOLE})
        failed = store.spec(PLAIN, protocol=decoders)
        store.failed(failed, Failure(kind="diverged", message="NaN", iteration=3))
        found = result(store, 7)
        assert found.verdict == "untested"
        assert found.reason.startswith("FCN-Basic-NoAddition (median): failed (diverged)")
        assert result(store, 14).reason == "no record of suite sunrgbd or nyuv2"


class TestSeeds:
    def test_a_seed_that_agrees_does_not_weaken_a_claim(self, store: Store, decoders: Protocol) -> None:
        seven(store, decoders)
        seven(store, decoders, bf=(0.99, 0.1), seed=1)
        found = result(store, 7)
        assert (found.verdict, found.limitations) == ("supported", ())
        (finding, *_) = found.groups[0].findings
        assert finding.difference is not None
        assert (finding.difference.by, finding.difference.seeds) == ("seeds", (2, 2))


class TestTable3:
    LIMITS = ("367 of 3433 images", "random encoder: 0 of 13 convolutions pretrained", "one seed")

    def test_checkpoints_are_the_rows(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": PART, "end": WHOLE}, bf=0.6)
        store.run(store.spec("deconvnet", protocol=camvid), {"half": PART, "end": WHOLE}, bf=0.5)
        found = result(store, 12)
        assert (found.verdict, found.limitations) == ("contradicted", self.LIMITS)
        outcomes = {one.quantity: one.outcome for one in found.groups[0].findings}
        assert outcomes == {"G": "against", "C": "against", "mIoU": "against", "BF": "holds"}

    def test_half_of_an_encoder_is_a_limitation(self, store: Store, camvid: Protocol) -> None:
        layers = (("conv1_1", "conv1_2", "fc6"), 15)
        for name, bf in (("segnet", 0.6), ("deconvnet", 0.5)):
            spec = store.spec(name, protocol=camvid, weights=VGG)
            store.run(spec, {"half": WHOLE, "end": WHOLE}, bf=bf, layers=layers)
        assert "half-random encoder: 2 of 13 convolutions pretrained" in result(store, 12).limitations

    def test_other_data_class_weights_and_an_older_evaluation_are_limitations(self, store: Store) -> None:
        protocol = load_protocol("camvid-half-weighted@1")
        for name, bf in (("segnet", 0.6), ("deconvnet", 0.5)):
            spec = store.spec(name, protocol=protocol, variant="camvid-jpeg93").model_copy(
                update={"evaluation_revision": 1}
            )
            store.run(spec, {"half": WHOLE, "end": WHOLE}, bf=bf)
        found = result(store, 12).limitations
        assert set(found) >= {"data as camvid-jpeg93", "class weights: median", "revision 1 of evaluation, now 2"}

    def test_an_evaluation_that_is_last_and_best_counts_once(self, store: Store, camvid: Protocol) -> None:
        for name in FOUR:
            bf = 0.6 if name in ("segnet", "deconvnet") else 0.5
            store.run(store.spec(name, protocol=camvid), {"half": WHOLE, "end": WHOLE}, bf=bf)
        found = result(store, 11)
        assert found.counts == Counts(holds=8, repeated=4)
        best = [one for one in found.groups[0].findings if one.higher.row == "best"]
        assert {one.outcome for one in best} == {"repeated"}

    def test_best_is_the_checkpoint_chosen_on_val(self, store: Store, camvid: Protocol) -> None:
        for name, half in (("fcn8s", WHOLE), ("fcn8s-bilinear", PART)):
            store.run(store.spec(name, protocol=camvid), {"half": half, "end": PART}, best="half", bf=0.5)
        found = [one for one in result(store, 10).groups[0].findings if one.kind == "more"]
        outcomes = {(one.higher.row, one.quantity): one.outcome for one in found}
        assert (outcomes["half", "G"], outcomes["end", "G"], outcomes["best", "G"]) == ("holds", "noise", "repeated")

    def test_segnet_leads_the_table(self, store: Store, camvid: Protocol) -> None:
        for name in (*FOUR, "fcn8s-bilinear"):
            values = {"half": PART, "end": WHOLE if name == "segnet" else PART}
            store.run(store.spec(name, protocol=camvid), values)
        found = result(store, 16)
        assert (found.verdict, found.counts) == ("supported", Counts(holds=12, repeated=12, missing=3))


class TestTable4:
    """Claims 14 and 15 are SUN RGB-D's; NYU Depth v2 is a part of it, which is their limitation."""

    LIMIT = "795 of 5285 training images, a part of SUN RGB-D"

    @staticmethod
    def both(store: Store, protocol: str, labels: tuple[str, str], *, crf_is_better: bool) -> None:
        """DeepLab-LargeFOV with the dense CRF and without."""
        spec = store.spec("deeplab-largefov", protocol=load_protocol(protocol))
        for own, better in ((spec, not crf_is_better), (refine(spec), crf_is_better)):
            store.run(own, dict.fromkeys(labels, WHOLE37 if better else PART37), bf=0.5 if own is spec else 0.6)

    def test_a_part_of_the_data_is_a_limitation(self, store: Store) -> None:
        self.both(store, "nyuv2-half@1", ("half", "end"), crf_is_better=False)
        found = result(store, 15)
        assert (found.verdict, found.counts.holds) == ("supported", 4)
        assert found.limitations[:2] == ("input 180 x 240 instead of 360 x 480", self.LIMIT)

    def test_sunrgbd_decides_whatever_a_part_of_it_says(self, store: Store) -> None:
        self.both(store, "nyuv2@1", ("half", "end"), crf_is_better=True)
        assert result(store, 15).verdict == "contradicted"
        self.both(store, "sunrgbd@2", ("80K", "140K"), crf_is_better=False)
        found = result(store, 15)
        assert (found.verdict, self.LIMIT in found.limitations) == ("supported", False)


class TestResources:
    def test_counted_from_shapes_once_and_timed_on_each_device(self, store: Store) -> None:
        for device, preset in (("cpu", "cpu"), ("cuda", "lease")):
            for name in FOUR:
                fast, small = name == "deeplab-largefov", name == "segnet"
                store.measurement(
                    name,
                    device=device,
                    preset=preset,
                    inference_mib=300.0 if small else 400.0,
                    # SegNet needs the most of the GPU's workspace
                    workspace_mib=500.0 if small else 10.0,
                    model_size_mb=117.8 if small else 500.0,
                    forward_ms=50.0 if fast else 100.0,
                    # one device's times of a pass may be missing; what else was timed there counts
                    backward_ms=None if device == "cuda" else 100.0 if fast else 200.0,
                )
        verdicts = {number: result(store, number) for number in (1, 2, 3, 17, 18)}
        assert verdicts[1].counts == Counts(holds=3, against=3)  # live tensors, and NVML of the GPU
        assert [one.counts.verdict for one in verdicts[1].deciding] == ["supported", "contradicted"]
        assert verdicts[2].counts == Counts(holds=2)
        assert (verdicts[3].verdict, verdicts[3].counts) == ("supported", Counts(holds=9, missing=3))
        assert verdicts[3].limitations == ("3 of 6 comparisons",)
        assert verdicts[17].counts == Counts(holds=3)
        assert verdicts[18].counts == Counts(holds=4, noise=2)  # half as long, within the rounds' spread

    def test_a_device_that_is_measured_again_is_no_second_witness(self, store: Store) -> None:
        for name in FOUR:
            store.measurement(name, forward_ms=50.0 if name == "deeplab-largefov" else 100.0)
        once = result(store, 18).counts
        for name in FOUR:
            store.measurement(name, forward_ms=100.0, preset="quick")
            store.measurement(name, forward_ms=100.0, precision="bf16")
        assert result(store, 18).counts == once == Counts(holds=2, noise=1)

    def test_memory_and_size_are_counted_and_have_no_noise(self, store: Store) -> None:
        for name in FOUR:
            store.measurement(name, inference_mib=400.0 if name == "segnet" else 399.9)
        assert result(store, 1).verdict == "contradicted"
        assert result(store, 2).verdict == "contradicted"  # of equal size is not smaller

    def test_times_within_the_spread_of_their_rounds(self, store: Store) -> None:
        for name in FOUR:
            fast = name == "deeplab-largefov"
            store.measurement(name, forward_ms=97.0 if fast else 100.0, backward_ms=100.0 if fast else 200.0)
        assert result(store, 3).counts == Counts(holds=3, noise=3)

    def test_smaller_input_and_other_options(self, store: Store, camvid: Protocol) -> None:
        for name in FOUR:
            store.measurement(name, options=("folded",))
        assert result(store, 1).verdict == "untested"
        reduced = camvid.override({"size": "90x120"})
        store.run(store.spec("segnet", protocol=reduced), {"half": WHOLE, "end": WHOLE})
        for name in FOUR:
            store.measurement(name, size=(90, 120), inference_mib=300.0 if name == "segnet" else 200.0)
        found = result(store, 1)
        assert (found.verdict, found.limitations) == ("contradicted", ("input 90 x 120 instead of 360 x 480",))

    @pytest.mark.parametrize(("maps", "outcome"), [(11, "holds"), (10, "against")])
    def test_claim_4_compares_maps_and_shows_bytes(
        self, store: Store, decoders: Protocol, maps: int, outcome: str
    ) -> None:
        seven(store, decoders)
        store.measurement(FCN, kept=(4 * 180 * 240 * maps, 0, 0, 0))
        # 64 maps of indices: 8 bytes each as torch has them, 2 bits each at the least
        save_measurement(store.results, indices_of(measured(SEGNET, kept=(691_200, 0, 0, 0)), 22_118_400))
        (storage,) = [one for one in result(store, 4).groups[0].findings if one.kind == "times"]
        assert storage.above is not None and storage.below is not None and storage.beside is not None
        assert (storage.above.mean, storage.below.mean, storage.outcome) == (maps, 1, outcome)
        assert [one.mean for one in storage.beside] == [172_800 * maps, 691_200]


def indices_of(record: MeasurementRecord, int64_bytes: int) -> MeasurementRecord:
    """The record of a network that keeps indices, of so many bytes as int64."""
    cells = list(record.cells)
    shapes = cells[0].shapes
    assert shapes is not None
    storage = shapes.decoder_storage.model_copy(update={"int64_bytes": (int64_bytes, 0, 0, 0)})
    cells[0] = cells[0].model_copy(update={"shapes": shapes.model_copy(update={"decoder_storage": storage})})
    return record.model_copy(update={"cells": tuple(cells)})


def test_claim_9_compares_a_network_with_itself(store: Store, decoders: Protocol) -> None:
    for name in load_suite("decoders").architectures:
        # class 1 is rare: its pixels lost cost C much and G little, those of class 0 the other way round
        rare = np.stack([matrix([990, 10, *[100] * 9])] * 20)
        median, natural = rare.copy(), rare.copy()
        median[:, 0, 0], median[:, 0, 2] = 890, 100
        natural[:, 1, 1], natural[:, 1, 2] = 0, 10
        for class_weighting, values in (("median", median), ("natural", natural)):
            spec = store.spec(name, protocol=decoders.override({"class_weighting": class_weighting}))
            store.run(spec, {"end": values})
    assert result(store, 9).counts == Counts(holds=16)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Full runs for claim 7, reduced ones, and measurements."""
    store, decoders = Store(results=tmp_path_factory.mktemp("claims") / "results"), load_protocol("decoders@2")
    seven(store, decoders)
    seven(store, decoders.override({"size": "120x160"}), better=PART, worse=WHOLE)
    for name in FOUR:
        store.measurement(name, inference_mib=300.0 if name == "segnet" else 400.0)
    return store.results


class TestFrame:
    def test_a_row_a_comparison_and_group(self, results: Path) -> None:
        frame = load_claims(results)
        assert frame["number"].unique().tolist() == list(range(1, 19))
        seventh = frame[frame["number"] == 7]
        assert Counter(seventh["decides"]) == {True: 28, False: 28}
        (row,) = seventh[
            seventh["decides"] & seventh["comparison"].eq("SegNet-Basic > FCN-Basic-NoAddition, G, median")
        ].to_dict("records")
        assert (row["verdict"], row["paper_verdict"], row["badges"]) == ("supported", "supported", "one seed")
        figures = [row[name] for name in ("ours_first", "ours_second", "difference", "low", "high")]
        assert figures == pytest.approx([100, 1060 / 11, 40 / 11, 40 / 11, 40 / 11])
        assert [row[name] for name in ("paper_first", "paper_second")] == [82.7, 80.5]
        assert (row["paper_difference"], row["paper_holds"]) == (pytest.approx(2.2), True)
        assert (row["outcome"], row["seeds"], row["unit"], row["row"]) == ("holds", 1, "%", "median")

    def test_without_records_the_papers_own_figures_stand_alone(self, results: Path) -> None:
        frame = load_claims(results)
        tenth = frame[frame["number"] == 10]
        assert len(tenth) == 21 and set(tenth["outcome"]) == {"missing"} and not tenth["decides"].any()
        assert tenth["paper_holds"].sum() == 20

    def test_points_of_a_forest_plot(self, results: Path) -> None:
        points = forest_rows(load_claims(results), 7)
        assert len(points) == 28 and points["difference"].notna().all()
        counted = forest_rows(load_claims(results), 1)
        assert counted["difference"].tolist() == [100.0] * 3 and counted["low"].isna().all()

    def test_files_hold_the_frame_and_a_row_a_claim(self, results: Path) -> None:
        files, frame = claims_files(collected(Store(results=results))), load_claims(results)
        written = pd.read_csv(io.BytesIO(files["claims.csv"]))
        assert list(written) == list(frame) and len(written) == len(frame)
        page = files["claims.md"].decode().splitlines()
        assert sum(line.startswith("| [") for line in page) == 18

    def test_synthetic_data_bears_on_no_claim(self, store: Store, quick: Protocol) -> None:
        store.run(store.spec("segnet", protocol=quick), {"end": WHOLE})
        assert claims_files({"camvid": collect(store.results, load_suite("quick"))}) == {}
