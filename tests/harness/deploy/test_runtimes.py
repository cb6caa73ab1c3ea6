"""Other runtimes: their processes, their records, and the report that is made of these."""

import json
import subprocess
import sys
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.cli.runtimes import measure_in_runtimes
from harness.deploy.export import SUFFIXES, Format, exported_program, save_as
from harness.deploy.parity import noise
from harness.deploy.quantization import calibration_images, quantize
from harness.deploy.runtimes import RuntimeTask, check_installed, onnxruntime_call, operator_shares, torch_call, why_not
from harness.deploy.weights import build, drawn, find
from harness.profiling.runtimes import RuntimeRequest, _Workshop, measure_runtimes
from harness.records.measurement_values import TimeSummary
from harness.records.runtimes import RUNTIMES, RuntimeName, RuntimeRecord
from harness.report.runtimes import runtimes_files, runtimes_frame
from harness.system.quantities import Quantity
from tests.harness.commands import MAIN, assert_one_line, forked, harness
from tests.harness.deploy.conftest import Trained


def test_bf16_in_torch_is_near_and_converts_a_copy() -> None:
    model = build(drawn("segnet-basic", (32, 40), 5))
    images = noise(1, (32, 40))
    plain, reduced = torch_call(model)(images)[0], torch_call(model, "bf16")(images)[0]
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}
    assert plain.dtype == reduced.dtype == np.float32
    assert 0 < np.abs(plain - reduced).max() < plain.std()


def test_a_process_without_torch_says_its_memory(tmp_path: Path) -> None:
    source = drawn("pixel-mlp", (24, 32), 5)
    path = tmp_path / "model.onnx"
    save_as(exported_program(build(source), (24, 32), dynamic=False), "onnx", path)
    assert onnxruntime_call(path, 1)(noise(1, (24, 32)))[0].shape == (1, 5, 24, 32)
    task = RuntimeTask(
        runtime="onnxruntime", precision="fp32", config=source.config, weights=None, file=path, threads=1
    )
    (tmp_path / "task.json").write_text(task.model_dump_json())
    code = "import sys, harness.deploy.runtimes as r; r.main(sys.argv[1]); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "task.json")], capture_output=True, text=True)
    said, torch_there = done.stdout.strip().splitlines()[-2:]
    found = json.loads(said)
    assert found["peak_rss_bytes"] > 10_000_000 and torch_there == "False"
    assert "Conv" in found["operators"] and min(found["operators"].values()) >= 0.05
    assert sum(found["operators"].values()) <= 1
    missing = task.model_copy(update={"file": tmp_path / "none.onnx"})
    (tmp_path / "task.json").write_text(missing.model_dump_json())
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "task.json")], capture_output=True, text=True)
    assert "reason" in json.loads(done.stdout.strip().splitlines()[-2])


def test_operators_of_torch_are_named_without_its_namespace() -> None:
    source = drawn("segnet-basic", (64, 80), 5)
    task = RuntimeTask(runtime="torch", precision="fp32", config=source.config, weights=None, file=None, threads=1)
    shares = operator_shares(task, torch_call(build(source)), noise(1, (64, 80)))
    assert any("convolution" in name for name in shares) and not any(":" in name for name in shares)
    assert list(shares.values()) == sorted(shares.values(), reverse=True) and sum(shares.values()) <= 1


def test_what_a_processor_cannot_do_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.deploy.runtimes.emulates_bfloat16", lambda: True)
    assert "bfloat16" in why_not("torch", "bf16") and "bfloat16" in why_not("openvino", "bf16")
    assert "quantizer" in why_not("torch", "int8") and not why_not("openvino", "int8")


def test_calibration_takes_training_images_evenly_spread(trained: Trained) -> None:
    train = trained.run.data["train"]
    config = find(str(trained.weights), Path("none"), Path("none")).config
    images = calibration_images(config, train, 3)
    expected = train.images(np.array([0, round((len(train) - 1) / 2), len(train) - 1])).numpy()
    assert np.array_equal(images, expected)
    assert calibration_images(config, None, 3).shape == (3, 3, 32, 40)


def test_int8_of_a_trained_model_is_not_calibrated_on_noise(tmp_path: Path) -> None:
    source = drawn("pixel-mlp", (24, 32), 5)
    trained = replace(source, config=source.config.model_copy(update={"run_id": "pixel-mlp-x"}))
    request = RuntimeRequest(
        source=trained,
        runtimes=("openvino",),
        precisions=("int8",),
        preset="quick",
        threads=1,
        data=None,
        train=None,
        why_no_data="no --data-root",
    )
    made = _Workshop(request, build(source), tmp_path).prepare(("openvino", "int8"))
    assert made.call is None and "name their folder with --data-root" in made.failure


