"""Resources in full: figures computed by hand, what is n/a, and which tables there are."""

import io
from typing import Any

import pandas as pd
import pytest

from harness.records.measurement import MeasurementRecord
from harness.report.resources import MeasurementGroup
from harness.report.resources_full import resources_full, timed_cells
from harness.report.resources_full_tables import full_files
from tests.harness.report.made_up_measurements import measured


def group(*records: MeasurementRecord) -> MeasurementGroup:
    return MeasurementGroup(records=records)


def on_gpu(name: str = "segnet", **changes: Any) -> MeasurementRecord:
    return measured(name, device="cuda", preset="lease", **changes)


def text_of(made: MeasurementGroup, kind: str = "md") -> str:
    (text,) = [text for name, text in full_files(made, "table3").items() if name.endswith(kind)]
    return text


def test_images_per_second_and_energy_are_of_one_image() -> None:
    made = group(on_gpu(forward_ms=5, forward8_ms=20, step_ms=100, energy_mj=900))
    (row,) = resources_full(made).to_dict("records")
    assert row["forward_b8_images_per_s"] == pytest.approx(400)  # 8 in 20 ms
    assert row["training_step_b5_images_per_s"] == pytest.approx(50)
    assert row["forward_b1_above_idle_mj_per_image"] == pytest.approx(900)
    assert row["forward_b1_raw_mj"] == pytest.approx(1800)
    assert row["forward_b1_window_s"] == pytest.approx(20.5)
    text = text_of(made)
    assert "| SegNet | 20.0 | 22.0 | 1.00 | 30 | 3 | 3 | 2.0 | 400 |" in text
    assert "| SegNet | 1,800 | 900 | 20.5 |" in text
    assert "| SegNet | 1,755 to 1,980 (1,980) | 3,201 to 3,201 (3,201) | 40 to 47 (44) | " in text
    assert "| SegNet | 0.025 | 25.0 | 40.0 | 0.1 | 20.0 |" in text


def test_parts_of_live_tensors_add_up() -> None:
    made = group(measured("segnet", inference_mib=100, training_mib=400, weights_mib=30))
    assert "| SegNet | 100.0 | 30.0 | 0.0 | 0.0 | 10.0 | 0.0 | 2.0 | 58.0 |" in text_of(made)
    # 400 - 3 x 30 - 10 - 2 = 298, half of it kept for the backward pass.
    assert "| SegNet | 400.0 | 30.0 | 30.0 | 30.0 | 10.0 | 149.0 | 2.0 | 149.0 |" in text_of(made)


def test_what_no_network_has_is_one_line_and_no_table() -> None:
    text = text_of(group(measured("segnet"), measured("deconvnet")))
    for absent in (
        "## Energy",
        "## State of the GPU",
        "## End to end",
        "allocator's peak, MiB",
        "compiling, s |",
    ):
        assert absent not in text
    assert "- n/a for every network: end to end, batch 1: time: not measured: end-to-end at batch 1" in text
    assert "- n/a for every network: forward, batch 8: time, " in text
    assert "training step, batch 5: compiling" in text
    assert "process's peak RSS, MiB |" in text


def test_what_one_network_lacks_is_na_with_the_cells_reason() -> None:
    text = text_of(group(measured("segnet", forward8_ms=800), measured("deconvnet", backward_ms=None)))
    assert "| DeconvNet | n/a (1) | n/a (1) |" in text
    assert "- n/a (1): not measured: forward at batch 8" in text
    assert "- n/a (2): not tried" in text
    assert "- DeconvNet: FAILED, backward at batch 1: not tried" in text


def test_compiling_stands_where_a_network_was_compiled() -> None:
    text = text_of(group(on_gpu(options=("channels-last", "compiled"))))
    assert "# Resources in full on Made-up GPU, input 360 x 480, fp32, channels-last, compiled, preset lease" in text
    assert "| forward, batch 1: compiling, s |" in text
    assert "| SegNet | 12.5 | 31.0 |" in text


def test_cells_beyond_the_usual_ones_are_shown() -> None:
    made = group(measured("segnet", step_ms=10))
    assert timed_cells(made) == [
        ("forward", 1),
        ("forward", 8),
        ("end-to-end", 1),
        ("backward", 1),
        ("training-step", 5),
    ]
    (step,) = [cell for cell in made.first.cells if cell.key.phase == "training-step"]
    key = step.key.model_copy(update={"batch_size": 3})
    others = [cell for cell in made.first.cells if cell is not step]
    small = made.first.model_copy(update={"cells": (*others, step.model_copy(update={"key": key}))})
    assert group(small).step_batch == 3
    assert "## Training step, batch 3" in text_of(group(small))


def test_csv_reads_back_with_its_origin_and_reasons() -> None:
    several = group(on_gpu(forward_ms=5), on_gpu("fcn8s", forward8_ms=20))
    back = pd.read_csv(io.StringIO(text_of(several, "csv")))
    row, other = back.to_dict("records")
    assert (row["device"], row["input"], row["preset"]) == ("Made-up GPU", "360 x 480", "lease")
    assert row["forward_b1_median_ms"] == 5
    assert row["forward_b8_median_ms_reason"] == "not measured: forward at batch 8"
    assert pd.isna(row["forward_b8_median_ms"])
    assert other["forward_b8_median_ms"] == 20 and pd.isna(other["forward_b8_median_ms_reason"])


def test_csv_leaves_out_what_no_network_has_for_one_reason() -> None:
    none = group(on_gpu(forward_ms=5), on_gpu("fcn8s", forward_ms=7))
    back = pd.read_csv(io.StringIO(text_of(none, "csv")))
    assert not [name for name in back if "forward_b8_median" in str(name)]
    assert "not measured: forward at batch 8" in text_of(none)


def test_latex_braces_and_tables_match() -> None:
    text = text_of(group(on_gpu(forward8_ms=20, energy_mj=3)), "tex")
    assert text.count("{") == text.count("}")
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") > 8


def test_reduced_sheet_is_marked() -> None:
    text = text_of(group(measured("segnet", size=(90, 120))))
    assert "**REDUCED: input 90 x 120 instead of 360 x 480**" in text
    assert "this is another DeconvNet" in text
