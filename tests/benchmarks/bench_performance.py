"""The harness against the PyTorch baseline, interleaved: `make performance`.

Each test is one comparison: `benchmark` times our side's steps, the other side's are its setup or teardown.
The figures that count are those that the sides take themselves; they go into `results/performance/`.
"""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.benchmarks.comparisons import COMPARISONS, Comparison
from tests.benchmarks.recorder import Recorder


@pytest.mark.parametrize("comparison", COMPARISONS, ids=lambda one: f"{one.name}-{'-'.join(one.devices)}")
def test_performance(
    comparison: Comparison, recorder: Recorder, benchmark: BenchmarkFixture, request: pytest.FixtureRequest
) -> None:
    only = request.config.getoption("--performance-only")
    if only and comparison.name not in only.split(","):
        pytest.skip("not asked for")
    if recorder.options.device not in comparison.devices:
        pytest.skip("for another kind of device")
    entry = recorder.measure(comparison, benchmark)
    if entry.failure is not None:
        pytest.fail(entry.failure, pytrace=False)