def comparisons(runtime: RuntimeName, path: Path) -> Counter[tuple[str, ...]]:
    """What a file's comparisons compare, by kinds of operators; how many operators quantize."""
    if runtime == "openvino":
        openvino = pytest.importorskip("openvino")
        nodes = openvino.Core().read_model(path).get_ops()
        found = [
            (node.get_type_name(), [one.get_source_output().get_node() for one in node.inputs()]) for node in nodes
        ]
        kinds = [(kind, *(source.get_type_name() for source in sources)) for kind, sources in found]
    else:
        graph = pytest.importorskip("onnx").load(path).graph
        made = {output: node.op_type for node in graph.node for output in node.output}
        kinds = [(node.op_type, *(made.get(name, "") for name in node.input)) for node in graph.node]
    quantizers = sum(kind[0] in ("FakeQuantize", "QuantizeLinear") for kind in kinds)
    return Counter([kind for kind in kinds if kind[0] == "Greater"]) | Counter({("quantizers",): quantizers})


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_pooling_codes_are_compared_in_float32(runtime: RuntimeName, tmp_path: Path) -> None:
    """Quantized, each side of a comparison has a scale of its own, and most codes of a trained SegNet tip over."""
    pytest.importorskip("nncf")
    source = drawn("segnet-basic", (32, 40), 5)
    kind: Format = "openvino" if runtime == "openvino" else "onnx"
    plain, reduced = (tmp_path / f"{name}{SUFFIXES[kind]}" for name in ("plain", "int8"))
    save_as(exported_program(build(source), (32, 40), dynamic=False), kind, plain)
    quantize(runtime, plain, reduced, calibration_images(source.config, None))
    before, after = comparisons(runtime, plain), comparisons(runtime, reduced)
    assert after.pop(("quantizers",)) > before.pop(("quantizers",), 0)
    assert before.total() == 12 and after == before  # four poolings, three comparisons each


@pytest.mark.slow
def test_a_trained_model_in_all_runtimes(trained: Trained) -> None:
    pytest.importorskip("nncf")
    torch.set_num_threads(1)
    source = find(str(trained.weights), Path("none"), Path("none"))
    request = RuntimeRequest(
        source=source,
        runtimes=("torch", "onnxruntime", "openvino"),
        precisions=("bf16", "int8"),
        preset="quick",
        threads=1,
        data=trained.run.data["val"],
        train=trained.run.data["train"],
        why_no_data="",
    )
    found = {(one.runtime, one.precision): one for one in measure_runtimes(request, build(source))}
    base = found["torch", "fp32"]
    assert base.time is not None and base.miou.value is not None
    assert base.equal_labels.value == 1 and base.codes_changed.value == 0 and base.largest_difference.value == 0
    assert found["torch", "int8"].failure and found["onnxruntime", "bf16"].failure
    for key in (("onnxruntime", "int8"), ("openvino", "int8")):
        one = found[key]
        assert one.time is not None and one.baseline_ms.value == base.time.median_ms
        assert one.file_bytes.value < 0.5 * base.file_bytes.value  # type: ignore[operator]
        # after four iterations logits lie near each other, so that many labels change; more than by chance agree
        assert 1 / 11 < one.equal_labels.value < 1 and 0 < one.codes_changed.value < 0.2  # type: ignore[operator]
        assert one.miou.value is not None and one.peak_rss_bytes.value is not None
        assert bool(one.operators) == (key[0] == "onnxruntime")
    assert base.operators


# -- records and report --------------------------------------------------------------------------------------


def record(runtime: str, precision: str, ms: float | None, miou: float | None) -> RuntimeRecord:
    figure = Quantity(value=1.0) if ms else Quantity(reason="no")
    time = {"median_ms": ms, "p90_ms": ms, "p95_ms": Quantity(reason="few"), "p99_ms": Quantity(reason="few"),
            "iqr_ms": 0.0, "n": 1, "spread_percent": 0.0, "warmup_n": 1, "warmup_s": 0.0,
            "rounds": [{"n": 1, "median_ms": ms, "samples_ms": (ms,)}]}  # fmt: skip
    return RuntimeRecord.model_validate(
        {
            **{"name": "segnet-x", "architecture": "segnet", "run_id": "segnet-x", "dataset": "camvid"},
            **{"num_classes": 11, "size": (360, 480), "runtime": runtime, "precision": precision, "threads": 1},
            **{"preset": "cpu", "device_name": "CPU", "device_slug": "cpu-x", "session": "2026-01-01"},
            **{"failure": None if ms else "no", "time": TimeSummary.model_validate(time) if ms else None},
            **{"peak_rss_bytes": figure, "file_bytes": figure, "equal_labels": figure, "codes_changed": figure},
            **{"largest_difference": figure, "miou": Quantity(value=miou) if miou else Quantity(reason="no")},
            **{"baseline_ms": Quantity(value=100.0), "baseline_miou": Quantity(value=60.0)},
            **{"versions": {"torch": "2"}, "environment": {"git_commit": None}},
        }
    )


