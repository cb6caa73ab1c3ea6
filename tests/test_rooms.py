"""The order of the house: what each package and each room of `harness/` may import."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# From top to bottom, in the order of the data: a room imports from itself and from those below it.
ROOMS = (
    "cli",
    "launchers",
    "report",
    "profiling",
    "deploy",
    "postprocess",
    "training",
    "paper",
    "data",
    "metrics",
    "records",
    "config",
    "system",
)
OUTSIDE = {"harness/__init__.py", "harness/__main__.py"}
# What each of the three packages may import of them; harness alone knows the other two.
PACKAGES = {
    "architectures": {"architectures"},
    "datasets": {"datasets"},
    "harness": {"architectures", "datasets", "harness"},
}
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Dotted names of all that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module is not None
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_nothing_but_rooms_and_the_entry_points_lies_in_harness() -> None:
    found = {path.relative_to(ROOT).as_posix() for path in (ROOT / "harness").glob("*.py")}
    assert found == OUTSIDE
    folders = {path.parent for path in (ROOT / "harness").rglob("*.py")} - {ROOT / "harness"}
    assert {folder.relative_to(ROOT / "harness").parts[0] for folder in folders} <= set(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_go_down(path: Path) -> None:
    package, *inner = path.relative_to(ROOT).parts
    found = [name.split(".") for name in imports(path)]
    own = {parts[0] for parts in found} & set(PACKAGES)
    assert own <= PACKAGES[package]
    if package == "harness" and path.relative_to(ROOT).as_posix() not in OUTSIDE:
        here = ROOMS.index(inner[0])
        up = {
            ".".join(parts) for parts in found if parts[0] == "harness" and len(parts) > 1 and parts[1] in ROOMS[:here]
        }
        assert not up


def test_an_import_that_goes_up_would_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("def late():\n    from harness.cli import app\n    import harness.report.page\n")
    assert list(imports(path)) == ["harness.cli.app", "harness.report.page"]
