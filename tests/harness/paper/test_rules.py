"""The rules as data, and the paper's own figures held against them."""

from typing import Any

import pytest
from pydantic import ValidationError

from harness.paper.claims import Judgement, judge_claim, load_claims
from harness.paper.rules import Best, More, Subject, Times

NUMBERS = range(1, 16)
# Counted by hand in Tables 1, 3, 4 and 6: comparisons of each claim, and those that fail where any does.
COMPARISONS = (3, 2, 6, 7, 56, 48, 28, 24, 16, 21, 12, 4, 4, 13, 4)
FAILING = {5: 3, 6: 2, 8: 5, 9: 1, 10: 1, 11: 3}


def paper() -> dict[int, Judgement]:
    return {claim.number: judge_claim(claim, ()) for claim in load_claims()}


class TestPaper:
    def test_fifteen_claims(self) -> None:
        claims = load_claims()
        assert [claim.number for claim in claims] == list(NUMBERS)
        assert {claim.suite for claim in claims} == {"camvid", "decoders", "sunrgbd"}
        further = {claim.number: claim.further_suites for claim in claims if claim.further_suites}
        assert further == {14: ("nyuv2",), 15: ("nyuv2",)}

    def test_number_of_comparisons(self) -> None:
        assert tuple(len(one.paper) for one in paper().values()) == COMPARISONS

    def test_every_figure_that_a_rule_names_is_in_the_paper(self) -> None:
        missing = [one for judgement in paper().values() for one in judgement.paper if one.outcome == "missing"]
        assert missing == []

    @pytest.mark.parametrize("number", NUMBERS)
    def test_which_claims_the_papers_own_figures_bear_out(self, number: int) -> None:
        judgement = paper()[number]
        failing = [one for one in judgement.paper if one.outcome != "holds"]
        assert len(failing) == FAILING.get(number, 0)
        assert judgement.borne_out == (number not in FAILING)

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
        assert tie.above is not None
        assert tie.below is not None
        assert (tie.above.mean, tie.below.mean, tie.outcome) == (80.5, 80.5, "against")

    def test_leads_are_compared_in_points(self) -> None:
        found = [one for one in paper()[10].paper if one.kind == "most" and one.higher.row == "best"]
        leads = {one.than: (one.above, one.below) for one in found}
        bf, c = leads["C"]
        assert bf is not None
        assert c is not None
        assert (bf.mean, c.mean) == pytest.approx((33.18 - 27.99, 64.21 - 59.56))

    def test_only_the_claims_of_table_3_are_bounded(self) -> None:
        bounded = {claim.number for claim in load_claims() if claim.at_most_indicated}
        assert bounded == {claim.number for claim in load_claims() if claim.table == "table3"}


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
