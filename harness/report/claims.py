"""The paper's claims judged on the records: one tidy frame, from which the page, the CSV and plots are made."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pandas as pd

from harness.config.suite import load_suite
from harness.metrics.significance import Sample
from harness.paper.judges import BESIDE, Finding
from harness.paper.rules import Quantity, claim_rules
from harness.paper.verdicts import ClaimResult, GroupResult, judge_claim
from harness.report.claims_page import claims_page
from harness.report.collect import SuiteRecords, collect
from harness.report.evidence import evidence
from harness.report.store import Store, read_store
from harness.report.tables.render import csv

# Of our figures; the paper's memory is by nvidia-smi, in MB of 2^20 bytes.
UNITS: Mapping[Quantity, str] = {
    "G": "%",
    "C": "%",
    "mIoU": "%",
    "BF": "%",
    "inference_memory": "MiB",
    "model_size": "MB",
    "forward": "ms",
    "backward": "ms",
    "decoder_storage": "maps",
    "decoder_bytes": "bytes",
    "weights": "MiB",
    "end_to_end": "ms",
}


def load_claims(results: Path | Store) -> pd.DataFrame:
    """`claims_frame` of every claim, judged on the records in a results folder, or on those that were read from it."""
    store = read_store(results)
    names = sorted({name for claim in claim_rules() for name in claim.suites})
    return claims_frame(claim_results({name: collect(store, load_suite(name)) for name in names}))


def claim_results(collected: Mapping[str, SuiteRecords]) -> list[ClaimResult]:
    """Every claim of the paper, held against all groups of the suites that it refers to.

    Args:
        collected: by the name of the suite.
    """
    results = []
    for claim in claim_rules():
        there = [collected[name] for name in claim.suites if name in collected]
        groups = [one for found in there for one in evidence(claim.table, found)]
        results.append(judge_claim(claim, groups))
    return results


def claims_files(collected: Mapping[str, SuiteRecords]) -> dict[str, bytes]:
    """`claims.md` and `claims.csv`, by name; empty where no record bears on any claim."""
    results = claim_results(collected)
    if not any(one.groups for one in results):
        return {}
    frame = claims_frame(results)
    return {"claims.md": claims_page(results, frame).encode(), "claims.csv": csv(frame).encode()}


def claims_frame(results: Sequence[ClaimResult]) -> pd.DataFrame:
    """A row a comparison and group of records; of a claim without any, a row a comparison of the paper's own.

    Of the claim: number, claim, source (the paper's table), paper_verdict, verdict, badges (what limits it).
    Of the group: group, decides (whether the verdict rests on it), group_verdict.
    Of the comparison: comparison (in short), kind, quantity, than, limit, unit, first, second, row, second_row.
    Figures, in `unit`; scores in percent, their differences in points, of "times" the first less `limit` times
    the second: ours_first, ours_second, difference, low, high (95 %; none of counted figures and of times of few
    processes), noise (what the interval is of), seeds, paper_first, paper_second, paper_difference, beside,
    beside_first, beside_second (another quantity, not judged).
    Where a claim is of the best of several networks, the paper's figures are of its own best.
    outcome: holds, against, noise, missing (then `reason`) or repeated (does not count), and paper_holds.
    """
    rows = []
    for result in results:
        deciding = result.deciding
        claim = {
            "number": result.claim.number,
            "claim": result.claim.text,
            "source": result.claim.table.replace("table", "Table "),
            "paper_verdict": result.paper_verdict,
            "verdict": result.verdict,
            "badges": "; ".join(result.limitations),
        }
        for group in result.groups or (None,):
            ours = group.findings if group else ()
            of_group = _group_cells(group, decides=group in deciding)
            for theirs, here in zip_longest(result.paper, ours):
                rows.append(claim | of_group | _comparison_cells(theirs, here))
    frame = pd.DataFrame(rows)
    return frame.astype({"seeds": "Int64", "decides": bool, "paper_holds": bool})


def forest_rows(frame: pd.DataFrame, number: int) -> pd.DataFrame:
    """What a forest plot of a claim draws, one row a point from top to bottom.

    Of `claims_frame`, the deciding groups' comparisons with a difference, but for repeated ones: columns group,
    comparison, quantity, unit, difference, low, high, paper_difference, outcome. A point without an interval has
    low and high NaN.
    """
    own = frame[(frame["number"] == number) & frame["decides"] & frame["difference"].notna()]
    columns = ["group", "comparison", "quantity", "unit", "difference", "low", "high", "paper_difference", "outcome"]
    return own.loc[own["outcome"] != "repeated", columns].reset_index(drop=True)


def _group_cells(group: GroupResult | None, *, decides: bool) -> dict[str, object]:
    return {
        "group": group.group.name if group else "",
        "decides": decides,
        "group_verdict": group.counts.verdict if group else "untested",
    }


def _comparison_cells(theirs: Finding, here: Finding | None) -> dict[str, object]:
    shown = here or theirs
    gap = here.difference if here else None
    ranged = gap is not None and gap.by in ("images", "seeds", "rounds")
    beside = here.beside if here else None
    return {
        "comparison": shown.words,
        "kind": shown.kind,
        "quantity": shown.quantity,
        "than": shown.than or "",
        "limit": np.nan if shown.limit is None else shown.limit,
        "unit": UNITS[shown.quantity],
        "first": shown.higher.network,
        "second": shown.lower.network,
        "row": shown.higher.row,
        "second_row": shown.lower.row,
        "ours_first": _mean(here.above) if here else np.nan,
        "ours_second": _mean(here.below) if here else np.nan,
        "difference": gap.estimate if gap else np.nan,
        "low": gap.low if gap and ranged else np.nan,
        "high": gap.high if gap and ranged else np.nan,
        "noise": gap.by if gap else "",
        "seeds": min(gap.seeds) if gap and gap.by in ("images", "seeds") else None,
        "paper_first": _mean(theirs.above),
        "paper_second": _mean(theirs.below),
        "paper_difference": theirs.difference.estimate if theirs.difference else np.nan,
        "paper_holds": theirs.outcome == "holds",
        "beside": BESIDE[shown.quantity] if beside else "",
        "beside_first": _mean(beside[0]) if beside else np.nan,
        "beside_second": _mean(beside[1]) if beside else np.nan,
        "outcome": here.outcome if here else "missing",
        "reason": here.reason if here else "no record",
    }


def _mean(sample: Sample | None) -> float:
    return sample.mean if sample else np.nan
