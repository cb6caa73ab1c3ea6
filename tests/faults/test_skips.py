"""A fault test that is skipped fails where `.ci/run` says so, and elsewhere prints its reason."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.commands import ROOT

TEST = """
import pytest

def test_needs_what_is_not_there():
    pytest.skip("needs a moon")
"""


@pytest.mark.parametrize(("folder", "strict", "code"), [("faults", "1", 1), ("faults", "", 0), ("other", "1", 0)])
def test_skips(tmp_path: Path, folder: str, strict: str, code: int) -> None:
    (tmp_path / "tests" / folder).mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    (tmp_path / "tests" / folder / "test_it.py").write_text(TEST, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-rsf", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "SEGNET_NO_SKIPPED_FAULTS": strict},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout
    assert "needs a moon" in done.stdout


def test_ci_says_so() -> None:
    assert "SEGNET_NO_SKIPPED_FAULTS" in (ROOT / ".ci" / "run").read_text("utf-8")
