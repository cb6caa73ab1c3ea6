"""The matrix: what its parts are, and what is refused."""

import pytest

from harness.config.protocol import load_protocol
from harness.config.suite import load_suite
from harness.report.costs.matrix import load_matrix, parts, suite_runs
from harness.system.errors import UserError


def test_a_suite_is_planned_with_every_balancing_and_seed() -> None:
    runs = suite_runs(load_suite("decoders"), "decoders@2", range(5))
    assert len(runs) == 8 * 2 * 5
    assert {run.protocol.title for run in runs} == {"decoders@2", "decoders@2+class_weighting=natural"}
    assert len({(run.architecture, run.protocol.title, run.seed) for run in runs}) == len(runs)
    first = runs[0]
    assert (first.size, first.label_size, first.num_classes) == ((360, 480), (360, 480), 11)
    assert dict(first.splits) == {"train": 367, "val": 101, "test": 233}


def test_a_protocol_with_a_size_of_its_own_is_planned_at_it() -> None:
    quick = load_protocol("quick@1").size
    assert {run.size for run in suite_runs(load_suite("quick"), "quick@1", range(1))} == {quick}


def test_each_protocol_of_a_suite_is_a_part_and_the_suite_s_own_comes_first() -> None:
    matrix = load_matrix().model_copy(update={"suites": ("camvid",)})
    found = [(part.protocol, part.beside, len(part.runs)) for part in parts(matrix)]
    assert found == [("camvid-epochs@2", False, 25), ("camvid@2", True, 25), ("camvid-tuned@1", True, 25)]


def test_a_suite_that_does_not_exist_is_a_part_without_runs() -> None:
    matrix = load_matrix().model_copy(update={"suites": ("nowhere",)})
    (part,) = parts(matrix)
    assert not part.runs and part.missing == "there is no suite nowhere yet"


def test_seeds_and_rate_can_be_changed_and_bad_values_are_refused() -> None:
    matrix = load_matrix().changed(seeds=2, gpu_tflops=50)
    assert (matrix.seeds, matrix.assumed.gpu_tflops.value) == (2, 50)
    assert matrix.assumed.gpu_tflops.why == "given on the command line"
    assert load_matrix().changed() == load_matrix()
    with pytest.raises(UserError, match=r"gpu_tflops.value"):
        load_matrix().changed(gpu_tflops=-1)
