"""The verdicts on the paper's claims, from made-up records: one for each verdict there is."""

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.config.protocol import Protocol, load_protocol
from harness.config.run_spec import refined as refine
from harness.config.suite import load_suite
from harness.records.run import Failure
from tests.harness.report.made_up import FIRST, PART, SECOND, WHOLE, Store, matrix
from tests.harness.report.made_up_claims import FCN, FOUR, PLAIN, SEGNET, VGG, judgement, seven

WHOLE37 = np.stack([matrix([100] * 37)] * 20)
PART37 = np.stack([matrix([60, *[100] * 36], wrong=40)] * 20)


class TestVerdicts:
    def test_reproduced(self, store: Store, decoders: Protocol) -> None:
        seven(store, decoders)
        found = judgement(store, 7)
        assert (found.words, found.reason) == ("reproduced", "")
        assert {one.outcome for one in found.standings[0].findings} == {"holds"}

    def test_contradicted(self, store: Store, decoders: Protocol) -> None:
        seven(store, decoders, better=PART, worse=WHOLE)
        found = judgement(store, 7)
        assert found.words == "contradicted"
        against = {(one.kind, one.quantity) for one in found.standings[0].findings if one.outcome == "against"}
        assert against == {("more", "G"), ("more", "C"), ("more", "mIoU")}

    def test_one_comparison_against_is_enough(self, store: Store, decoders: Protocol) -> None:
        seven(store, decoders, bf=(0.51, 0.5))  # ahead in everything, but by less in BF than in G
        assert judgement(store, 7).words == "contradicted"

    def test_within_noise(self, store: Store, decoders: Protocol) -> None:
        seven(store, decoders, better=FIRST, worse=SECOND)
        found = judgement(store, 7)
        assert found.words == "within noise"
        (median_g,) = [
            one
            for one in found.standings[0].findings
            if (one.kind, one.quantity, one.higher.row, one.higher.network) == ("more", "G", "median", "SegNet-Basic")
        ]
        assert median_g.difference is not None
        # resamples hold one block twice, or both: differences of -3.6, 0 and 3.6 points
        assert (median_g.difference.low, median_g.difference.high) == pytest.approx((-40 / 11, 40 / 11))

    def test_undecided_between_kinds_of_initial_weights(self, store: Store, decoders: Protocol) -> None:
        seven(store, decoders)
        seven(store, decoders, better=PART, worse=WHOLE, weights=VGG)
        found = judgement(store, 7)
        assert found.words == "undecided"
        assert found.reason == "by initial weights: for He et al.; against VGG16"

    def test_equal_rankings_of_both_kinds_are_decided(self, store: Store, decoders: Protocol) -> None:
        seven(store, decoders)
        seven(store, decoders, weights=VGG)
        assert judgement(store, 7).words == "reproduced"

    @pytest.mark.parametrize(
        ("better", "worse", "words"),
        [
            (WHOLE, PART, "indicated (for)"),
            (PART, WHOLE, "indicated (against)"),
            (FIRST, SECOND, "indicated (within noise)"),
        ],
    )
    def test_reduced_runs_only_indicate(
        self,
        store: Store,
        decoders: Protocol,
        better: NDArray[np.int64],
        worse: NDArray[np.int64],
        words: str,
    ) -> None:
        seven(store, decoders.override({"size": "120x160", "iterations": "200"}), better, worse)
        found = judgement(store, 7)
        assert found.words == words
        assert found.reason == "reduced: input 120 x 160 instead of 360 x 480; 200 of 10,000 iterations"

    def test_changed_recipe_only_indicates(self, store: Store, decoders: Protocol) -> None:
        seven(store, decoders.override({"lr": "0.05"}))
        found = judgement(store, 7)
        assert (found.words, found.reason) == ("indicated (for)", "changed recipe: lr=0.05")

    def test_full_runs_decide_whatever_reduced_ones_say(self, store: Store, decoders: Protocol) -> None:
        seven(store, decoders.override({"size": "120x160"}))
        seven(store, decoders, better=PART, worse=WHOLE)
        found = judgement(store, 7)
        assert found.words == "contradicted"
        assert [one.outcome for one in found.standings] == ["against", "holds"]

    def test_not_tested_where_a_network_is_missing(self, store: Store, decoders: Protocol) -> None:
        store.run(store.spec(SEGNET, protocol=decoders), {"end": WHOLE})
        failed = store.spec(PLAIN, protocol=decoders)
        store.failed(failed, Failure(kind="diverged", message="NaN", iteration=3))
        found = judgement(store, 7)
        assert found.words == "not tested"
        assert "FCN-Basic-NoAddition (median): failed (diverged)" in found.reason

    def test_not_tested_without_any_record(self, store: Store, decoders: Protocol) -> None:
        seven(store, decoders)
        assert judgement(store, 14).words == "not tested"
        assert judgement(store, 14).reason == "no record of suite `sunrgbd` or `nyuv2`"
        assert judgement(store, 13).reason == "no record of suite `camvid`"


