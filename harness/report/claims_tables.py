"""The comparisons that a claim is made of, as text cells and as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import pandas as pd

from harness.paper.claims import Difference, Finding, Judgement, Quantity, Sample, Standing, Subject
from harness.report.tables import signed, significant


@dataclass(frozen=True, kw_only=True)
class _Words:
    """How a quantity is shown. paper, here: its units."""

    name: str
    paper: str
    here: str
    score: bool = False


_WORDS: Mapping[Quantity, _Words] = {
    "G": _Words(name="G", paper="%", here="%", score=True),
    "C": _Words(name="C", paper="%", here="%", score=True),
    "mIoU": _Words(name="mIoU", paper="%", here="%", score=True),
    "BF": _Words(name="BF", paper="%", here="%", score=True),
    "inference_memory": _Words(name="inference memory", paper="MB by nvidia-smi", here="MiB, live tensors' peak"),
    "model_size": _Words(name="model size", paper="MB", here="MB"),
    "forward": _Words(name="forward pass", paper="ms", here="ms"),
    "backward": _Words(name="backward pass", paper="ms", here="ms"),
    "decoder_storage": _Words(name="kept for the decoder", paper="maps", here="bytes"),
}
_OUTCOMES = {"holds": "holds", "against": "**against**", "noise": "within noise", "missing": "n/a"}


def comparisons(paper: Sequence[Finding], ours: Sequence[Finding]) -> pd.DataFrame:
    """A row a comparison; without ours, of the paper's alone."""
    rows = []
    for theirs, here in zip_longest(paper, ours):
        shown = here or theirs
        cells = {
            "at": _at(shown),
            "should be": _relation(shown),
            "of": _quantity(shown),
            "the paper": _paper_cell(theirs, shown),
            "holds in the paper": "yes" if theirs.outcome == "holds" else "no",
        }
        if ours:
            cells |= {"here": _here_cell(here), "seeds": _seeds(here)}
            cells["outcome here"] = _OUTCOMES[here.outcome]
        rows.append(cells)
    return pd.DataFrame(rows)


def exceptions(paper: Sequence[Finding]) -> list[str]:
    """The comparisons that the paper's own figures do not satisfy, in words."""
    lines = []
    for one in paper:
        if one.outcome == "holds":
            continue
        at = f"{_at(one)}: " if one.higher.row == one.lower.row and one.higher.row else ""
        lines.append(f"{at}{_quantity(one)}, {_relation(one)}: {_paper_cell(one, one)}")
    return lines


def _at(finding: Finding) -> str:
    same = finding.higher.row == finding.lower.row
    return (finding.higher.row or "–") if same else f"{finding.higher.row}, {finding.lower.row}"


def _named(finding: Finding, subject: Subject) -> str:
    same = finding.higher.row == finding.lower.row
    return subject.network if same else f"{subject.network} ({subject.row})"


def _relation(finding: Finding) -> str:
    high, low = _named(finding, finding.higher), _named(finding, finding.lower)
    if finding.kind == "close":
        return f"{high} within {finding.limit:g} of {low}"
    if finding.kind == "times":
        return f"{high} ≥ {finding.limit:g} × {low}"
    if finding.kind == "most":
        return f"{high} over {low} by more in {finding.quantity} than in {finding.than}"
    return f"{high} > {low}"


def _quantity(finding: Finding) -> str:
    words = _WORDS[finding.quantity]
    if finding.kind == "most":
        return f"leads in {finding.quantity} and {finding.than}, points"
    unit = words.paper if words.paper == words.here else f"{words.paper}; here {words.here}"
    return f"{words.name}, {unit}"


def _paper_cell(finding: Finding, shown: Finding) -> str:
    """Both figures; of which network, where the paper's best is another than the one that is shown."""
    if finding.above is None or finding.below is None:
        return "not given"
    sides = _sides(finding, finding.above, finding.below)
    return sides if finding.higher == shown.higher else f"{finding.higher.network}: {sides}"