def test_ratios_and_missed_goals_by_hand(tmp_path: Path) -> None:
    records = [
        record("torch", "fp32", 100.0, 60.0),
        record("openvino", "bf16", 42.0, 59.9),
        record("torch", "bf16", 50.0, 59.7),
        record("openvino", "int8", 20.0, 58.5),
        record("torch", "int8", None, None),
    ]
    frame = runtimes_frame(records)
    assert frame["ratio"].tolist()[:4] == [1.0, 0.42, 0.5, 0.2]
    assert frame["miou_lost"].round(6).tolist()[:4] == [0.0, 0.1, 0.3, 1.5]
    assert frame["missed"].tolist() == ["", "", "time mIoU", "mIoU", ""]
    for one in records:
        RUNTIMES.save(tmp_path, one)
    assert {one.file_name for one in RUNTIMES.load(tmp_path)} == {one.file_name for one in records}
    (tmp_path / "runtimes" / "cpu-x" / "bad.json").write_text("{}")
    files = runtimes_files(tmp_path)
    assert len(files["runtimes.csv"].decode().splitlines()) == 6
    page = files["README.md"].decode()
    assert all(text in page for text in ("bad.json", " 0.42 ", " +1.50 "))
    assert not runtimes_files(tmp_path / "none")


def test_no_verdict_where_the_sessions_disagree(tmp_path: Path) -> None:
    """21 ms are 0.21 of 100 ms and 0.263 of another session's 80; 10 and 42 ms are below and above 0.25 of both."""
    other = {"baseline_ms": Quantity(value=80.0), "session": "2026-01-02"}
    files = {
        "openvino": record("openvino", "int8", 21.0, 59.9),
        "onnxruntime": record("onnxruntime", "int8", 10.0, 59.9),
        "torch": record("torch", "int8", 42.0, 58.0),
        "torch-compile": record("torch-compile", "bf16", 30.0, 60.0).model_copy(update=other),
    }
    lines = page_of(tmp_path, *files.values())
    missed = {
        line.split(" | ")[1].split()[0]: line.split(" | ")[-1].strip(" |") for line in lines if "net |" in line.lower()
    }
    assert {name: missed[name] for name in files} == {
        "openvino": "time ?",
        "onnxruntime": "",
        "torch": "time, mIoU",
        "torch-compile": "",
    }
    assert any("80.0 to 100.0 ms" in line for line in lines)


def page_of(tmp_path: Path, *records: RuntimeRecord) -> list[str]:
    for one in records:
        RUNTIMES.save(tmp_path, one)
    files = runtimes_files(tmp_path)
    assert len(files["runtimes.csv"].decode().splitlines()) == 1 + len(records)  # what was not measured is no record
    return files["README.md"].decode().splitlines()


def test_what_was_not_measured_is_a_row_and_rows_of_one_reason_are_one_line(tmp_path: Path) -> None:
    other = {"name": "fcn-y", "architecture": "fcn8s", "run_id": "fcn-y"}
    lines = page_of(
        tmp_path,
        record("torch", "fp32", 100.0, 60.0),
        record("torch-compile", "fp32", 90.0, 60.0),
        record("torch", "int8", None, None),
        record("torch", "fp32", 100.0, 60.0).model_copy(update=other),
        record("torch", "int8", None, None).model_copy(update=other),
    )
    table = [line.split(" | ")[:3] for line in lines if line.startswith("| FCN")]
    assert [row[1:] for row in table] == [
        ["torch-compile fp32", "n/a"], ["torch fp32", "100.0"], ["torch int8", "n/a"]
    ]  # fmt: skip
    name = table[0][0].removeprefix("| ")
    assert [line for line in lines if line.startswith("- n/a")] == [
        f"- n/a: torch-compile fp32 of {name}: not measured",
        "- n/a: torch int8 of all networks: no",
    ]


