"""The report on index storages, from made-up records whose figures can be checked by hand."""

from pathlib import Path

import pytest

from harness.records.pooling_indices import (
    INDICES,
    IndexRecord,
    Samples,
    StorageBytes,
)
from harness.report.indices import indices_files, targets, times_frame
from harness.report.write import write_reports
from harness.system.errors import UserError

MIB = 2**20
TIMES = {"int64": (100.0, 200.0, 400.0), "uint8": (102.0, 206.0, 400.0), "2bit": (120.0, 236.0, 480.0)}


def record(size: tuple[int, int] = (360, 480)) -> IndexRecord:
    sizes = {"int64": (3200, 30, 300), "uint8": (400, 30, 290), "2bit": (100, 20, 300)}
    return IndexRecord(
        architecture="segnet",
        architecture_revision=1,
        num_classes=11,
        size=size,
        precision="fp32",
        device="cpu",
        device_name="Made-up CPU",
        device_slug="cpu-made-up",
        threads=2,
        training_batch=4,
        measured_at="2026-01-01T00:00:00+00:00",
        wall_s=60.0,
        storages=tuple(
            StorageBytes(
                storage=name,
                index_bytes=indices,
                inference_live_peak_bytes=inference * MIB,
                training_live_peak_bytes=training * MIB,
            )
            for name, (indices, inference, training) in sizes.items()
        ),
        times=tuple(
            Samples(storage=name, phase="training step", layout="contiguous", batch=4, samples_ms=samples)
            for name, samples in TIMES.items()
        ),
        flags=("training step, contiguous: others used the machine",),
        environment={"torch": "2.15.0", "git_commit": "a" * 40, "git_dirty": False},
    )


def test_ratios_are_taken_within_a_round() -> None:
    frame = times_frame(record()).set_index("storage")
    assert list(frame["ratio"]) == pytest.approx([1.0, 1.02, 1.2])  # medians of 1.02 1.03 1; 1.2 1.18 1.2
    assert frame.loc["uint8", "ratio_low"] == pytest.approx(1.01)
    assert list(frame["median_ms"]) == [200.0, 206.0, 236.0]


def test_targets_are_judged_by_the_figures() -> None:
    found = targets(record()).set_index(["storage", "what"])
    assert found.loc[("uint8", "index bytes"), ["found", "limit", "met"]].tolist() == [0.125, 0.125, True]
    assert found.loc[("2bit", "index bytes"), ["found", "met"]].tolist() == [0.03125, True]
    assert found.loc[("uint8", "peak of a training step"), "met"]
    assert not found.loc[("2bit", "peak of a training step"), "met"]
    time = "time of training step, contiguous"
    assert found.loc[("uint8", time), ["found", "limit", "met"]].tolist() == pytest.approx([1.02, 1.03, True])
    assert not found.loc[("2bit", time), "met"]


def test_each_size_has_rows_and_its_warnings(tmp_path: Path) -> None:
    INDICES.save(tmp_path, record())
    INDICES.save(tmp_path, record((90, 120)))
    files = indices_files(tmp_path)
    page = files["README.md"].decode()
    assert "others used the machine" in page
    assert files["indices.csv"].decode().count("\n") == 1 + 2 * 3
    assert indices_files(tmp_path) == files


def test_it_is_written_with_all_reports_but_not_with_a_suite_s(tmp_path: Path) -> None:
    INDICES.save(tmp_path / "results", record())
    reports = tmp_path / "reports"
    assert write_reports(tmp_path / "results", reports, ["camvid"]) == []
    written = write_reports(tmp_path / "results", reports)
    assert {path.relative_to(reports).as_posix() for path in written} == {
        "indices/README.md",
        "indices/indices.csv",
        *("README.md", "measurements.csv", "results.csv"),
    }


def test_without_a_record_there_is_no_page(tmp_path: Path) -> None:
    assert indices_files(tmp_path) == {}


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    path = INDICES.folder(tmp_path) / "cpu-made-up" / "segnet.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(UserError, match=r"segnet\.json: not a comparison of index storages"):
        INDICES.load(tmp_path)
    (page,) = indices_files(tmp_path).values()
    assert "unreadable: indices/cpu-made-up/segnet.json: not a comparison of index storages" in page.decode()
    INDICES.save(tmp_path, record())
    files = indices_files(tmp_path)
    assert sorted(files) == ["README.md", "indices.csv"]
    assert "unreadable: indices/cpu-made-up/segnet.json" in files["README.md"].decode()
