"""A network of its own for a test that starts a Ray cluster: it disturbs nobody and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
# processes too: when the first one ends, the kernel ends all others
_UNSHARE = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
_LOOPBACK = ["sh", "-c", 'ip link set lo up && "$@"', "sh"]


def isolated(*arguments: str, cwd: Path, limit_s: float) -> "subprocess.CompletedProcess[str]":
    """Run Python with nothing but a loopback device; skips the test where that can't be had.

    Args:
        arguments: Python's own, a script or a module first.
        cwd: where.
        limit_s: after so long it is ended, and the test fails.
    """
    pytest.importorskip("ray", reason="needs the extra ray")
    prefix = _prefix()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    command = [*prefix, sys.executable, *arguments]
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            pytest.fail(f"not done after {limit_s:.0f} s:\n{said}")
    return subprocess.CompletedProcess(command, process.returncode, said, "")


def _prefix() -> list[str]:
    reason = "no such command"
    for extra in ([], ["--map-root-user"]):
        prefix = [*_UNSHARE, *extra, *_LOOPBACK]
        try:
            tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, timeout=30)
        except OSError:
            continue
        if tried.returncode == 0:
            return prefix
        reason = tried.stderr.strip()
    pytest.skip(f"needs a network namespace with a loopback device: {reason}")
