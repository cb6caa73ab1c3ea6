import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.records.measurement import (
    METHOD,
    Failure,
    Measurement,
    MeasurementKey,
    MeasurementRecord,
    MeasureSpec,
    joined,
    load_measurements,
    measurement_path,
    read_record,
    save_measurement,
)
from harness.records.measurement_values import KEPT_SAMPLES, DeviceMemory, Live, Range, Round, TimeSummary, Timing
from harness.system.errors import UserError
from harness.system.quantities import NotMeasured, Quantity

SPEC = {"architecture": "segnet", "architecture_revision": 1, "device": "cpu", "preset": "cpu", "threads": 2}
NONE = Quantity(reason="not measured")


def make_spec(**changes: Any) -> MeasureSpec:
    return MeasureSpec.model_validate({**SPEC, **changes})


def make_time(rounds: int = 3, kept: int = 10, median_ms: float = 1234.5678) -> TimeSummary:
    one = Round(n=kept, median_ms=median_ms, samples_ms=(median_ms,) * kept)
    return TimeSummary(
        median_ms=median_ms,
        p90_ms=1300.0,
        p95_ms=NONE,
        p99_ms=NONE,
        iqr_ms=5.0,
        n=kept * rounds,
        spread_percent=1.25,
        warmup_n=3,
        warmup_s=1.0,
        rounds=(one,) * rounds,
    )


def make_cell(phase: str = "forward", batch: int = 1, **changes: Any) -> Measurement:
    fields: dict[str, Any] = {
        "key": {"phase": phase, "batch_size": batch},
        "measured_at": "2026-01-02T03:04:05+00:00",
        "wall_s": 12.5,
        "load_average_before": Quantity(value=0.1),
        "load_average_after": Quantity(value=1.9),
    }
    if phase.endswith("memory"):
        fields["memory"] = DeviceMemory.model_validate(dict.fromkeys(DeviceMemory.model_fields, NONE))
    else:
        fields["timing"] = make_timing()
    return Measurement.model_validate({**fields, **changes})


def make_timing(time: TimeSummary | None = None) -> Timing:
    missing = NotMeasured(reason="measured on a CPU")
    return Timing(
        time=time or make_time(),
        processes=1,
        window=missing,
        energy=missing,
        roofline=missing,
        outside_kernels=NONE,
        compile_s=NONE,
    )


