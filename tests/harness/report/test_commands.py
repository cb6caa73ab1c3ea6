"""The command lines on pages, read by the real command line: they ask for what the records are of."""

import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

import architectures.external.plugins
import datasets.plugins
from harness.cli import run as run_command
from harness.cli.app import app
from harness.config.planning import plan
from harness.config.request import RunRequest
from harness.config.run_spec import RunSpec
from harness.config.suite import load_suite
from harness.launchers import steps
from harness.records.measurement import save_measurement
from harness.records.run import Failure
from harness.report.collect import collect, suites_of
from harness.report.commands import commands, measure_command
from harness.report.store import read_store
from tests.harness.report.made_up import Store
from tests.harness.report.made_up_measurements import measured

PLUGINS = """
import numpy as np
import architectures
import datasets
from torch import nn

@datasets.declare(classes=("dark", "bright"))
def halves(split, root):
    label = np.repeat([[0, 1]], 8, axis=0).repeat(8, axis=1).astype(np.uint8)
    return [(np.stack([label * 200] * 3, axis=2), label)] * 3

def tiny(num_classes):
    return nn.Conv2d(3, num_classes, 1)
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module with a dataset and a network."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for plugins in (architectures.external.plugins, datasets.plugins):
        monkeypatch.setenv(plugins.VARIABLE, "")
    (tmp_path / "plugins_of_commands.py").write_text(PLUGINS)
    yield "plugins_of_commands"
    sys.modules.pop("plugins_of_commands", None)


def asked(command: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the command line makes of a command, before anything is done."""
    found: list[Any] = []
    monkeypatch.setattr(run_command, "_run", lambda request: found.append(request) or 0)
    result = SimpleNamespace(exit_code=0)
    monkeypatch.setattr(steps, "measure_all", lambda requests, *_, **__: found.append(requests) or result)
    done = CliRunner().invoke(app, shlex.split(command)[3:])
    assert done.exit_code == 0, (command, done.output, done.exception)
    return found[0]


def planned(request: RunRequest) -> list[RunSpec]:
    suite, root = run_command.suite_on(request.suite, request.dataset, request.data_root, run_command.terminal())
    return list(plan(request.model_copy(update={"data_root": root}), suite).specs)


def test_runs_on_plugins_are_asked_for_again(mine: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["run", "tiny", "segnet", "--dataset", "halves", "--plugin", f"{mine}:halves", "--plugin", f"{mine}:tiny"]
    specs = planned(asked(shlex.join(["python", "-m", "harness", *given, "--iterations", "7"]), monkeypatch))
    for spec in specs:
        store.failed(spec, Failure(kind="killed", message="ended by SIGTERM"))
    [(_, suite)] = suites_of(read_store(store.results), ["own"])
    [group] = collect(store.results, suite).groups
    [command] = commands(group, suite)
    again = planned(asked(command.replace("MODULE:FUNCTION", f"{mine}:tiny"), monkeypatch))
    assert {spec.run_id for spec in again} == {spec.run_id for spec in specs}


@pytest.mark.parametrize("options", [("adamw",), ("folded", "adamw"), ("channels-last", "folded"), ()])
def test_measurements_are_asked_for_again(
    options: tuple[str, ...], mine: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_measurement(store.results, measured("segnet", options=options))
    [group] = collect(store.results, load_suite("camvid")).measurements.groups
    [request] = asked(measure_command(group), monkeypatch)
    assert request.spec == group.first.spec
    one = group.first
    foreign = one.model_copy(
        update={"spec": one.spec.model_copy(update={"architecture": "tiny", "architecture_source": "ab"})}
    )
    command = measure_command(replace(group, records=(foreign,))).replace("MODULE:FUNCTION", f"{mine}:tiny")
    [request] = asked(command, monkeypatch)
    assert (request.spec.architecture, request.spec.options) == ("tiny", options)