def test_spreads_stand_in_the_table_and_are_counted_once(tmp_path: Path) -> None:
    wide = record("torch", "fp32", 100.0, 60.0)
    assert wide.time is not None
    wide = wide.model_copy(
        update={
            "time": wide.time.model_copy(update={"spread_percent": 9.34}),
            "warnings": ("rounds spread by 9.3 % (limit 3 %)", "2 samples in a round, 10 wanted"),
        }
    )
    lines = page_of(tmp_path, wide, record("torch", "bf16", 50.0, 59.9))
    assert [line for line in lines if line.startswith("- doubtful")] == [
        "- doubtful: 1 of 2 latencies, whose rounds spread by more than 3 %.",
        "- doubtful: torch fp32, SegNet: 2 samples in a round, 10 wanted",
    ]
    assert any(line.startswith("| SegNet | torch fp32 | 100.0 | 9.3 |") for line in lines)


def test_where_the_time_goes_is_told_of_what_misses_the_goal(tmp_path: Path) -> None:
    operators = {"operators": {"Conv": 0.5, "Resize": 0.25}}
    slow, fast = (record("torch", name, ms, 60.0) for name, ms in (("bf16", 50.0), ("fp32", 100.0)))
    lines = page_of(tmp_path, slow.model_copy(update=operators), fast.model_copy(update=operators))
    told = [line for line in lines if line.startswith("- time")]
    assert told == ["- time, torch bf16 of SegNet, goes to: Conv 50%, Resize 25%"]


def test_reasons_are_a_sentence_without_sources_of_cpp(tmp_path: Path) -> None:
    failed = record("onnxruntime", "int8", None, None)
    said = (
        "RuntimeError: failed at /src/cpu/conv.cc:75 while running Conv node. Name:'n' Status Message: /src/cpu/conv.h"
    )
    lines = page_of(tmp_path, failed.model_copy(update={"failure": said}))
    assert "- n/a: onnxruntime int8 of SegNet: RuntimeError: failed at C++ code while running Conv node" in lines


def test_a_record_has_a_time_or_a_failure() -> None:
    with pytest.raises(ValueError, match="either a time or a failure"):
        RuntimeRecord.model_validate({**record("torch", "fp32", 1.0, 1.0).model_dump(), "failure": "no"})


def test_the_end_says_where_records_went_and_how_to_see_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("harness.cli.runtimes.measuring_on_this_machine", nullcontext)
    monkeypatch.setattr(
        "harness.profiling.runtimes.measure_runtimes", lambda *_: [record("torch", "fp32", 100.0, 60.0)]
    )
    where = {"threads": 1, "data_root": None, "work": tmp_path, "results": tmp_path / "my results"}
    shape = ((24, 32), 5)
    assert measure_in_runtimes(["pixel-mlp"], ["torch"], ["fp32"], shape=shape, preset="quick", **where) == 0  # type: ignore[arg-type]
    assert list((tmp_path / "my results" / "runtimes").rglob("*.json"))
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"records: {tmp_path / 'my results' / 'runtimes'}; then `python -m harness report "
        f"--results '{tmp_path / 'my results'}'` writes reports/runtimes/README.md"
    )


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [
        ("openvino", ["measure", "--runtime", "torch,openvino"]),
        ("nncf", ["measure", "--runtime", "onnxruntime", "--precision", "int8"]),
        ("openvino", ["export", "--format", "onnx", "--format", "openvino"]),
        ("onnxscript", ["export"]),
    ],
)
def test_a_missing_package_is_found_before_a_model_is(missing: str, arguments: list[str], tmp_path: Path) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; {MAIN}"
    done = forked(code, *arguments, "no-such-model", "--results", str(tmp_path))
    assert_one_line(done, f"{missing} is not installed", 'pip install -e ".[deploy]"')


def test_what_needs_no_further_package_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime", "openvino", "nncf"):
        monkeypatch.setitem(sys.modules, package, None)
    check_installed(["torch", "torch-compile", "torch-export", "fp32", "bf16"])


def test_bad_options_are_one_line(tmp_path: Path) -> None:
    where = ["--results", str(tmp_path), "--work", str(tmp_path)]
    assert_one_line(harness("measure", "segnet", "--runtime", "tensorrt", *where), "tensorrt", "onnxruntime")
    assert_one_line(harness("measure", "segnet", "--runtime", "torch", "--precision", "tf32", *where), "tf32", "int8")
    assert_one_line(harness("measure", "--runtime", "torch", *where), "name what to measure")
    assert_one_line(harness("measure", "segnot", "--runtime", "torch", *where), "segnot", "did you mean 'segnet'")
