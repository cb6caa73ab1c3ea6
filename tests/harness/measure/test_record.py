import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.errors import UserError
from harness.measure.record import (
    KEPT_SAMPLES,
    Failure,
    MeasurementRecord,
    MeasureSpec,
    Quantity,
    Round,
    TimeSummary,
    blank_memory,
    blank_state,
    load_measurements,
    measurement_path,
    read_record,
    save_measurement,
)

SPEC = {"architecture": "segnet", "architecture_revision": 1, "device": "cpu", "effort": "cpu", "threads": 2}


def make_spec(**changes: Any) -> MeasureSpec:
    return MeasureSpec.model_validate({**SPEC, **changes})


def make_time(rounds: int = 3, kept: int = 10) -> TimeSummary:
    one = Round(n=kept, median_ms=1234.5678, samples_ms=(1234.5678,) * kept)
    return TimeSummary(
        batch=1,
        median_ms=1234.5678,
        p90_ms=1300.0,
        iqr_ms=5.0,
        n=kept * rounds,
        spread_percent=1.25,
        warmup_n=3,
        warmup_s=1.0,
        rounds=(one,) * rounds,
    )


def make_record(**changes: Any) -> MeasurementRecord:
    spec = changes.pop("spec", make_spec())
    fields: dict[str, Any] = {
        "spec": spec,
        "device_name": "AMD EPYC (2 cores)",
        "device_slug": "cpu-amd-epyc-2c",
        "measured_at": "2026-01-02T03:04:05+00:00",
        "wall_s": 12.5,
        "status": "finished",
        "reduced": spec.size != (360, 480),
        "parameters": Quantity(value=10),
        "trainable_parameters": Quantity(value=10),
        "model_size_mb": Quantity(value=117.797),
        "gmacs": Quantity(value=106.7),
        "gmacs_not_counted": ("relu",),
        "forward": make_time(),
        "forward_reason": None,
        "backward": make_time(),
        "backward_reason": None,
        "inference_memory": blank_memory(1, "not measured"),
        "training_memory": blank_memory(4, "not measured"),
        "device_before": blank_state("measured on a CPU"),
        "device_after": blank_state("measured on a CPU"),
        "load_average_before": Quantity(value=0.1),
        "load_average_after": Quantity(value=1.9),
        "settings": {"seed": 0},
        "environment": {"torch": "2.11"},
    }
    return MeasurementRecord.model_validate({**fields, **changes})


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    record = make_record()
    path = save_measurement(tmp_path, record)
    assert path == tmp_path / "measurements/cpu-amd-epyc-2c/segnet-360x480-k11-fp32-cpu.json"
    assert read_record(path) == record
    assert load_measurements(tmp_path) == ([record], [])
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_longest_record_stays_below_150_kilobytes(tmp_path: Path) -> None:
    full = make_time(rounds=5, kept=KEPT_SAMPLES)
    path = save_measurement(tmp_path, make_record(forward=full, backward=full))
    assert path.stat().st_size < 150_000


def test_a_failed_record_keeps_its_figures_and_its_reason(tmp_path: Path) -> None:
    failure = Failure(kind="oom", message="OOM at batch 4", phase="training memory at batch 4")
    record = make_record(status="failed", failure=failure)
    assert read_record(save_measurement(tmp_path, record)).forward is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "failed"},
        {"failure": Failure(kind="oom", message="OOM at batch 4", phase="x")},
        {"reduced": True},
        {"forward": None},
        {"forward_reason": "too slow"},
        {"schema_version": 2},
        {"unknown": 1},
    ],
)
def test_incoherent_records_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_record(**changes)


@pytest.mark.parametrize(
    "values",
    [{}, {"value": 1.0, "reason": "x"}, {"reason": ""}, {"value": float("nan")}, {"value": float("inf")}],
)
def test_a_quantity_has_a_value_or_a_reason(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Quantity.model_validate(values)


def test_zero_is_a_value() -> None:
    assert Quantity(value=0).value == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"size": (0, 480)},
        {"num_classes": 1},
        {"precision": "fp16"},
        {"precision": "tf32"},
        {"effort": "hasty"},
        {"device": "mps"},
        {"threads": 0},
        {"architecture": ""},
        {"batch": 2},
    ],
)
def test_bad_specs_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_spec(**changes)


def test_names_of_other_libraries_networks_make_no_folders() -> None:
    spec = make_spec(architecture="smp:Unet/resnet34", size=(90, 120), precision="bf16", effort="full")
    path = measurement_path(Path("r"), spec, "cuda-nvidia-h200")
    assert path == Path("r/measurements/cuda-nvidia-h200/smp-Unet-resnet34-90x120-k11-bf16-full.json")


def test_unreadable_files_come_with_reasons(tmp_path: Path) -> None:
    good = make_record()
    folder = save_measurement(tmp_path, good).parent
    (folder / "a.json").write_text("{", "utf-8")
    (folder / "b.json").write_text('{"schema_version": 1}', "utf-8")
    (folder / "c.json").write_bytes((folder / good.spec.file_name).read_bytes())
    values = json.loads(good.model_dump_json())
    values["parameters"] = {"value": None, "reason": None}
    (folder / "d.json").write_text(json.dumps(values), "utf-8")
    (folder / "e.json").mkdir()
    records, unreadable = load_measurements(tmp_path)
    assert records == [good]
    reasons = {path.name: reason for path, reason in unreadable}
    assert sorted(reasons) == ["a.json", "b.json", "c.json", "d.json", "e.json"]
    assert "spec: Field required" in reasons["b.json"]
    assert "belongs to cpu-amd-epyc-2c/segnet-360x480-k11-fp32-cpu.json" in reasons["c.json"]
    assert "parameters: Value error, a quantity has either" in reasons["d.json"]
    assert all(str(folder / name) in reason and "\n" not in reason for name, reason in reasons.items())


def test_no_measurements_is_no_error(tmp_path: Path) -> None:
    assert load_measurements(tmp_path / "nowhere") == ([], [])


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    record = make_record()
    path = measurement_path(tmp_path, record.spec, record.device_slug)
    path.mkdir(parents=True)  # a folder where the file should be
    with pytest.raises(UserError, match="can't write"):
        save_measurement(tmp_path, record)
    assert list(path.parent.iterdir()) == [path]


def test_records_need_no_torch() -> None:
    script = "import sys; import harness.measure, harness.measure.record; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
