"""Which launcher is meant, and what is refused."""

import subprocess
import sys
from typing import Any

import pytest

from harness.launchers.base import launcher_named
from harness.launchers.local import LocalEngine
from harness.launchers.run import Outcome
from harness.system.errors import UserError


def test_local_is_an_engine_of_this_machine() -> None:
    with launcher_named("local", jobs=2) as launcher:
        assert isinstance(launcher, LocalEngine)
        assert launcher.pick_device("cpu") == "cpu"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "nowhere"}, "unknown launcher 'nowhere'; known: local, ray"),
        ({"name": "locale"}, "unknown launcher 'locale'; did you mean 'local'"),
        ({"name": "local", "ray_address": "here:6379"}, "--ray-address is of the launcher ray"),
        ({"name": "ray", "jobs": 2}, "--jobs is of the launcher local"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        launcher_named(**options)


def test_without_ray_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "harness.launchers.ray", raising=False)
    with pytest.raises(UserError) as refused:
        launcher_named("ray")
    assert "segnet-harness[ray]" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_commands_load_without_ray() -> None:
    code = "import sys, harness.cli.app, harness.cli.run, harness.launchers.nodes, harness.launchers.local\n"
    subprocess.run([sys.executable, "-c", f"{code}assert 'ray' not in sys.modules"], check=True)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 0),
        ({"failed": 1, "done": 3}, 1),
        ({"failed": 1, "time_limit_reached": True}, 75),
        ({"time_limit_reached": True, "stopped": True}, 130),
    ],
)
def test_exit_codes(fields: dict[str, Any], code: int) -> None:
    assert Outcome(**fields).exit_code == code


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999"])
def test_a_cluster_that_is_not_there_is_said_at_once(address: str) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    with pytest.raises(UserError) as refused, launcher_named("ray", ray_address=address):
        pass
    assert str(refused.value).startswith(f"--ray-address {address}: no Ray cluster answers there (")
    assert "\n" not in str(refused.value)
