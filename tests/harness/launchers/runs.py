"""What tests of launchers share: small runs, and whether two of them came to the same."""

from pathlib import Path
from typing import Any

from harness.config.protocol import Protocol
from harness.config.worker_job import WorkerJob
from harness.launchers.run import RunContext
from harness.records.run import load_run, runs_folder
from harness.system.environment import Device
from tests.harness.helpers import spec, tiny_protocol

NOT_COMPARED = {"timing", "environment", "device"}


def long_protocol() -> Protocol:
    """One that a test stops before its end, and that makes no checkpoint before it is stopped."""
    return tiny_protocol(iterations="100000", eval_interval="100000")


def context(folder: Path, **changes: Any) -> RunContext:
    """RunContext in a folder; any field can be changed."""
    device: Device = "cpu"
    values: dict[str, Any] = {
        "results": folder / "results",
        "reports": folder / "reports",
        "work": folder / "work",
        "data_root": None,
        "weights": {},
        "device": device,
        "threads": 1,
        **changes,
    }
    for name in ("results", "work"):
        values[name].mkdir(parents=True, exist_ok=True)
    return RunContext(**values)


def job(folder: Path, **changes: Any) -> WorkerJob:
    """A job in a folder; fields of its spec can be changed."""
    here = context(folder)
    return WorkerJob(
        spec=spec(**changes),
        device="cpu",
        threads=1,
        results=here.results,
        work=here.work,
        data_root=None,
        weights=None,
    )


def outcomes(results: Path) -> dict[str, Any]:
    """Of each run by its id: the record without times and machine, and the bytes of all beside it."""
    found = {}
    for folder in sorted(runs_folder(results).iterdir()):
        record = load_run(folder).record
        own = {"record.json", "SHA256SUMS"}  # the sums are of the record too, which holds times
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in own}
        found[folder.name] = (record.model_dump(mode="json", exclude=NOT_COMPARED), files)
    return found
