"""The paper's claims judged: rules as data, the judges that they name, verdicts. Knows nothing of records."""

from harness.metrics.significance import Difference, Sample, counted, difference
from harness.paper.judges import Figures, Finding, Outcome, judge
from harness.paper.rules import Claim, Quantity, Subject, Table, load_claims
from harness.paper.verdicts import Evidence, Judgement, Standing, deciding, judge_claim

__all__ = [
    "Claim",
    "Difference",
    "Evidence",
    "Figures",
    "Finding",
    "Judgement",
    "Outcome",
    "Quantity",
    "Sample",
    "Standing",
    "Subject",
    "Table",
    "counted",
    "deciding",
    "difference",
    "judge",
    "judge_claim",
    "load_claims",
]
