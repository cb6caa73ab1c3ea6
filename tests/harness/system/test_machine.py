import getpass
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from harness.system import environment as machine
from harness.system.environment import available_cores, cpu_model, device_name, device_slug, environment
from harness.system.supervisor import child_environment

Naming = Callable[..., None]
NUMBERS = "processor\t: 0\ncpu family\t: 26\nmodel\t\t: 2\n"


@pytest.fixture
def cpu_named(monkeypatch: pytest.MonkeyPatch) -> Iterator[Naming]:
    """Gives this machine's processor another name."""

    def name(text: str, before: str = "") -> None:
        cpu_model.cache_clear()
        monkeypatch.setattr(
            machine, "_read", lambda path: f"{before}model name\t: {text}\n" if "cpuinfo" in path else ""
        )

    yield name
    cpu_model.cache_clear()


@pytest.mark.parametrize(
    ("name", "before", "expected"),
    [
        ("AMD EPYC", "", "AMD EPYC"),
        ("AMD EPYC 7763 64-Core Processor", "", "AMD EPYC 7763"),
        ("Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz", "", "Intel Xeon E5-2686 v4"),
        ("Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz", "", "Intel Core i7-9750H"),
        ("AMD EPYC", NUMBERS, "AMD EPYC family 26 model 2"),  # a name that several processors share
        ("AMD EPYC 9655", NUMBERS, "AMD EPYC 9655"),
    ],
)
def test_the_processors_name_without_marks(cpu_named: Naming, name: str, before: str, expected: str) -> None:
    cpu_named(name, before)
    assert cpu_model() == expected


def test_slugs(cpu_named: Naming, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_named("AMD EPYC 7763 64-Core Processor")
    monkeypatch.setattr(machine, "available_cores", lambda: 2)
    assert device_slug("cpu") == "cpu-amd-epyc-7763-2c"
    assert device_name("cpu") == "AMD EPYC 7763 (2 cores)"
    monkeypatch.setattr(machine, "device_name", lambda device: "NVIDIA H200")
    assert device_slug("cuda") == "cuda-nvidia-h200"


def test_the_slug_of_this_machine_is_a_plain_folder_name() -> None:
    assert re.fullmatch(r"cpu-[a-z0-9-]+-\d+c", device_slug("cpu"))


@pytest.mark.parametrize(
    ("quota", "allowed", "expected"),
    [("max 100000", 8, 8), ("200000 100000", 8, 2), ("50000 100000", 8, 1), ("1600000 100000", 8, 8), ("", 8, 8)],
)
def test_cores_by_affinity_and_share(monkeypatch: pytest.MonkeyPatch, quota: str, allowed: int, expected: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(allowed)), raising=False)
    monkeypatch.setattr(machine, "_read", lambda path: quota if path.endswith("cpu.max") else "")
    assert available_cores() == expected


def test_the_manifest_names_versions_and_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("CUDA_MODULE_LOADING", "LAZY")
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    found = environment()
    assert found["torch"] == torch.__version__
    assert found["torch_threads"] == torch.get_num_threads()
    assert found["variables"]["CUDA_MODULE_LOADING"] == "LAZY"
    assert found["cpu_cores"] >= 1
    assert found["ram_bytes"] > 2**28
    assert isinstance(found["container"], bool) and isinstance(found["wsl"], bool)
    assert "hush" not in json.dumps(found)


def test_the_manifest_says_nothing_of_host_user_and_folders() -> None:
    text = json.dumps(environment())
    assert str(Path(machine.__file__).parent) not in text
    host, user = socket.gethostname(), getpass.getuser()
    words = set(re.findall(r"[\w.-]+", text))
    assert not {host, user} & words


def test_the_commit_is_that_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "harness").mkdir()
    (tmp_path / "harness/code.py").write_text("1", "utf-8")
    git("init")
    git("add", ".")
    git("commit", "-m", "one")
    monkeypatch.setattr(machine, "ROOT", tmp_path.resolve())
    state = machine._git_state.__wrapped__
    commit, dirty = state()
    assert commit is not None and re.fullmatch("[0-9a-f]{40}", commit)
    assert dirty is False
    (tmp_path / "results").mkdir()
    (tmp_path / "results/new.json").write_text("{}", "utf-8")
    assert state() == (commit, False)  # records are no code
    (tmp_path / "harness/code.py").write_text("2", "utf-8")
    assert state() == (commit, True)
    monkeypatch.setattr(machine, "ROOT", tmp_path.resolve() / "harness")  # installed inside a foreign repository
    assert state() == (None, None)


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine._git_state.__wrapped__() == (None, None)
    monkeypatch.setenv("SEGNET_COMMIT", "0123abc")
    assert machine._git_state.__wrapped__() == ("0123abc", None)


def test_the_repository_knows_better_than_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGNET_COMMIT", "0123abc")
    state = machine._git_state.__wrapped__()
    if not (Path(__file__).parents[3] / ".git").exists():
        pytest.skip("needs the repository")
    assert state[0] != "0123abc"


def test_children_import_the_same_packages_from_anywhere(tmp_path: Path) -> None:
    script = "import architectures, datasets, harness; print(harness.__file__)"
    run = partial(subprocess.run, cwd=tmp_path, capture_output=True, text=True, check=True)
    done = run([sys.executable, "-P", "-c", script], env=child_environment())
    assert Path(done.stdout.strip()).parents[1] == Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("flags", "emulated"),
    [("flags: avx2 avx512_bf16", False), ("flags: amx_bf16", False), ("flags: avx2", True), ("", False)],
)
def test_bfloat16_is_emulated_without_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, flags: str, emulated: bool
) -> None:
    monkeypatch.setattr(machine, "_read", lambda path: flags)
    assert machine.emulates_bfloat16() is emulated


@pytest.mark.parametrize(("marks", "may"), [((), False), (("/dev/nvidiactl",), True), (("/dev/kfd",), True)])
def test_without_a_driver_there_is_no_gpu_to_ask_torch_about(
    monkeypatch: pytest.MonkeyPatch, marks: tuple[str, ...], may: bool
) -> None:
    monkeypatch.setattr(Path, "exists", lambda path: str(path) in marks)
    assert machine.may_have_gpu() is may
