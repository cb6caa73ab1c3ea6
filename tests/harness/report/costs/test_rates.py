"""Counts and rates from made-up measurements: 160.5 GMAC forward, 480.25 for training, at 360 x 480."""

import pytest

from harness.report.costs.counts import Counts, counts_of, current
from harness.report.costs.matrix import load_matrix
from harness.report.costs.rates import Machine, machines
from harness.system.quantities import NotMeasured
from tests.harness.report.made_up_measurements import measured

FULL, QUARTER = (360, 480), (180, 240)
GPU = load_matrix().assumed.gpu_tflops


def test_counts_at_the_very_size_are_exact() -> None:
    records = [measured("segnet", size=QUARTER), measured("segnet")]
    assert counts_of(records, "segnet", FULL, 11) == Counts(parameters=29_450_000, gmacs=160.5, training_gmacs=480.25)


def test_counts_at_another_size_are_multiplied_by_the_ratio_of_pixels() -> None:
    records = [measured("segnet", size=QUARTER), measured("segnet", size=(90, 120))]
    found = counts_of(records, "segnet", FULL, 37)
    assert isinstance(found, Counts)
    assert (found.gmacs, found.training_gmacs) == (4 * 160.5, 4 * 480.25)
    assert found.basis == "counted at 180 x 240, times 4; counted with 11 classes, not 37"


def test_what_was_not_counted_is_missing() -> None:
    fixed = counts_of([measured("deconvnet", size=QUARTER)], "deconvnet", FULL, 11)
    nothing = counts_of([measured("segnet", inference_mib=None)], "segnet", FULL, 37)
    assert isinstance(fixed, NotMeasured) and isinstance(nothing, NotMeasured)


def test_other_revisions_and_unknown_networks_are_left_out() -> None:
    records = [measured("segnet"), measured("segnet", revision=99), measured("somebodys-own")]
    assert current(records) == [records[0]]


def only(found: list[Machine]) -> Machine:
    """The measured one of a list that ends with the assumed GPU."""
    machine, assumed = found
    assert assumed.assumed_tflops == GPU.value
    return machine


def test_a_training_step_gives_the_rate_where_there_is_one() -> None:
    machine = only(machines([measured("segnet", step_ms=2000.0)], GPU))
    speed = machine.speed("segnet", FULL)
    assert speed.training_tflops == pytest.approx(2 * 480.25e9 * 5 / 2.0 / 1e12)
    assert speed.forward_tflops == pytest.approx(2 * 160.5e9 / 0.1 / 1e12)
    assert speed.own and speed.basis == "a training step at batch 5, 360 x 480"


def test_else_forward_and_backward_together_give_it() -> None:
    machine = only(machines([measured("segnet", forward8_ms=700.0)], GPU))
    speed = machine.speed("segnet", FULL)
    assert speed.training_tflops == pytest.approx(2 * 480.25e9 / 0.3 / 1e12)
    assert speed.forward_tflops == pytest.approx(2 * 160.5e9 * 8 / 0.7 / 1e12)
    assert speed.basis == "forward and backward pass at batch 1, 360 x 480"


def test_the_nearest_size_is_taken_and_a_network_without_a_rate_gets_the_median() -> None:
    records = [
        measured("segnet", size=QUARTER, step_ms=1000.0),
        measured("segnet", step_ms=2000.0),
        measured("fcn8s", step_ms=4000.0),
        measured("fcn8s-bilinear", step_ms=8000.0),
        measured("deconvnet", backward_ms=None),
    ]
    machine = only(machines(records, GPU))
    assert machine.speed("segnet", QUARTER).basis.endswith("180 x 240")
    assert machine.speed("segnet", (100, 120)).basis.endswith("180 x 240")
    other = machine.speed("deconvnet", FULL)
    assert other.training_tflops == machine.speed("fcn8s", FULL).training_tflops
    assert not other.own and other.basis == "not measured: the median of 3 others"


def test_quick_efforts_and_other_ways_give_no_rate() -> None:
    records = [measured("segnet", preset="quick"), measured("segnet", options=("channels-last",))]
    (assumed,) = machines(records, GPU)
    assert assumed.assumed_tflops == GPU.value and "assumed" in assumed.title
    speed = assumed.speed("segnet", FULL)
    assert speed.training_tflops == speed.forward_tflops == GPU.value and not speed.own


def test_a_measured_gpu_takes_the_place_of_the_assumed_one() -> None:
    found = machines([measured("segnet"), measured("segnet", device="cuda", preset="lease")], GPU)
    assert [(machine.letter, machine.device, machine.assumed_tflops) for machine in found] == [
        ("A", "cpu", None),
        ("B", "cuda", None),
    ]
