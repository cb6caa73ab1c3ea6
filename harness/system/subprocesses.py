"""The environment of the harness's own child processes."""

import os
from pathlib import Path


def child_environment() -> dict[str, str]:
    """This process's environment, in which a child finds these packages first wherever it is started."""
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
