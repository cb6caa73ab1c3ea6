"""Registries: lazy, read-only, and clear about names that there are not."""

from pathlib import Path

import pytest

from harness.system.errors import UserError
from harness.system.registry import Registry, entries_of_package


def test_an_entry_is_a_value_or_is_imported_when_it_is_asked_for() -> None:
    registry: Registry[object] = Registry("part", [("pi", "math:pi"), ("three", 3), ("gone", "no_such_module:part")])
    assert list(registry) == ["pi", "three", "gone"] and "pi" in registry and "tau" not in registry
    assert registry["pi"] == pytest.approx(3.14159265) and registry["three"] == 3
    assert registry.check("gone") == "gone"
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        registry["gone"]  # listing and checking have not imported it


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("adamm", "unknown optimizer 'adamm'; did you mean 'adam'? known: sgd, adam"),
        ("SGD", "unknown optimizer 'SGD'; did you mean 'sgd'? known: sgd, adam"),
        ("xyz", "unknown optimizer 'xyz'; known: sgd, adam"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_and_all(name: str, says: str) -> None:
    registry: Registry[int] = Registry("optimizer", [("sgd", 1), ("adam", 2)])
    for ask in (registry.check, registry.__getitem__):
        with pytest.raises(UserError) as refused:
            ask(name)
        assert str(refused.value) == says


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="loss 'dice' is registered twice: as a:b and as c:d"):
        Registry("loss", [("dice", "a:b"), ("other", "a:c"), ("dice", "c:d")])


def test_nothing_can_be_changed() -> None:
    registry: Registry[int] = Registry("part", [("one", 1)])
    with pytest.raises(TypeError):
        registry["two"] = 2  # type: ignore[index]
    with pytest.raises(TypeError):
        registry._table["two"] = 2  # type: ignore[index]


def test_a_package_registers_its_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "shapes_of_a_test"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "square.py").write_text("SHAPE = 4\n")
    (package / "circle.py").write_text("raise AssertionError('imported too early')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry: Registry[int] = Registry("shape", entries_of_package(package.name, "SHAPE"))
    assert list(registry) == ["circle", "square"]
    assert registry["square"] == 4
