"""Whether the paper's order of inference memory holds, from figures made up for each outcome."""

from typing import Any

import pytest

import datasets
from harness.config.suite import load_suite
from harness.records.measurement import MeasurementRecord
from harness.report.inference_memory import inference_memory_notes
from harness.report.resources import MeasurementGroup
from harness.report.table6 import comparison
from tests.harness.report.made_up_measurements import measured

AGAINST = comparison(load_suite("camvid"), datasets.info("camvid"))


def notes(*records: MeasurementRecord) -> list[str]:
    return inference_memory_notes(MeasurementGroup(records=records), AGAINST)


def test_order_that_holds_needs_no_reason() -> None:
    found = notes(measured("segnet", inference_mib=200), measured("deconvnet", inference_mib=900))
    assert found == [
        "Inference memory in the paper, MB: SegNet (1,052) needs less than DeepLab-LargeFOV (1,993), "
        "FCN (learnt deconv) (1,806), DeconvNet (1,872).",
        "That order by live tensors' peak here, MiB: SegNet 200; it holds for DeconvNet (900).",
    ]


def test_order_that_does_not_hold_has_the_parts_as_its_reason() -> None:
    found = notes(
        measured("segnet", inference_mib=300, weights_mib=100),
        measured("deeplab-largefov", inference_mib=212, weights_mib=80),
        measured("deconvnet", inference_mib=900),
    )
    assert found[1:] == [
        "That order by live tensors' peak here, MiB: SegNet 300; it holds for DeconvNet (900) and does NOT "
        "hold for DeepLab-LargeFOV (212).",
        # 300 - 100 - 10 - 2 and 212 - 80 - 10 - 2: the rest is 68 less, the weights 20.
        "DeepLab-LargeFOV, of that MiB: weights 80.0 (SegNet 100), decoder storage 10.0 (SegNet 10.0), input "
        "2.00 (SegNet 2.00), rest 120 (SegNet 188). The difference is largest in rest.",
    ]


def test_allocator_can_disagree_with_live_tensors() -> None:
    gpu: dict[str, Any] = {"device": "cuda", "preset": "lease"}
    found = notes(
        measured("segnet", inference_mib=200, workspace_mib=500, **gpu),
        measured("deconvnet", inference_mib=300, workspace_mib=50, **gpu),
    )
    assert "by live tensors' peak here, MiB: SegNet 200; it holds for DeconvNet (300)." in found[1]
    assert "by allocator's peak here, MiB: SegNet 700; it does NOT hold for DeconvNet (350)." in found[2]
    assert found[3] == (
        "DeconvNet, of that MiB: live tensors 300 (SegNet 200), workspaces 50.0 (SegNet 500). "
        "The difference is largest in workspaces."
    )
    assert "by NVML used minus idle here" in found[4]


def test_equal_memory_is_no_order() -> None:
    assert (
        "does NOT hold for DeconvNet (200)"
        in notes(measured("segnet", inference_mib=200), measured("deconvnet", inference_mib=200))[1]
    )


@pytest.mark.parametrize(
    "records",
    [
        [measured("deconvnet")],
        [measured("segnet", size=(90, 120)), measured("deconvnet", size=(90, 120))],
    ],
)
def test_nothing_without_segnet_or_at_another_size(records: list[MeasurementRecord]) -> None:
    assert notes(*records) == []


def test_nothing_for_a_suite_that_the_paper_has_no_memory_of() -> None:
    against = comparison(load_suite("quick"), datasets.info("roads"))
    group = MeasurementGroup(records=(measured("segnet"), measured("deconvnet")))
    assert inference_memory_notes(group, against) == []
