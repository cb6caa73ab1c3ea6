"""One odd record, of whatever kind, is a listed reason: frames, reports and site are made of the others."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.config.protocol import load_protocol
from harness.config.run_spec import RunSpec
from harness.config.suite import suite_names
from harness.records.run import Failure, RunRecord, runs_folder
from harness.report.compare import compare
from harness.report.frames import load_class_scores, load_curves, load_image_scores, load_measurements, load_results
from harness.report.site.build import write_site
from harness.report.write import write_reports
from tests.harness.report.made_up import PART, WHOLE, Store, blocks

QUICK = load_protocol("quick@2")
NETWORK = "deeplab-largefov"  # of the odd run


def finished(store: Store, architecture: str, seed: int, matrices: np.ndarray[Any, Any] = PART, **how: Any) -> Path:
    spec = store.spec(architecture, protocol=QUICK, seed=seed)
    return store.run(spec, {"end": matrices}, image_ids={"test_000": blocks((360, 480), 0)}, **how)


def in_file(name: str, change: Callable[[Any], object]) -> Callable[[Store, int], Path]:
    """A finished run, one of whose files says something else; without checksums, as earlier records are."""

    def make(store: Store, seed: int) -> Path:
        folder = finished(store, NETWORK, seed)
        values = json.loads((folder / name).read_text("utf-8"))
        values = change(values) or values
        (folder / name).write_text(values if isinstance(values, str) else json.dumps(values), "utf-8")
        (folder / "SHA256SUMS").unlink()
        return folder

    return make


def in_record(**changes: Any) -> Callable[[Store, int], Path]:
    return in_file("record.json", lambda values: values.update(changes))


def in_history(**changes: Any) -> Callable[[Store, int], Path]:
    return in_file("history.json", lambda values: values.update(changes))


def in_spec(protocol: dict[str, Any] | None = None, **changes: Any) -> Callable[[Store, int], Path]:
    """A finished run of a spec that nobody has, under its own id."""

    def make(store: Store, seed: int) -> Path:
        folder = finished(store, NETWORK, seed)
        values = json.loads((folder / "record.json").read_text("utf-8"))
        recipe = {**values["spec"]["protocol"], **(protocol or {})}
        spec = RunSpec.model_validate({**values["spec"], **changes, "protocol": recipe})
        values |= {"run_id": spec.run_id, "spec": spec.model_dump(mode="json")}
        (folder / "record.json").write_text(json.dumps(values), "utf-8")
        (folder / "SHA256SUMS").unlink()
        return folder.rename(folder.with_name(spec.run_id))

    return make


def odd_folder(name: str, *, file: bool = False) -> Callable[[Store, int], Path]:
    def make(store: Store, seed: int) -> Path:
        folder = runs_folder(store.results) / name
        folder.write_bytes(b"") if file else folder.mkdir()
        return folder

    return make


def failed(message: str) -> Callable[[Store, int], Path]:
    return lambda store, seed: store.failed(
        store.spec(NETWORK, protocol=QUICK, seed=seed), Failure(kind="error", message=message)
    )


VOID = [{"iteration": 1, "matrix": [[0] * 11] * 11}]
# What is left out as a whole or in part, with a word of the reason.
LISTED: dict[str, tuple[Callable[[Store, int], Path], str]] = {
    "all of test void": (lambda store, seed: finished(store, NETWORK, seed, np.zeros_like(PART)), "no labeled pixel"),
    "void validation": (in_history(validation=VOID), "no labeled pixel"),
    "negative counts": (in_history(validation=[{"iteration": 1, "matrix": [[-1] * 11] * 11}]), "validation.0.matrix"),
    "counts beyond numbers": (in_history(validation=[{"iteration": 1, "matrix": [[10**30] * 11] * 11}]), "matrix"),
    "loss of NaN": (in_history(loss=[float("nan")] * 200), "finite number"),
    "infinite loss": (in_history(loss=[float("inf")] * 200), "finite number"),
    "another version": (in_record(schema_version=2), "schema_version"),
    "unknown field": (in_record(colour=1), "colour"),
    "no object": (in_file("record.json", lambda _: "[]"), "not a record"),
    "nested without end": (in_file("record.json", lambda _: "[" * 100_000), "recursion limit"),
    "half a sign": (in_file("record.json", lambda values: json.dumps({**values, "device": "\ud800"})), "JSON"),
    "time of NaN": (in_file("record.json", lambda values: values["timing"].update(train_s=float("nan"))), "train_s"),
    "parameters below 0": (in_record(parameters=-5), "parameters"),
    "picture elsewhere": (in_record(image_ids=["../../../etc/passwd"]), "part of a file's name"),
    "environment of no text": (in_record(environment={"torch": {"a": [1]}}), "torch is"),
    "fewer classes": (in_spec(num_classes=2), "roads has 11"),
    "more classes": (in_spec(num_classes=12), "roads has 11"),
    "another number of images": (lambda store, seed: finished(store, NETWORK, seed, PART[:1]), "20 in most runs"),
    "no record": (odd_folder("empty"), "No such file"),
    "name of no signs": (odd_folder("a\udcff"), "\\udcff"),
    "name as long as can be": (odd_folder("x" * 255), "x" * 255),
}
# What can be shown, however odd.
SHOWN: dict[str, Callable[[Store, int], Path]] = {
    "no history": in_history(iteration=[], loss=[], lr=[], validation=[]),
    "no evaluation": in_record(evaluations=[]),
    "only val": in_file(
        "record.json",
        lambda values: values.update(evaluations=[one for one in values["evaluations"] if one["split"] == "val"]),
    ),
    "no environment": in_record(environment={}),
    "device like markup": in_record(device="[/red] <b>|x|\n\u202e"),
    "BF of NaN": lambda store, seed: finished(store, NETWORK, seed, bf=float("nan")),
    "unknown network": in_spec(architecture="[/b]<i>|x\n"),
    "title of another": in_spec(architecture="SegNet"),
    "a plugin of the same name": in_spec(architecture="segnet", architecture_source="f" * 64),
    "long name": in_spec(architecture="x" * 200),
    "unknown protocol": in_spec(protocol={"name": "../|[x]\n@7"}),
    "row like a path": in_spec(protocol={"report_at": {"end": QUICK.iterations, "../|[x]\n": QUICK.iterations}}),
    "unknown dataset": in_spec(dataset="mars"),
    "failure like markup": failed("[/x] <b>|\n{{ x }} {% raw %}\x00\x1b[31m" + "x" * 10_000),
    "file among folders": odd_folder("file", file=True),
    "link to itself": lambda store, seed: _looped(runs_folder(store.results) / "loop"),
}
LOADS = (load_results, load_class_scores, load_image_scores, load_curves, load_measurements)


def _looped(path: Path) -> Path:
    path.symlink_to(path.name)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two sound runs."""
    store = Store(results=tmp_path / "results")
    finished(store, "segnet", 0)
    finished(store, "fcn8s", 0, WHOLE)
    return store


