"""Protocols and suites written by hand, with unknown, mistyped or senseless values; odd options."""

import shutil
from pathlib import Path

import pytest

from harness.config import protocol
from harness.config.planning import plan
from harness.config.protocol import load_protocol
from harness.config.request import RunRequest
from harness.system.errors import UserError
from tests.faults.processes import NETWORK
from tests.harness.commands import ROOT, assert_one_line, harness

GOOD = """
summary = "x"
source = "y"
dataset = "roads"
lr = 0.1
momentum = 0.9
weight_decay = 0.0
batch_size = 2
iterations = 4
eval_interval = 4
report_at = { "end" = 4 }
quick = true
"""
SUITE = 'title = "x"\ndataset = "roads"\nprotocol = "quick@2"\narchitectures = ["segnet"]\n'


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder of protocols and suites, to which a user has added files."""
    folder = shutil.copytree(ROOT / "harness" / "config", tmp_path / "config")
    monkeypatch.setattr(protocol, "files", lambda package: folder)
    return folder


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (GOOD.replace("batch_size = 2", "bacth_size = 2"), ["bacth_size: Extra inputs", "did you mean 'batch_size'"]),
        (GOOD + "learning_rate = 1.0\n", ["learning_rate: Extra inputs are not permitted"]),
        (GOOD.replace("batch_size = 2", 'batch_size = "five"'), ["batch_size: ", "'five'"]),
        (GOOD.replace("batch_size = 2", "batch_size = 0"), ["batch_size: ", "greater than or equal to 1"]),
        (GOOD.replace("lr = 0.1", "lr = inf"), ["lr: ", "finite"]),
        (GOOD.replace("lr = 0.1", "lr = [1]"), ["lr: "]),
        (GOOD + 'size = "big"\n', ["size: ", "height x width"]),
        (GOOD + "size = [1, 2, 3]\n", ["size"]),
        (GOOD.replace('{ "end" = 4 }', "4"), ["report_at: "]),
        (GOOD.replace('{ "end" = 4 }', '{ "end" = 5 }'), ["report_at", "from 1 to 4"]),
        (GOOD + 'name = "camvid@2"\n', ["name: ", "remove the line"]),
        (GOOD + "lr = 0.2\n", ["no TOML file", "line"]),
        ("batch_size = \n", ["no TOML file", "line 1"]),
        ("x = " + "[" * 100_000, ["no TOML file"]),
        ("x = " + "9" * 10_000, ["no TOML file"]),
        ("\x00", ["no TOML file"]),
        ("", ["summary: Field required"]),
    ],
)
def test_a_protocol_that_does_not_fit_is_one_line(config: Path, content: str, says: list[str]) -> None:
    (config / "protocols" / "mine@1.toml").write_text(content, "utf-8")
    with pytest.raises(UserError) as refused:
        load_protocol("mine@1")
    line = str(refused.value)
    assert "\n" not in line and all(text in line for text in ["protocol mine@1: ", *says]), line


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (SUITE.replace("architectures", "architecture"), ["did you mean 'architectures'"]),
        (SUITE.replace('["segnet"]', "[]"), ["architectures: "]),
        (SUITE.replace('["segnet"]', '"segnet"'), ["architectures: "]),
        (SUITE + 'table = "table9"\n', ["table: "]),
        (SUITE + 'class_weightings = ["mode"]\n', ["class_weightings"]),
        (SUITE + "seeds = 5\n", ["seeds: Extra inputs are not permitted"]),
        ("title", ["no TOML file"]),
        (SUITE.replace("roads", "kitti"), ["kitti"]),
        (SUITE.replace("quick@2", "quick@9"), ["unknown protocol 'quick@9'"]),
        (SUITE.replace('"segnet"', '"segnett"'), ["did you mean 'segnet'"]),
    ],
)
def test_a_suite_that_does_not_fit_is_one_line(config: Path, content: str, says: list[str]) -> None:
    (config / "suites" / "mine.toml").write_text(content, "utf-8")
    with pytest.raises((UserError, ValueError)) as refused:
        plan(RunRequest(suite="mine"))
    line = str(refused.value)
    assert "\n" not in line and all(text in line for text in says), line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seeds", "²"], ["seeds '²'"]),
        (["--seeds", "9" * 30], ["seeds"]),
        (["--size", "²x³"], ["height x width"]),
        (["--size", "9" * 5000 + "x1"], ["height x width"]),
        (["--iterations", "9" * 500], ["iterations", "at most"]),
        (["--override", "batch_size=" + "9" * 5000], ["batch_size"]),
        (["--override", "lr=\n"], ["lr"]),
        (["--budget", "soon"], ["budget 'soon'"]),
        (["--heartbeat-timeout", "-1s"], ["heartbeat-timeout '-1s'"]),
    ],
)
def test_odd_options_are_one_line(tmp_path: Path, arguments: list[str], says: list[str]) -> None:
    done = harness("run", NETWORK, *arguments, "--dry-run", cwd=tmp_path)
    assert_one_line(done, *says)


def test_a_name_that_would_break_the_line_is_escaped(tmp_path: Path) -> None:
    done = harness("report", "--results", "no\nwhere", cwd=tmp_path)
    assert_one_line(done, r"no records in no\nwhere")
