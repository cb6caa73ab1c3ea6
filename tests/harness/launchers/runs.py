"""What tests of launchers share: small runs, and whether two of them came to the same."""

from pathlib import Path
from typing import Any

from harness.config.protocol import Protocol
from harness.config.request import RunRequest
from harness.config.worker_job import WorkerJob
from harness.records.run import load_run, runs_folder
from tests.harness.helpers import spec, tiny_protocol

NOT_COMPARED = {"timing", "environment", "device"}


def long_protocol() -> Protocol:
    """One that a test stops before its end, and that makes no checkpoint before it is stopped."""
    return tiny_protocol(iterations="100000", eval_interval="100000")


def request(folder: Path, **changes: Any) -> RunRequest:
    """A request in a folder; any field can be changed."""
    places = {name: folder / name for name in ("results", "reports", "work")}
    for name in ("results", "work"):
        places[name].mkdir(parents=True, exist_ok=True)
    return RunRequest.model_validate({**places, "device": "cpu", "threads": 1, **changes})


def job(folder: Path, more: dict[str, Any] | None = None, **changes: Any) -> WorkerJob:
    """A job in a folder; fields of its request and of its spec can be changed."""
    return WorkerJob(spec=spec(**changes), request=request(folder, **(more or {})))


def outcomes(results: Path) -> dict[str, Any]:
    """Of each run by its id: the record without times and machine, and the bytes of all beside it."""
    found = {}
    for folder in sorted(runs_folder(results).iterdir()):
        record = load_run(folder).record
        own = {"record.json", "SHA256SUMS"}  # the sums are of the record too, which holds times
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in own}
        found[folder.name] = (record.model_dump(mode="json", exclude=NOT_COMPARED), files)
    return found