def _sides(finding: Finding, above: Sample, below: Sample) -> str:
    first, second = _figure(finding, above), _figure(finding, below)
    if finding.kind == "times":
        ratio = f" = {above.mean / below.mean:.4g}" if below.mean else ""
        return f"{first} / {second}{ratio}"
    gap = finding.difference
    return f"{first} − {_bracketed(second)}" + (f" = {_signed(finding, gap.estimate)}" if gap else "")


def _bracketed(text: str) -> str:
    return f"({text})" if text.startswith("−") else text


def _figure(finding: Finding, sample: Sample) -> str:
    if not _WORDS[finding.quantity].score:
        return f"{sample.mean:,.0f}" if sample.mean >= 1000 else significant(sample.mean, 4)
    text = f"{sample.mean:.2f}".replace("-", "−")
    return text if sample.std is None else f"{text} ± {sample.std:.2f}"


def _signed(finding: Finding, value: float) -> str:
    if _WORDS[finding.quantity].score:
        return signed(value)
    return f"{'−' if value < 0 else '+'}{significant(abs(value), 3)}"


def _here_cell(finding: Finding) -> str:
    if finding.above is None or finding.below is None:
        return f"n/a: {finding.reason}"
    text = _sides(finding, finding.above, finding.below)
    gap = finding.difference
    if gap is None:
        return f"{text}; n/a: {finding.reason}"
    if gap.by == "nothing":
        return text
    return f"{text} [{_signed(finding, gap.low)}, {_signed(finding, gap.high)}]"


def _seeds(finding: Finding) -> str:
    gap = finding.difference
    if gap is None or gap.by not in ("seeds", "images"):
        return "–"
    one, other = gap.seeds
    return str(one) if one == other else f"{one}, {other}"


# -- values -------------------------------------------------------------------------------------------------


def units() -> dict[str, dict[str, str]]:
    """Quantity -> the unit of the paper's figures and of ours."""
    return {name: {"paper": words.paper, "here": words.here} for name, words in _WORDS.items()}


def judgement_values(judgement: Judgement) -> dict[str, Any]:
    """What claims.json holds of a claim; scores in percent, other figures in `units`."""
    claim = judgement.claim
    return {
        "number": claim.number,
        "claim": claim.text,
        "table": claim.table,
        "rule": claim.rule,
        "paper_bears_it_out": judgement.borne_out,
        "verdict": judgement.verdict,
        "leaning": judgement.leaning or None,
        "reason": judgement.reason or None,
        "paper": [_finding_values(one) for one in judgement.paper],
        "evidence": [_standing_values(one) for one in judgement.standings],
    }


def _standing_values(standing: Standing) -> dict[str, Any]:
    evidence = standing.evidence
    return {
        "of": evidence.name,
        "initial_weights": evidence.weights or None,
        "lesser": list(evidence.lesser),
        "outcome": standing.outcome,
        "reason": standing.reason or None,
        "comparisons": [_finding_values(one) for one in standing.findings],
    }


def _finding_values(finding: Finding) -> dict[str, Any]:
    values: dict[str, Any] = {
        "kind": finding.kind,
        "quantity": finding.quantity,
        "than": finding.than,
        "limit": finding.limit,
        "higher": finding.higher.model_dump(exclude_defaults=True),
        "lower": finding.lower.model_dump(exclude_defaults=True),
        "above": _sample_values(finding.above),
        "below": _sample_values(finding.below),
        "difference": _difference_values(finding.difference),
        "outcome": finding.outcome,
        "reason": finding.reason or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _sample_values(sample: Sample | None) -> dict[str, Any] | None:
    if sample is None:
        return None
    values = {"mean": _rounded(sample.mean), "n": len(sample.values)}
    return values if sample.std is None else {**values, "std": _rounded(sample.std)}


def _difference_values(gap: Difference | None) -> dict[str, Any] | None:
    if gap is None:
        return None
    if gap.by == "nothing":
        return {"estimate": _rounded(gap.estimate)}
    return {
        "estimate": _rounded(gap.estimate),
        "low": _rounded(gap.low),
        "high": _rounded(gap.high),
        "by": gap.by,
    }


def _rounded(value: float) -> float:
    return round(value, 4) + 0.0  # no minus zero
