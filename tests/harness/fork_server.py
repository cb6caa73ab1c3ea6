"""Imports what commands need, then forks a process for each that is asked for: importing torch takes seconds.

A request is a line of JSON on standard input; the answer on standard output is the exit code. What was asked for
becomes the main program of its process, with the environment, folder and files that it would have been given.
"""

import gc
import importlib
import json
import os
import sys
import tempfile
import threading
import traceback
from typing import Any, NoReturn

from harness.system.surroundings import leave

PRELOADED = (
    "architectures.external.wrapper",
    "harness.cli.app",
    "harness.cli.contract",
    "harness.deploy.export",
    "harness.deploy.pictures",
    "harness.launchers.local",
    "harness.report.runtimes",
    "harness.training.trainer",
    "h5py",
    "scipy.io",
    "segmentation_models_pytorch",
)


def become(request: dict[str, Any]) -> None:
    """Turn this process into the one that was asked for."""
    for descriptor, path in enumerate((os.devnull, request["out"], request["err"])):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    tempfile.tempdir = None  # asks the environment anew
    sys.path[:1] = ["", *request["environment"].get("PYTHONPATH", "").split(os.pathsep)]
    sys.argv = request["argv"]


def serve() -> str:
    """Answer requests; in a process that was forked for one, the code that it asks for."""
    answers = os.dup(1)
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()  # what is there already need not be looked at, and copied, by each process
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.close(answers)
            become(request)
            return str(request["code"])
        _, status = os.waitpid(pid, 0)
        os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    return ""


def carry_out(code: str) -> NoReturn:
    """Run the code, do what an interpreter does last, and leave without taking all modules apart."""
    status: object = 0
    try:
        exec(compile(code, "<command>", "exec"), {"__name__": "__main__"})
    except SystemExit as ending:
        status = ending.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    if not isinstance(status, int):
        print(status, file=sys.stderr)
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    leave(status)


if __name__ == "__main__":
    if code := serve():
        carry_out(code)
