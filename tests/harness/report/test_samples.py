"""Which scores a table marks as the highest."""

import numpy as np

from harness.metrics.significance import Sample
from harness.report.accuracy import tied


def scored(mean: float, resampled: bool = True) -> Sample:
    draws = mean + np.linspace(-0.01, 0.01, 50)[None] if resampled else None
    return Sample(values=(mean,), noise="images", seeds=(0,), resampled=draws, labeled=np.ones((12, 2)))


def test_what_is_tested_and_lower_is_no_tie() -> None:
    assert tied({"a": scored(0.5), "b": scored(0.4)}) == set()


def test_where_nothing_can_be_tested_no_network_leads() -> None:
    few = {"a": scored(0.5, resampled=False), "b": scored(0.3, resampled=False)}
    assert tied(few) == {"a", "b"}