def make_record(*cells: Measurement, **changes: Any) -> MeasurementRecord:
    spec = changes.pop("spec", make_spec())
    fields: dict[str, Any] = {
        "spec": spec,
        "device_name": "AMD EPYC (2 cores)",
        "device_slug": "cpu-amd-epyc-2c",
        "reduced": spec.size != (360, 480),
        "cells": cells or (make_cell(),),
        "environments": ({"torch": "2.11"},),
        "settings": {"seed": 0},
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
    full = make_timing(make_time(rounds=5, kept=KEPT_SAMPLES))
    keys = (("forward", 1), ("forward", 8), ("end-to-end", 1), ("backward", 1), ("training-step", 5))
    cells = [make_cell(phase, batch, timing=full) for phase, batch in keys]
    assert save_measurement(tmp_path, make_record(*cells)).stat().st_size < 150_000


def test_measurements_are_found_by_phase_and_batch() -> None:
    failure = Failure(kind="oom", message="OOM at batch 8")
    record = make_record(make_cell(), make_cell(batch=8, timing=None, failure=failure, flags=("hot",)))
    assert record.cell("forward", 1) == record.cells[0]
    assert record.cell("backward", 1) is None
    assert record.failures == (record.cells[1],)
    assert record.flags == ("forward at batch 8: hot",)
    assert record.reason("forward", 8) == "OOM at batch 8"
    assert record.reason("backward", 1) == "not measured: backward at batch 1"
    assert record.shapes is None


@pytest.mark.parametrize(
    "changes",
    [
        {"reduced": True},
        {"cells": ()},
        {"cells": (make_cell(), make_cell())},
        {"cells": (make_cell(batch=8), make_cell())},
        {"cells": (make_cell(environment=1),)},
        {"schema_version": 1},
        {"unknown": 1},
    ],
)
def test_incoherent_records_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_record(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"timing": None},
        {"failure": Failure(kind="oom", message="OOM at batch 1")},
        {"timing": None, "memory": make_cell("inference-memory").memory},
    ],
)
def test_a_measurement_has_what_its_phase_gives_or_a_failure(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_cell(**changes)


def test_a_live_peak_is_the_sum_of_its_parts() -> None:
    parts = dict.fromkeys([name for name in Live.model_fields if name.endswith("_bytes") and name != "peak_bytes"], 10)
    assert Live(batch_size=1, peak_bytes=70, **parts).peak_bytes == 70
    with pytest.raises(ValidationError, match="parts add up to 70, the peak is 71"):
        Live(batch_size=1, peak_bytes=71, **parts)


def test_joining_replaces_measurements_and_keeps_each_manifest_once() -> None:
    old, new = {"torch": "2.11"}, {"torch": "2.12"}
    before = make_record(make_cell(), make_cell("backward"), environments=(old,))
    after = make_record(make_cell(flags=("again",)), make_cell("end-to-end"), environments=(new,))
    both = joined(before, after)
    assert [str(cell.key) for cell in both.cells] == [
        "forward at batch 1",
        "end-to-end at batch 1",
        "backward at batch 1",
    ]
    assert [both.environments[cell.environment] for cell in both.cells] == [new, new, old]
    assert both.flags == ("forward at batch 1: again",)
    assert joined(both, make_record(make_cell("backward"), environments=(new,))).environments == (new,)
    assert joined(None, after) == after
    with pytest.raises(ValueError, match="not of one spec"):
        joined(before, make_record(spec=make_spec(threads=1)))


def test_an_interval_needs_three_processes() -> None:
    medians = (9.0, 12.0, 10.0)
    rounds = tuple(Round(n=1, median_ms=one, samples_ms=(one,)) for one in medians)
    timing = make_timing(make_time(median_ms=10.0).model_copy(update={"rounds": rounds}))
    assert timing.interval_ms == NotMeasured(reason="1 process; an interval needs 3")
    three = timing.model_copy(update={"processes": 3})
    assert three.interval_ms == Range(low=9.0, median=10.0, high=12.0)
    two = rounds[:2]
    fewer = timing.model_copy(update={"processes": 2, "time": timing.time.model_copy(update={"rounds": two})})
    assert isinstance(fewer.interval_ms, NotMeasured)


@pytest.mark.parametrize(
    ("phase", "spec", "warned"),
    [
        ("forward", {"device": "cuda", "preset": "lease"}, ["percentiles are an artefact"]),
        ("forward", {"precision": "bf16"}, ["weights were converted"]),
        ("backward", {"precision": "bf16"}, []),
        ("inference-memory", {"precision": "bf16"}, ["that of converting weights", "weights were converted"]),
        ("training-memory", {"precision": "bf16"}, []),
        ("forward", {}, []),
    ],
)
def test_what_an_earlier_revision_measured_otherwise_is_said(
    phase: str, spec: dict[str, Any], warned: list[str]
) -> None:
    old, new = (make_record(make_cell(phase, method=one), spec=make_spec(**spec)) for one in (1, METHOD))
    assert new.flags == ()
    assert len(old.flags) == len(warned)
    assert all(text in flag for text, flag in zip(warned, old.flags, strict=True))


def test_committed_measurements_are_read_and_written_as_they_are() -> None:
    """Records of earlier revisions stay readable, and none states an impossible workspace."""
    records, unreadable = load_measurements(Path(__file__).parents[3] / "results")
    assert len(records) > 40 and unreadable == []
    counted = [shapes for record in records if (shapes := record.shapes)]
    lives = [live for one in counted for live in (one.inference_live, one.training_live)]
    assert {live.threads for live in lives} == {1}
    workspaces = [
        cell.memory.workspace_bytes.value - (cell.memory.allocated_peak_bytes.value or 0) + _live(record, cell.key)
        for record in records
        for cell in record.cells
        if cell.memory and cell.memory.workspace_bytes.value is not None
    ]
    assert workspaces and set(workspaces) == {0}


def _live(record: MeasurementRecord, key: MeasurementKey) -> int:
    assert record.shapes is not None
    live = record.shapes.training_live if key.phase == "training-memory" else record.shapes.inference_live
    return live.peak_bytes


@pytest.mark.parametrize(
    "values", [{}, {"value": 1.0, "reason": "x"}, {"reason": ""}, {"value": float("nan")}, {"value": float("inf")}]
)
def test_a_quantity_has_a_value_or_a_reason(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Quantity.model_validate(values)


@pytest.mark.parametrize(
    "changes",
    [
        {"size": (0, 480)},
        {"num_classes": 1},
        {"precision": "fp16"},
        {"precision": "tf32"},
        {"preset": "hasty"},
        {"device": "mps"},
        {"threads": 0},
        {"architecture": ""},
        {"batch_size": 2},
        {"options": ("folded", "channels-last")},
        {"options": ("folded", "folded")},
        {"options": ("upside-down",)},
    ],
)
def test_bad_specs_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_spec(**changes)


def test_options_stand_in_the_name() -> None:
    spec = make_spec(options=("channels-last", "folded"))
    assert spec.file_name == "segnet-360x480-k11-fp32-channels-last-folded-cpu.json"


def test_unreadable_files_come_with_reasons(tmp_path: Path) -> None:
    good = make_record()
    folder = save_measurement(tmp_path, good).parent
    (folder / "a.json").write_text("{", "utf-8")
    (folder / "b.json").write_text('{"schema_version": 1}', "utf-8")
    (folder / "c.json").write_bytes((folder / good.spec.file_name).read_bytes())
    values = json.loads(good.model_dump_json())
    values["cells"][0]["load_average_after"] = {"value": None, "reason": None}
    (folder / "d.json").write_text(json.dumps(values), "utf-8")
    (folder / "e.json").mkdir()
    records, unreadable = load_measurements(tmp_path)
    assert records == [good]
    reasons = dict(zip(("a.json", "b.json", "c.json", "d.json", "e.json"), unreadable, strict=True))
    assert "schema_version: Input should be 2; it is of another version: measure anew" in reasons["b.json"]
    assert "belongs to cpu-amd-epyc-2c/segnet-360x480-k11-fp32-cpu.json" in reasons["c.json"]
    assert "cells.0.load_average_after: Value error, a quantity has either" in reasons["d.json"]
    assert all(str(folder / name) in reason and "\n" not in reason for name, reason in reasons.items())


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    record = make_record()
    path = measurement_path(tmp_path, record.spec, record.device_slug)
    path.mkdir(parents=True)  # a folder where the file should be
    with pytest.raises(UserError, match="can't write"):
        save_measurement(tmp_path, record)
    assert list(path.parent.iterdir()) == [path]
