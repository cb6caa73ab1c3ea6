"""Bringing results folders of several machines together.

A run is the same twice if both records are of one id and every score of every image is equal; then the one
that is there stays, since only times differ. A finished run takes the place of a failed one. Measurements are
of a device: those of one device come together in one record. One that both have must be equal, or else the
later revision of measuring stays. What conflicts is left as it is, and named.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.records.measurement import (
    Measurement,
    MeasurementRecord,
    joined,
    load_measurements,
    measurements_folder,
    read_record,
    save_measurement,
)
from harness.records.run import StoredRun, load_run, load_runs, runs_folder, save_run
from harness.system.errors import UserError
from harness.system.files import write_atomically
from harness.system.locks import run_lock

# Folders of records that are copied as they are.
OTHERS = ("indices", "performance", "runtimes")


@dataclass(frozen=True, kw_only=True)
class Merged:
    """What became of the records: numbers, and a line on each that was refused."""

    added: int
    same: int
    refused: list[str]


def merge(target: Path, sources: list[Path]) -> Merged:
    """Bring the records of other results folders, which stay as they are, into one, which is made if need be.

    Raises:
        UserError: a source that is no results folder, or a target that can't be written.
    """
    for source in sources:
        if not any((source / name).is_dir() for name in ("runs", "measurements", *OTHERS)):
            raise UserError(f"{source}: no results folder: it has neither runs nor measurements")
        if source.resolve() == target.resolve():
            raise UserError(f"{source}: is the folder to merge into; name the others")
    outcomes = [outcome for source in sources for outcome in _outcomes(source, target)]
    refused = [outcome for outcome in outcomes if outcome not in ("added", "same")]
    return Merged(added=outcomes.count("added"), same=outcomes.count("same"), refused=refused)


def _outcomes(source: Path, target: Path) -> Iterator[str]:
    """What became of each record: "added", "same", or the reason why it was refused."""
    runs, unreadable = load_runs(source)
    yield from unreadable
    for run in runs:
        run_id = run.record.run_id
        with run_lock(target, run_id) as own:
            try:
                yield _merge_run(run, target) if own else f"{run_id}: another process works on it here"
            except ValueError as error:
                yield str(error)
    measurements, damaged = load_measurements(source)
    yield from damaged
    for record in measurements:
        yield _merge_measurement(record, source, target)
    for folder in OTHERS:
        for path in sorted((source / folder).rglob("*.json")):
            yield _merge_file(path, target / path.relative_to(source))


def _merge_run(run: StoredRun, target: Path) -> str:
    """What became of it. ValueError: the run is damaged."""
    run.check()
    folder = runs_folder(target) / run.record.run_id
    if folder.exists():
        try:
            present = load_run(folder)
            present.check()
        except ValueError:
            present = None  # damaged: the other one takes its place
        if present is None and run.record.status == "failed":
            return f"{run.record.run_id}: the one that is there is damaged, and this one failed ({run.folder})"
        if present is not None and present.record.status == "finished":
            return _compared(run, present)
        if present is not None and run.record.status == "failed":
            return "same"
    found = (path for path in run.folder.iterdir() if path.is_file() and path.name != "record.json")
    files = {path.name: path.read_bytes() for path in found}
    save_run(target, run.record, files)
    return "added"


def _compared(run: StoredRun, present: StoredRun) -> str:
    if run.record.status == "failed":
        return "same"  # finished here: a failure elsewhere adds nothing
    name = run.record.run_id
    if run.record.evaluations != present.record.evaluations:
        return f"{name}: conflicts with the one that is there: scored at other iterations ({run.folder})"
    for evaluation in run.record.evaluations:
        one, other = run.counts(evaluation), present.counts(evaluation)
        equal = one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
        if evaluation.boundary:
            equal = equal and np.array_equal(run.boundary(evaluation), present.boundary(evaluation), equal_nan=True)
        if not equal:
            return f"{name}: conflicts with the one that is there: other scores ({run.folder})"
    return "same"


def _merge_measurement(record: MeasurementRecord, source: Path, target: Path) -> str:
    path = measurements_folder(target) / record.file_name
    name = path.relative_to(target)
    if not path.exists():
        save_measurement(target, record)
        return "added"
    try:
        present = read_record(path)
    except UserError as error:
        return str(error)
    if present == record:
        return "same"
    if record.spec.device == "cuda":  # the host's threads measure nothing there
        record = record.model_copy(update={"spec": record.spec.model_copy(update={"threads": present.spec.threads})})
    if present.spec != record.spec:
        return f"{name}: conflicts with the one that is there: they are not of one spec ({source})"
    new, twice = [], []
    for cell in record.cells:
        other = present.cell(cell.key.phase, cell.key.batch_size)
        if other is None or _rank(cell) > _rank(other):
            new.append(cell)
        elif cell.failure or _rank(cell) < _rank(other):
            continue  # a failure twice is no conflict
        elif other.model_copy(update={"environment": cell.environment}) != cell:
            twice.append(str(cell.key))
    if new:
        save_measurement(target, joined(present, record.model_copy(update={"cells": tuple(new)})))
    if twice:
        return f"{name}: conflicts with the one that is there: {', '.join(twice)} was measured twice ({source})"
    return "added" if new else "same"


def _rank(cell: Measurement) -> tuple[bool, int]:
    """Of two of one measurement the higher stays: figures before a failure, then the later revision."""
    return cell.failure is None, cell.method


def _merge_file(path: Path, target: Path) -> str:
    data = path.read_bytes()
    if target.exists():
        return "same" if target.read_bytes() == data else f"{path}: conflicts with {target}"
    write_atomically(target, data)
    return "added"
