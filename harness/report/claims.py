"""The page of the paper's claims: `claims.md` and `claims.json`, from the records of the suites they name."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.metrics.significance import SPREADS
from harness.paper.claims import Judgement, Outcome, Standing, deciding, judge_claim, load_claims
from harness.report.claims_tables import comparisons, exceptions, judgement_values, units
from harness.report.evidence import evidence
from harness.report.groups import BLOCK, SuiteRecords
from harness.report.links import heading_link
from harness.report.resources import Measurements
from harness.report.tables import listing, markdown

TABLES = {"table1": "Table 1", "table3": "Table 3", "table4": "Table 4", "table6": "Table 6"}
_COUNTED: Mapping[Outcome, str] = {
    "holds": "hold",
    "against": "against",
    "noise": "within noise",
    "missing": "missing",
}


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What a suite's report is made from."""

    records: SuiteRecords
    measurements: Measurements


def claims_files(collected: Mapping[str, Collected]) -> dict[str, bytes]:
    """`claims.md` and `claims.json`, by name; empty where no record bears on any claim.

    Args:
        collected: by the name of the suite.
    """
    judgements = judged(collected)
    if not any(one.standings for one in judgements):
        return {}
    values = {"schema_version": 1, "units": units(), "claims": [judgement_values(one) for one in judgements]}
    return {
        "claims.md": _page(judgements).encode(),
        "claims.json": f"{_text(values)}\n".encode(),
    }


def _text(value: Any, indent: str = "") -> str:
    """JSON in which what holds no list, such as a comparison, stands on one line."""
    if not _holds_list(value):
        return json.dumps(value, ensure_ascii=False)
    inner = f"{indent} "
    if isinstance(value, list):
        items = [_text(one, inner) for one in value]
        first, last = "[", "]"
    else:
        items = [f"{json.dumps(name)}: {_text(one, inner)}" for name, one in value.items()]
        first, last = "{", "}"
    lines = ",\n".join(f"{inner}{item}" for item in items)
    return f"{first}\n{lines}\n{indent}{last}"


def _holds_list(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_list(one) for one in value.values())
    return isinstance(value, list) and bool(value)


def judged(collected: Mapping[str, Collected]) -> list[Judgement]:
    """Every claim of the paper, held against all groups of the suites that it refers to."""
    judgements = []
    for claim in load_claims():
        present = [collected[name] for name in claim.suites if name in collected]
        groups = [one for found in present for one in evidence(claim.table, found.records, found.measurements)]
        judgements.append(judge_claim(claim, groups))
    return judgements


def _page(judgements: Sequence[Judgement]) -> str:
    text = [
        "# The paper's claims, judged\n",
        "Regenerated from `results/` alone by `python -m harness report`; the rules are in "
        "`harness/paper/claims.toml`. Do not edit it by hand.\n",
        _overview(judgements),
        listing(_notes()),
    ]
    for one in judgements:
        text += _section(one)
    return "\n".join(part.rstrip("\n") + "\n" for part in text if part)


def _overview(judgements: Sequence[Judgement]) -> str:
    rows = [
        {
            "claim": heading_link(_head(one)),
            "verdict here": f"**{one.words}**",
            "why no more than that": one.reason or "–",
            "comparisons here": _told(deciding(one.standings)),
            "the paper's own figures": "bear it out" if one.borne_out else "do not bear it out",
            "in the paper": TABLES[one.claim.table],
        }
        for one in judgements
    ]
    return markdown(pd.DataFrame(rows), text_columns=6)


def _told(standings: Sequence[Standing]) -> str:
    """How the comparisons of these groups came out, in numbers."""
    counts = Counter(one.outcome for standing in standings for one in standing.findings)
    told = [f"{counts[outcome]} {word}" for outcome, word in _COUNTED.items() if counts[outcome]]
    return ", ".join(told) or "–"


def _notes() -> list[str]:
    return [
        "Each rule is a list of comparisons of two networks. It was held against the paper's own figures "
        "first, which have no spread: there a difference of any size counts, and a tie does not.",
        "A comparison holds, or is against the claim, where the whole 95 % interval of the difference lies "
        "on one side; else it is within noise. Several seeds of both networks: Welch's t interval over "
        "seeds, of a network and its refined output the paired one. "
        f"One seed: paired bootstrap over blocks of {BLOCK} neighboring test frames, which holds the "
        "choice of test images, not what another seed would change. Times: "
        f"{SPREADS:g} times the larger spread of their rounds. Memory, sizes and storage are counted and "
        "have no noise.",
        "Times and memory are of the device in the heading; the paper's are of its own GPU and Caffe.",
        "Intervals are of each comparison by itself; no correction is made for their number.",
        "Reproduced: every comparison holds. Contradicted: at least one is against. Within noise: none is "
        "against, and not all hold. Undecided: groups of runs, such as those of two kinds of initial "
        "weights, contradict each other. Indicated: the same by reduced runs, by a changed recipe, or where "
        "the training data is not the paper's; it is never more. Not tested: a figure is missing.",
        "Full runs decide; reduced ones are heard only where no full run can be judged.",
    ]


def _head(judgement: Judgement) -> str:
    claim = judgement.claim
    return f"{claim.number}. {claim.text.rstrip('.')}"


def _section(judgement: Judgement) -> list[str]:
    claim = judgement.claim
    why = f": {judgement.reason}" if judgement.reason else ""
    lines = [
        f"Rule ({TABLES[claim.table]}): {claim.rule}",
        _of_paper(judgement),
        f"Verdict here: **{judgement.words}**{why}.",
    ]
    text = [f"## {_head(judgement)}\n", listing(lines)]
    if not judgement.standings:
        return [*text, markdown(comparisons(judgement.paper, ()), text_columns=3)]
    chosen = deciding(judgement.standings)
    for standing in judgement.standings:
        text += _standing(judgement, standing, decides=standing in chosen)
    return text


def _of_paper(judgement: Judgement) -> str:
    if judgement.borne_out:
        return "The paper's own figures bear this out."
    failing = exceptions(judgement.paper)
    return (
        f"**The paper's own figures do not bear this out**: {len(failing)} of {len(judgement.paper)} "
        f"comparisons fail: {'; '.join(failing)}."
    )


def _standing(judgement: Judgement, standing: Standing, *, decides: bool) -> list[str]:
    heard = "" if decides else " Not decisive here." if standing.outcome != "missing" else ""
    missing = f" Not judged: {standing.reason}." if standing.reason else ""
    evidence_of = standing.evidence
    mark = f"**{'; '.join(evidence_of.lesser)}.** " if evidence_of.lesser else ""
    text = [
        f"### {judgement.claim.number}, by {evidence_of.name}\n",
        f"{mark}Of {len(standing.findings)} comparisons: {_told([standing])}.{missing}{heard} "
        f"All figures: [{TABLES[judgement.claim.table]}]({evidence_of.page}).\n",
    ]
    # a table of missing figures alone would only repeat the paper's, which another one has
    if _compares(standing) or not any(map(_compares, judgement.standings)):
        text.append(markdown(comparisons(judgement.paper, standing.findings), text_columns=3))
    return text


def _compares(standing: Standing) -> bool:
    return any(one.outcome != "missing" for one in standing.findings)
