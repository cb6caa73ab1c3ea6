"""What a plugin's hash follows: its own sources, and nothing else."""

import textwrap
from pathlib import Path

import pytest

from architectures.external.sources import _sources, source_hash


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a user's own modules and packages."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def write(folder: Path, **sources: str) -> None:
    """Modules by dotted name with `__` for the dots."""
    for name, text in sources.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))


def test_module_and_function_tell_plugins_apart(folder: Path) -> None:
    write(folder, of_sources_a="def build(n): ...", of_sources_b="def build(n): ...")
    hashes = {source_hash(f"of_sources_{name}:build") for name in "ab"}
    assert len(hashes) == 2
    assert source_hash("of_sources_a:build") in hashes
    assert source_hash("of_sources_a:other") not in hashes


def test_an_edit_of_the_module_or_of_what_it_imports_from_beside_it_counts(folder: Path) -> None:
    write(
        folder,
        of_sources_net="import torch\nfrom of_sources_blocks import block\ndef build(n): ...",
        of_sources_blocks="import of_sources_deep as deep\ndef block(): ...",
        of_sources_deep="width = 3",
        of_sources_other="width = 3",
    )
    target = "of_sources_net:build"
    first = source_hash(target)
    write(folder, of_sources_other="width = 4")
    assert source_hash(target) == first
    write(folder, of_sources_deep="width = 4")
    changed = source_hash(target)
    assert changed != first
    write(folder, of_sources_net="def build(n): ...  # no longer\n")
    assert source_hash(target) not in (first, changed)


@pytest.mark.parametrize("line", ["from . import blocks", "from .blocks import block", "import pkg{n}.blocks"])
def test_in_a_package_its_modules_count_and_its_neighbors_do_not(folder: Path, line: str) -> None:
    number = abs(hash(line)) % 10**6
    package = f"pkg{number}"
    line = line.format(n=number)
    names = {"net": f"{package}__net", "blocks": f"{package}__blocks"}
    write(
        folder,
        **{names["net"]: f"{line}\nimport beside{number}\n", names["blocks"]: "a = 1"},
        **{f"beside{number}": "a = 1"},
    )
    (folder / package / "__init__.py").write_text("")
    first = source_hash(f"{package}.net:build")
    write(folder, **{f"beside{number}": "a = 2"})
    assert source_hash(f"{package}.net:build") == first
    write(folder, **{names["blocks"]: "a = 2"})
    assert source_hash(f"{package}.net:build") != first


def test_of_what_is_installed_only_the_package_itself_counts() -> None:
    """safetensors.torch imports all of torch, which is not its own."""
    found = set(_sources("safetensors.torch"))
    assert {"safetensors", "safetensors.torch"} <= found
    assert {name.partition(".")[0] for name in found} == {"safetensors"}
    assert source_hash("no_such_module:build") != source_hash("no_such_module:other")
