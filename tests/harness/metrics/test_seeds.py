"""The hierarchical bootstrap over seeds and blocks: values by hand, and more evidence never weakens a claim."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.metrics import over_seeds

Draws = NDArray[np.float64]
BLOCKS, DRAWS = 12, 1000
WEIGHTS = np.random.default_rng(3).multinomial(BLOCKS, np.full(BLOCKS, 1 / BLOCKS), size=DRAWS) / BLOCKS


def drawn(*means: float, spread: float = 1.0, seed: int = 0) -> Draws:
    """(S, R): one row a seed, means of blocks that lie around the given values."""
    random = np.random.default_rng(seed)
    return np.stack([WEIGHTS @ (mean + spread * random.normal(size=BLOCKS)) for mean in means])


@st.composite
def seeds(draw: st.DrawFn, most: int = 5) -> Draws:
    """Differences of two networks, seed by seed: large and small ones, steady and unsteady over the blocks."""
    rows = []
    for _ in range(draw(st.integers(1, most))):
        mean, spread = draw(st.floats(-3, 20)), draw(st.floats(0.01, 8))
        rows.append(drawn(mean, spread=spread, seed=draw(st.integers(0, 10**6))))
    return np.concatenate(rows)


def supports(rows: Draws) -> bool:
    return over_seeds(rows).low > 0


def test_one_seed_has_the_percentiles_of_its_blocks() -> None:
    rows = np.arange(101.0)[None]
    found = over_seeds(rows)
    assert (found.estimate, found.low, found.high) == pytest.approx((50.0, 2.5, 97.5))


def test_two_seeds_are_drawn_with_replacement() -> None:
    # without noise of blocks a draw is 0, 1 or 2, in one, two and one of four: the ends are the seeds themselves
    found = over_seeds(np.stack([np.zeros(4000), np.full(4000, 2.0)]))
    assert (found.low, found.high) == (0.0, 2.0)
    assert found.estimate == pytest.approx(1.0, abs=0.05)
    quarter = over_seeds(np.stack([np.zeros(4000), np.full(4000, 2.0)]), level=0.49)
    assert (quarter.low, quarter.high) == (1.0, 1.0)


def test_paired_seeds_cancel_what_they_share() -> None:
    # what a seed does to both networks, 10 points, is not in the difference of pairs
    other = drawn(50.0, 60.0)
    one = other + 1.0
    paired, apart = over_seeds(one, other, paired=True), over_seeds(one, other)
    assert (paired.low, paired.high) == pytest.approx((1.0, 1.0))
    assert apart.low < -5 < 5 < apart.high


def test_a_second_seed_that_agrees_does_not_weaken_a_small_lead() -> None:
    # Student's t interval of 1.65 and 12.7 is [-63, 77]
    small, large = drawn(1.65, spread=0.5), drawn(12.7, spread=0.5, seed=1)
    assert supports(small) and supports(large)
    assert supports(np.concatenate([small, large]))


def test_a_second_seed_that_disagrees_does() -> None:
    assert not supports(np.concatenate([drawn(5.0, spread=0.5), drawn(-1.0, spread=0.5)]))


@settings(deadline=None, max_examples=80)
@given(rows=seeds())
def test_seeds_that_agree_one_by_one_support_in_any_number(rows: Draws) -> None:
    agreeing = np.stack([row for row in rows if supports(row[None])] or [drawn(5.0)[0]])
    for number in range(1, len(agreeing) + 1):
        assert supports(agreeing[:number])
    other = np.zeros((2, DRAWS))
    assert over_seeds(agreeing, other).low > 0  # nor where the seeds are not shared


@settings(deadline=None, max_examples=80)
@given(rows=seeds(most=4), more=st.floats(0, 5))
def test_a_seed_ahead_of_all_others_never_turns_a_claim_to_noise(rows: Draws, more: float) -> None:
    assume(supports(rows))
    assert supports(np.concatenate([rows, rows.max(axis=0, keepdims=True) + more]))


@settings(deadline=None, max_examples=50)
@given(rows=seeds())
def test_the_other_way_round_is_the_other_sign(rows: Draws) -> None:
    found, mirrored = over_seeds(rows), over_seeds(-rows)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))