@pytest.mark.parametrize("kind", [*LISTED, *SHOWN])
def test_no_frame_is_stopped(store: Store, kind: str) -> None:
    make, says = LISTED[kind] if kind in LISTED else (SHOWN[kind], "")
    name = make(store, 1).name.encode("unicode_escape").decode()
    for load in LOADS:
        frame = load(store.results)
        if load is load_measurements:
            continue
        assert {"segnet", "fcn8s"} <= set(frame["network"])
        lines = [line for line in frame.attrs["unreadable"] if name in line]
        assert bool(lines) == (kind in LISTED) and all(line.isprintable() for line in lines)
        assert not lines or any(says in line for line in lines), lines


@pytest.mark.slow
def test_no_report_is_stopped(store: Store, tmp_path: Path) -> None:
    """By all of them together; each network of a sound run is in the report, each reason too."""
    kinds = {**{kind: make for kind, (make, _) in LISTED.items()}, **SHOWN}
    for seed, make in enumerate(kinds.values(), start=1):
        make(store, seed)
    write_reports(store.results, tmp_path / "reports")
    page = (tmp_path / "reports" / "quick" / "README.md").read_text("utf-8")
    assert all(says.partition(" ")[0] in page for _, says in LISTED.values())
    assert (write_site(store.results, tmp_path / "site")).exists()
    assert len(compare(store.results, "segnet", "fcn8s", suite_names()))


def test_a_schema_names_the_field_and_no_address(store: Store) -> None:
    folder = in_record(schema_version=2)(store, 1)
    (line,) = load_results(store.results).attrs["unreadable"]
    assert line.startswith(f"runs/{folder.name}/record.json: ") and "http" not in line
    assert RunRecord.model_fields["schema_version"].default == 1
