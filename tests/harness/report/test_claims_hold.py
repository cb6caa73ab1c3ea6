"""Verdicts on the committed records: they do not turn with the random numbers of the bootstrap."""

import importlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from harness.report.claims import load_claims

RESULTS = Path(__file__).resolve().parents[3] / "results"
bootstrap = importlib.import_module("harness.metrics.bootstrap")  # the package's name is the function's


@pytest.mark.slow
def test_no_verdict_turns_between_ten_seeds_of_the_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: Callable[..., object] = bootstrap._block_weights
    seeds: Callable[..., object] = bootstrap._seed_weights
    frames = []
    for number in range(10):
        with monkeypatch.context() as patch:
            patch.setattr(bootstrap, "_block_weights", lambda n, draws, _, at=number: blocks(n, draws, at))
            patch.setattr(
                bootstrap, "_seed_weights", lambda n, draws, stream, at=number: seeds(n, draws, 2 * at + stream)
            )
            frames.append(load_claims(RESULTS))
    outcomes = pd.concat([frame["outcome"] for frame in frames], axis=1)
    verdicts = pd.concat([frame["verdict"] for frame in frames], axis=1)
    low = pd.concat([frame["low"] for frame in frames], axis=1)
    assert (frames[0]["noise"] == "images").sum() >= 20  # there are comparisons that could turn
    assert (low.std(axis=1) > 0).any()  # and their draws differ
    # of hundreds of comparisons some have a bound at 0 itself, which no number of draws puts on one side for good
    assert (outcomes.nunique(axis=1) > 1).mean() < 0.01
    assert low.std(axis=1).max() < 0.05  # points: what the draws leave open
    assert (verdicts.nunique(axis=1) == 1).all()
