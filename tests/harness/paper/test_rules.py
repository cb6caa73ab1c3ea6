"""The rules as data, and the paper's own figures held against them."""

from typing import Any

import pytest
from pydantic import ValidationError

from harness.paper.rules import Best, More, Subject, Times, claim_rules
from harness.paper.verdicts import ClaimResult, Counts, count, judge_claim

NUMBERS = range(1, 19)
# Counted by hand in Tables 1, 3, 4 and 6: comparisons of each claim, and those that fail where any does.
COMPARISONS = (3, 2, 6, 7, 56, 48, 28, 24, 16, 21, 12, 4, 4, 13, 4, 27, 3, 3)
FAILING = {5: 3, 6: 2, 8: 5, 9: 1, 10: 1, 11: 3, 17: 1, 18: 1}
IN_PAPER = {5: "mostly supported", 6: "mostly supported", 8: "mixed", 9: "mostly supported", 11: "mixed"}
IN_PAPER |= {10: "mostly supported", 17: "mixed", 18: "mixed"}


def paper() -> dict[int, ClaimResult]:
    return {claim.number: judge_claim(claim, ()) for claim in claim_rules()}


class TestPaper:
    def test_suites(self) -> None:
        claims = claim_rules()
        assert [claim.number for claim in claims] == list(NUMBERS)
        assert {claim.suite for claim in claims} == {"camvid", "decoders", "sunrgbd"}
        assert {claim.number for claim in claims if claim.further_suites == ("nyuv2",)} == {14, 15}

    @pytest.mark.parametrize("number", NUMBERS)
    def test_what_the_papers_own_figures_say(self, number: int) -> None:
        result = paper()[number]
        failing = FAILING.get(number, 0)
        assert count(result.paper) == Counts(holds=COMPARISONS[number - 1] - failing, against=failing)
        assert result.paper_verdict == IN_PAPER.get(number, "supported")
        assert result.verdict == "untested"

    def test_the_exceptions_of_claim_5(self) -> None:
        failing = [one for one in paper()[5].paper if one.outcome == "against"]
        assert {(one.higher.row, one.quantity, one.higher.network) for one in failing} == {
            ("median", "C", "FCN-Basic-NoAddition"),
            ("median", "C", "SegNet-Basic-SingleChannelDecoder"),
            ("natural", "G", "FCN-Basic-NoAddition"),
        }

    def test_a_tie_does_not_exceed(self) -> None:
        (tie,) = [
            one
            for one in paper()[8].paper
            if (one.quantity, one.higher.row) == ("G", "median") and "NoAddition" in one.lower.network
        ]
        assert tie.above is not None and tie.below is not None
        assert (tie.above.mean, tie.below.mean, tie.outcome) == (80.5, 80.5, "against")

    def test_leads_are_compared_in_points(self) -> None:
        found = [one for one in paper()[10].paper if one.kind == "most" and one.higher.row == "best"]
        leads = {one.than: (one.above, one.below) for one in found}
        bf, c = leads["C"]
        assert bf is not None and c is not None
        assert (bf.mean, c.mean) == pytest.approx((33.18 - 27.99, 64.21 - 59.56))


class TestVerdicts:
    @pytest.mark.parametrize(
        ("holds", "against", "noise", "word"),
        [
            (3, 0, 0, "supported"),
            (9, 0, 1, "supported"),
            (7, 0, 2, "mostly supported"),  # 7 hold and none is against
            (43, 5, 0, "mostly supported"),
            (2, 0, 1, "mostly supported"),
            (2, 1, 0, "mixed"),  # one of three rivals
            (0, 0, 4, "mixed"),
            (5, 5, 0, "mixed"),
            (1, 6, 1, "contradicted"),
            (0, 0, 0, "untested"),
        ],
    )
    def test_the_word_for_the_counts(self, holds: int, against: int, noise: int, word: str) -> None:
        assert Counts(holds=holds, against=against, noise=noise, missing=3, repeated=9).verdict == word


class TestCouples:
    def test_each_with_each_row_by_row(self) -> None:
        statement = More(judge="more", higher=("a", "b"), lower=("c",), rows=("x", "y"), quantities=("G",))
        named = [(high.network, low.network, high.row) for high, low in statement.couples()]
        assert named == [("a", "c", "x"), ("b", "c", "x"), ("a", "c", "y"), ("b", "c", "y")]

    def test_one_with_itself_in_two_rows(self) -> None:
        statement = More(judge="more", networks=("a",), higher_row="median", lower_row="natural", quantities=("C",))
        assert statement.couples() == [(Subject(network="a", row="median"), Subject(network="a", row="natural"))]

    def test_without_rows(self) -> None:
        statement = Times(judge="times", pairs=(("a", "b"),), quantities=("decoder_storage",), factor=2.0)
        assert statement.couples() == [(Subject(network="a"), Subject(network="b"))]

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({}, "give higher and lower, or pairs, or networks"),
            ({"higher": ["a"]}, "give higher and lower, or pairs, or networks"),
            ({"higher": ["a"], "lower": ["b"], "networks": ["c"]}, "give higher and lower, or pairs"),
            ({"pairs": [["a", "b"]], "rows": ["x"], "higher_row": "y", "lower_row": "z"}, "give rows, or"),
            ({"pairs": [["a", "b"]], "higher_row": "y"}, "go together"),
            ({"networks": ["a"], "rows": ["x"]}, "compared with themselves"),
            ({"pairs": [["a", "b"]], "quantities": ["F1"]}, "Input should be"),
            ({"pairs": [["a", "b"]], "sides": 2}, "Extra inputs"),
        ],
    )
    def test_bad_rules_are_refused(self, fields: dict[str, Any], message: str) -> None:
        with pytest.raises(ValidationError, match=message):
            More.model_validate({"judge": "more", "quantities": ["G"], **fields})

    def test_best_needs_rows(self) -> None:
        with pytest.raises(ValidationError, match="rows"):
            Best.model_validate({"judge": "best", "of": ["a"], "rest": ["b"], "quantities": ["G"]})