class TestSeeds:
    def test_several_seeds_are_judged_by_their_spread(self, store: Store, decoders: Protocol) -> None:
        # every image set by itself would call it: the same in all blocks
        for seed, (better, worse) in enumerate(((WHOLE, PART), (PART, WHOLE))):
            seven(store, decoders, better, worse, seed=seed)
        found = judgement(store, 7)
        (finding, *_) = found.standings[0].findings
        assert finding.outcome == "noise"
        assert finding.above is not None
        assert finding.above.std == pytest.approx((40 / 11) / 2**0.5)
        assert finding.difference is not None
        assert (finding.difference.by, finding.difference.seeds) == ("seeds", (2, 2))


class TestTable3:
    def test_full_runs_indicate_at_most(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": WHOLE, "end": WHOLE}, bf=0.6)
        store.run(store.spec("deconvnet", protocol=camvid), {"half": PART, "end": PART}, bf=0.5)
        found = judgement(store, 12)
        assert found.words == "indicated (for)"
        assert found.reason == "trained on 367 images, not on the paper's 3433"

    def test_checkpoints_are_the_rows(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": PART, "end": WHOLE}, bf=0.6)
        store.run(store.spec("deconvnet", protocol=camvid), {"half": PART, "end": WHOLE}, bf=0.5)
        found = judgement(store, 12)
        assert found.words == "indicated (against)"
        outcomes = {one.quantity: one.outcome for one in found.standings[0].findings}
        assert outcomes == {"G": "against", "C": "against", "mIoU": "against", "BF": "holds"}

    def test_dense_crf_is_not_tested_without_its_row(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("deeplab-largefov", protocol=camvid), {"half": WHOLE, "end": WHOLE})
        found = judgement(store, 13)
        assert found.words == "not tested"
        assert found.reason == "DeepLab-LargeFOV-denseCRF (best): not run"

    def test_best_is_the_checkpoint_chosen_on_val(self, store: Store, camvid: Protocol) -> None:
        for name, values in (
            ("fcn8s", {"half": WHOLE, "end": PART}),
            ("fcn8s-bilinear", {"half": PART, "end": PART}),
        ):
            store.run(store.spec(name, protocol=camvid), values, best="half", bf=0.5)
        found = judgement(store, 10).standings[0].findings
        best = {one.quantity: one.outcome for one in found if one.kind == "more" and one.higher.row == "best"}
        last = {one.quantity: one.outcome for one in found if one.kind == "more" and one.higher.row == "end"}
        assert best == {"G": "holds", "C": "holds", "mIoU": "holds", "BF": "noise"}
        assert set(last.values()) == {"noise"}


class TestTable4:
    """Claims 14 and 15 are SUN RGB-D's; NYU Depth v2 is a part of it, and can only indicate them."""

    LIMIT = "not like for like: 795 of 5285 training images, a part of SUN RGB-D"

    @staticmethod
    def four(store: Store, protocol: Protocol, *, deeplab_leads: bool) -> None:
        """SegNet is the best in G, C and BF; in mIoU it is DeepLab, or SegNet there too.

        Errors of one class for one other cost less mIoU than as many that are spread over pairs of classes.
        """
        segnet = np.diag(np.full(37, 100))
        for place in range(0, 36, 2):
            segnet[place, place : place + 2] = (98, 2)
        deeplab = np.diag(np.full(37, 100))
        deeplab[0, :2] = (62, 38) if deeplab_leads else (10, 90)
        last = np.diag(np.full(37, 90))
        last[:, 36] += 10
        scored = {"segnet": (segnet, 0.6), "deeplab-largefov": (deeplab, 0.4)}
        for name in FOUR:
            found, bf = scored.get(name, (last, 0.3))
            values = np.stack([found] * 20).astype(np.int64)
            store.run(store.spec(name, protocol=protocol), {"half": values, "end": values}, bf=bf)

    @pytest.mark.parametrize(("leads", "words"), [(True, "indicated (for)"), (False, "indicated (against)")])
    def test_a_part_of_the_data_only_indicates(self, store: Store, leads: bool, words: str) -> None:
        self.four(store, load_protocol("nyuv2@1"), deeplab_leads=leads)
        found = judgement(store, 14)
        assert (found.words, found.reason) == (words, self.LIMIT)
        (standing,) = found.standings
        assert standing.evidence.lesser == (self.LIMIT,)
        against = {(one.quantity, one.lower.network) for one in standing.findings if one.outcome == "against"}
        assert against == (set() if leads else {("mIoU", "SegNet")})

    def test_half_size_is_a_limit_of_its_own(self, store: Store) -> None:
        self.four(store, load_protocol("nyuv2-half@1"), deeplab_leads=True)
        found = judgement(store, 14)
        assert found.reason == f"{self.LIMIT}; reduced: input 180 x 240 instead of 360 x 480"

    def test_sunrgbd_decides_whatever_a_part_of_it_says(self, store: Store) -> None:
        for refined in (False, True):
            for protocol, labels, better in (
                ("nyuv2@1", ("half", "end"), refined),
                ("sunrgbd@2", ("80K", "140K"), not refined),
            ):
                spec = store.spec("deeplab-largefov", protocol=load_protocol(protocol))
                values = dict.fromkeys(labels, WHOLE37 if better else PART37)
                store.run(refine(spec) if refined else spec, values, bf=0.6 if refined else 0.5)
        found = judgement(store, 15)
        assert found.words == "reproduced" and found.reason == ""
        outcomes = {one.evidence.name.split("@")[0]: one.outcome for one in found.standings}
        assert outcomes == {"sunrgbd": "holds", "nyuv2": "against"}


class TestResources:
    def test_reproduced_from_full_measurements(self, store: Store) -> None:
        for name in FOUR:
            fast, small = name == "deeplab-largefov", name == "segnet"
            store.measurement(
                name,
                inference_mib=300.0 if small else 400.0,
                model_size_mb=117.8 if small else 500.0,
                forward_ms=50.0 if fast else 100.0,
                backward_ms=100.0 if fast else 200.0,
            )
        assert [judgement(store, number).words for number in (1, 2, 3)] == ["reproduced"] * 3

    def test_memory_and_size_are_counted_and_have_no_noise(self, store: Store) -> None:
        for name in FOUR:
            store.measurement(name, inference_mib=400.0 if name == "segnet" else 399.9)
        assert judgement(store, 1).words == "contradicted"
        assert judgement(store, 2).words == "contradicted"  # of equal size is not smaller

    def test_times_within_the_spread_of_their_rounds(self, store: Store) -> None:
        for name in FOUR:
            fast = name == "deeplab-largefov"
            store.measurement(name, forward_ms=97.0 if fast else 100.0, backward_ms=100.0 if fast else 200.0)
        assert judgement(store, 3).words == "within noise"

    def test_one_round_has_no_spread(self, store: Store) -> None:
        for name in FOUR:
            store.measurement(name, rounds=1, forward_ms=50.0 if name == "deeplab-largefov" else 100.0)
        found = judgement(store, 3)
        assert found.words == "not tested"
        assert "one round of times has no spread" in found.reason

    def test_smaller_input_only_indicates(self, store: Store, camvid: Protocol) -> None:
        reduced = camvid.override({"size": "90x120"})
        store.run(store.spec("segnet", protocol=reduced), {"half": WHOLE, "end": WHOLE})
        for name in FOUR:
            store.measurement(name, size=(90, 120), inference_mib=300.0 if name == "segnet" else 200.0)
        found = judgement(store, 1)
        assert found.words == "indicated (against)"
        assert found.reason == "reduced: input 90 x 120 instead of 360 x 480"

    def test_other_ways_to_run_are_not_heard(self, store: Store) -> None:
        for name in FOUR:
            store.measurement(name, options=("folded",))
        assert judgement(store, 1).words == "not tested"

    @pytest.mark.parametrize(("kept", "outcome"), [(11, "holds"), (10, "against")])
    def test_storage_of_claim_4(self, store: Store, decoders: Protocol, kept: int, outcome: str) -> None:
        for class_weighting in ("median", "natural"):
            for name in (SEGNET, FCN):
                spec = store.spec(name, protocol=decoders.override({"class_weighting": class_weighting}))
                store.run(spec, {"end": WHOLE})
        store.measurement(SEGNET, kept=(1000, 0, 0, 0))
        store.measurement(FCN, kept=(1000 * kept, 0, 0, 0))
        found = judgement(store, 4)
        (storage,) = [one for one in found.standings[0].findings if one.kind == "times"]
        assert storage.outcome == outcome
        assert found.words == ("reproduced" if outcome == "holds" else "contradicted")


class TestBalancing:
    def test_claim_9_compares_a_network_with_itself(self, store: Store, decoders: Protocol) -> None:
        for name in load_suite("decoders").architectures:
            # class 1 is rare: its pixels lost cost C much and G little, those of class 0 the other way round
            rare = np.stack([matrix([990, 10, *[100] * 9])] * 20)
            median = rare.copy()
            median[:, 0, 0], median[:, 0, 2] = 890, 100
            natural = rare.copy()
            natural[:, 1, 1], natural[:, 1, 2] = 0, 10
            for class_weighting, values in (("median", median), ("natural", natural)):
                spec = store.spec(name, protocol=decoders.override({"class_weighting": class_weighting}))
                store.run(spec, {"end": values})
        assert judgement(store, 9).words == "reproduced"
