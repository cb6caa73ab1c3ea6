"""The command line as a user meets it: processes, exit codes, one line for what can be mended."""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAIN = "from harness.__main__ import main; main()"


@cache
def fork_server() -> "subprocess.Popen[str]":
    """One for all tests of this process; it ends with this process's end of the pipe."""
    command = [sys.executable, "-m", "tests.harness.fork_server"]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg", "COLUMNS": "200"}
    server = subprocess.Popen(
        command, cwd=ROOT, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(server.kill)
    return server


def forked(code: str, *arguments: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """Python code in a process of its own, in which torch and the harness are imported already."""
    server = fork_server()
    assert server.stdin is not None and server.stdout is not None
    environment = {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        said = {name: Path(folder) / name for name in ("out", "err")}
        request = {"code": code, "argv": ["harness", *arguments], "cwd": str(cwd), "environment": environment}
        server.stdin.write(json.dumps({**request, **{name: str(path) for name, path in said.items()}}) + "\n")
        server.stdin.flush()
        answer = server.stdout.readline()
        assert answer, "the fork server has ended"
        out, err = (path.read_text("utf-8") for path in said.values())
    return subprocess.CompletedProcess(["harness", *arguments], int(answer), out, err)


def harness(*arguments: str, cwd: Path = ROOT, **variables: str) -> "subprocess.CompletedProcess[str]":
    """A command; with variables that are read where modules are imported, in a process that imports them."""
    if not variables:
        return forked(MAIN, *arguments, cwd=cwd)
    environment = {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


def assert_one_line(done: "subprocess.CompletedProcess[str]", *says: str) -> None:
    """It ended with code 2 and one line of error that holds these texts."""
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr + done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    for text in says:
        assert text in lines[0]


def tiny(*names: str, iterations: int = 3, report: bool = False) -> list[str]:
    """Arguments of a run, by default one of seconds, without reports, which take most of them."""
    shared = ["--size", "32x40", "--threads", "1", "--report" if report else "--no-report"]
    return ["run", *names, "--iterations", str(iterations), *shared]


def with_cache(folder: Path, cache: Path) -> Path:
    """The folder, with the drawn scenes in its work folder already."""
    link_cache(folder / "work", cache)
    return folder


def link_cache(work: Path, cache: Path) -> Path:
    """A work folder, made if it is not there, with the drawn scenes in it already."""
    cache.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "cache").exists():
        (work / "cache").symlink_to(cache)
    return work
