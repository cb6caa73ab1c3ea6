"""Registries: what a user chooses by name, each entry imported when it is first asked for."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from pkgutil import iter_modules, resolve_name
from types import MappingProxyType
from typing import Generic, TypeVar, cast

from harness.system.errors import UserError, nearest

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Read-only names, each with its entry, or with "module:attribute", from where the entry is imported.

    Args:
        kind: what is registered, for errors: "optimizer".
        entries: (name, entry or "module:attribute"), in the order in which they are listed; an entry is no string.

    Raises:
        ValueError: a name occurs twice.
    """

    def __init__(self, kind: str, entries: Iterable[tuple[str, Entry | str]]) -> None:
        table: dict[str, Entry | str] = {}
        for name, entry in entries:
            if name in table:
                raise ValueError(f"{kind} {name!r} is registered twice: as {table[name]} and as {entry}")
            table[name] = entry
        self._kind = kind
        self._table = MappingProxyType(table)

    def __iter__(self) -> Iterator[str]:
        """All names; nothing is imported."""
        return iter(self._table)

    def check(self, name: str) -> str:
        """The name, if it is registered; else UserError, with the nearest and all. Nothing is imported."""
        if name not in self._table:
            raise UserError(f"unknown {self._kind} {name!r}; {nearest(name, self._table)}known: {', '.join(self)}")
        return name

    def __getitem__(self, name: str) -> Entry:
        """The entry of that name, imported if need be.

        Raises:
            UserError: unknown name; suggests the nearest, and lists all.
            ImportError, AttributeError: the entry is not where its registration says.
        """
        entry = self._table[self.check(name)]
        return cast(Entry, resolve_name(entry)) if isinstance(entry, str) else entry


def entries_of_package(package: str, attribute: str) -> list[tuple[str, str]]:
    """(name, "module:attribute") of every module in a package, by name; imports none of the modules."""
    names = sorted(module.name for module in iter_modules(import_module(package).__path__))
    return [(name, f"{package}.{name}:{attribute}") for name in names]
