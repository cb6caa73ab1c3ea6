"""Commands as a user types them, each in a process of its own with the default environment."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.config.suite import suite_names
from tests.benchmarks.sides import Job, JobTable, Settings, timed


def run(*words: str) -> None:
    """`python -m harness WORDS`, its output dropped; CalledProcessError if it fails."""
    command = [sys.executable, "-m", "harness", *words]
    # a report is made from the records alone: no panels from a dataset that happens to be there
    environment = {name: value for name, value in os.environ.items() if name != "SEGNET_DATA_ROOT"}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def help_page(settings: Settings) -> Job:
    """`python -m harness --help`."""
    return timed(lambda: run("--help"))


def report(settings: Settings) -> Job:
    """The report of the suite from the given records, into a folder of its own.

    Raises:
        ValueError: the records make no report of that suite.
    """
    if settings.suite not in suite_names():
        raise ValueError(f"suite {settings.suite!r}: known are {', '.join(suite_names())}")

    def write() -> None:
        with tempfile.TemporaryDirectory(prefix="segnet-harness-") as folder:
            words = ["--suite", settings.suite, "--results", str(settings.results), "--reports", folder]
            run("report", *words)
            if not (Path(folder) / settings.suite / "README.md").is_file():
                raise ValueError(f"no records of suite {settings.suite} in {settings.results}")

    return timed(write)


JOBS: JobTable = {"help": help_page, "report": report}
