"""Hours by hand: made-up records have 160.5 GMAC forward and 480.25 GMAC for training, at 360 x 480."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn

import datasets
from harness.cli.dry_run import print_plan
from harness.config.protocol import Protocol, load_protocol
from harness.config.run_spec import RunSpec, refined
from harness.records.estimate import Estimate, Machine, estimate, images
from harness.records.measurement import MeasurementRecord, save_measurement
from harness.system.quantities import NotMeasured
from tests.harness.helpers import spec, tiny_protocol
from tests.harness.report.made_up_measurements import measured
from tests.harness.training.test_train import make_run

ROOT = Path(__file__).resolve().parents[3]
MACHINE = Machine(device="cpu", name="Made-up CPU (2 cores)", slug="cpu-made-up", threads=2)
PROTOCOL = load_protocol("camvid@2")
# camvid@2: at 20K, 40K, 60K and 80K val after re-estimation over 370 images (74 batches of 5); test at 40K and
# 80K; val and test at the best iteration, train at the last
TRAINED, SCORED = 80_000 * 5, 4 * (370 + 101) + 2 * 233 + (101 + 233) + 367
QUARTER = (180, 240)


def run_of(architecture: str = "segnet", *, protocol: Protocol = PROTOCOL, **changes: object) -> RunSpec:
    return spec(architecture=architecture, dataset="camvid", protocol=protocol, **changes)


def found(run: RunSpec, *records: MeasurementRecord) -> Estimate:
    result = estimate(run, records, MACHINE)
    assert isinstance(result, Estimate), result
    return result


def reason(run: RunSpec, *records: MeasurementRecord, machine: Machine = MACHINE) -> str:
    result = estimate(run, records, machine)
    assert isinstance(result, NotMeasured), result
    return result.reason


@pytest.mark.parametrize(
    ("name", "trained", "scored"),
    [
        ("camvid@2", TRAINED, SCORED),
        ("camvid-epochs@2", 8_560 * 5, SCORED),
        # re-estimation over 372 (31 batches of 12); test at the end; val, test and train at the best
        ("decoders@2", 10_000 * 12, 10 * (372 + 101) + 233 + (101 + 233) + 367),
        # evaluated at 250 and 500; val alone is scored, and again at the best
        ("recipes@1", 500 * 5, 2 * (370 + 101) + 101),
    ],
)
def test_images_by_hand(name: str, trained: int, scored: int) -> None:
    assert images(load_protocol(name), datasets.info("camvid").splits) == (trained, scored)


def test_hours_from_a_training_step_and_the_largest_forward_batch() -> None:
    record = measured("segnet", forward8_ms=700.0, step_ms=2000.0)
    result = found(run_of(), record)
    # at the very size and number of classes the multiply-accumulates cancel out: seconds an image times images
    assert result.hours == pytest.approx((TRAINED * 2.0 / 5 + SCORED * 0.7 / 8) / 3600)
    assert result.notes == () and result.measured == (record,)


def test_without_a_training_step_forward_and_backward_pass_make_one() -> None:
    assert found(run_of(), measured("segnet")).hours == pytest.approx((TRAINED * 0.3 + SCORED * 0.1) / 3600)


def test_counts_of_another_size_are_scaled_by_pixels_and_the_note_says_so() -> None:
    result = found(run_of(protocol=PROTOCOL.override({"size": "180x240"})), measured("segnet"))
    assert result.hours == pytest.approx((TRAINED * 0.3 + SCORED * 0.1) / 4 / 3600)
    assert any("360 x 480" in note and "pixels" in note for note in result.notes)
    assert "not counted" in reason(run_of("deconvnet"), measured("deconvnet", size=QUARTER))  # a fixed size


def test_counts_may_be_of_another_device_and_rates_of_the_nearest_size() -> None:
    elsewhere = measured("segnet", device="cuda", forward_ms=1.0, backward_ms=2.0)
    here = measured("segnet", size=QUARTER), measured("segnet", size=(90, 120), forward_ms=1.0)
    result = found(run_of(), elsewhere, *here)
    # a rate of 160.5 GMAC in 0.1 s, and so many at the full size: counted there, not scaled
    assert result.hours == pytest.approx((TRAINED * 0.3 + SCORED * 0.1) / 3600)
    assert result.measured == here[:1] and result.notes == ("rates measured at 180 x 240",)


def test_an_architecture_that_was_not_timed_takes_the_median_of_the_others() -> None:
    records = [measured(name, step_ms=ms) for name, ms in (("fcn8s", 1000.0), ("fcn8s-bilinear", 2000.0))]
    records += [measured("deeplab-largefov", step_ms=8000.0), measured("segnet", backward_ms=None)]
    result = found(run_of(), *records)
    assert result.hours == pytest.approx((TRAINED * 2.0 / 5 + SCORED * 0.1) / 3600)
    assert len(result.measured) == 3 and "3 other architectures" in result.notes[0]


def test_the_same_precision_comes_first_and_another_is_noted() -> None:
    single, half = measured("segnet"), measured("fcn8s", precision="bf16", step_ms=500.0)
    assert found(run_of(precision="bf16"), single, half).measured == (half,)
    assert "rates measured in fp32, not bf16" in found(run_of(precision="bf16"), single).notes


def test_the_protocol_s_optimizer_comes_first_and_another_is_noted() -> None:
    sgd, adamw = measured("segnet"), measured("segnet", options=("adamw",), step_ms=3000.0)
    protocol = PROTOCOL.override({"optimizer": "adamw", "momentum": "0"})
    result = found(run_of(protocol=protocol), sgd, adamw)
    assert result.hours == pytest.approx((TRAINED * 3.0 / 5 + SCORED * 0.1) / 3600) and result.measured == (adamw,)
    assert result.notes == ()
    assert found(run_of(), adamw, sgd).measured == (sgd,)
    assert "rates measured with sgd, not adamw" in found(run_of(protocol=protocol), sgd).notes
    assert "rates measured with adamw, not sgd" in found(run_of(), adamw).notes


def test_quick_presets_come_last() -> None:
    quick, usual = measured("segnet", preset="quick"), measured("segnet", size=QUARTER)
    assert found(run_of(), quick, usual).measured == (usual,)
    assert found(run_of(), quick).measured == (quick,)


def test_what_was_not_measured_here_has_no_estimate_but_a_reason() -> None:
    elsewhere = measured("segnet", device="cuda")
    assert f"nothing was measured on {MACHINE.name}" in reason(run_of(), elsewhere)
    assert "--threads 1" in reason(run_of(), measured("segnet"), machine=replace(MACHINE, threads=1))
    assert "forward pass and training step" in reason(run_of(), measured("segnet", backward_ms=None))
    assert "forward pass and training step" in reason(run_of(), measured("segnet", options=("channels-last",)))
    assert "not counted" in reason(run_of(), measured("fcn8s"))
    assert "not counted" in reason(run_of(), measured("fcn8s"), measured("segnet", revision=99))
    assert "dense CRF" in reason(refined(run_of()), measured("segnet"))


def test_the_plan_has_hours_their_total_and_reasons(tmp_path: Path) -> None:
    save_measurement(tmp_path, measured("segnet", step_ms=2000.0))
    specs = [run_of(), run_of(seed=1), refined(run_of())]
    console = Console(width=120, record=True, file=io.StringIO())
    print_plan(specs, tmp_path, console, MACHINE)
    lines = console.export_text().splitlines()
    hours = (TRAINED * 2.0 / 5 + SCORED * 0.1) / 3600
    cells = [line.split()[-1] for line in lines if "to do" in line]
    assert cells == [f"{hours:.0f}", f"{hours:.0f}", "n/a"]
    (total,) = [line for line in lines if line.startswith("about")]
    for part in (f"about {2 * hours:.0f} hours on Made-up CPU (2 cores)", "2 of 3 runs", "2020-01-02", "preset cpu"):
        assert part in total
    assert any(line.startswith("1 of 3 runs have no estimate") and "dense CRF" in line for line in lines)


class _Passes:
    """Counts the images that go through a network, with a graph and without."""

    def __init__(self) -> None:
        self.trained = self.scored = 0

    def __call__(self, model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if torch.is_grad_enabled():
            self.trained += len(inputs[0])
        else:
            self.scored += len(inputs[0])


@pytest.mark.slow
def test_a_run_takes_the_images_that_are_counted(tmp_path: Path, drawn_cache: Path) -> None:
    # 4 iterations of 2 images, evaluated and tested at 2 and 4, so that the best iteration is a tested one
    values = {**tiny_protocol(eval_interval="2").model_dump(), "report_at": {"half": 2, "end": 4}}
    protocol = Protocol.model_validate(values)
    run, passes = make_run(tmp_path, drawn_cache, architecture="segnet-basic", protocol=protocol), _Passes()
    run.model.register_forward_pre_hook(passes)
    run.train()
    run.finish()
    assert (passes.trained, passes.scored) == images(protocol, datasets.info(protocol.dataset).splits)
