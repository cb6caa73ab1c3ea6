"""Plugins: anyone's network by one function, `--plugin module:function` or an entry point. Imports no torch.

The function takes the number of classes and gives a `torch.nn.Module` for images (N, 3, H, W); what else the
harness must know of it is told by `declare`. The architecture is called as the function, with dashes, or as
the entry point.

Which plugins there are follows from what is installed (entry points of the group
`segnet_harness.architectures`) and from the environment variable SEGNET_PLUGINS, which `--plugin` adds to, so
that child processes know them too. A plugin's module is imported only when its architecture is asked for.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, TypeVar

from architectures.architecture_info import ArchitectureError, ArchitectureInfo
from architectures.catalog import TABLE
from architectures.external.sources import source_hash

GROUP = "segnet_harness.architectures"
VARIABLE = "SEGNET_PLUGINS"  # targets with commas between them

Function = TypeVar("Function", bound=Callable[..., Any])
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")  # part of file names
_MOST_SIGNS = 80  # of a title
_MARK = "__architecture__"


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What a plugin tells of its network.

    output_stride: s in logits (N, K, ceil(H/s), ceil(W/s)). divisor: images are padded to multiples of it, at
    the right and below, with zeros, and the logits cropped. min_size: least height and width in pixels.
    fixed_size: the function takes (number of classes, (H, W)), and the network that size alone. revision:
    raised when the network changes, so that finished runs are not taken for the new ones. title: name in
    tables; none: the architecture's. initialization: how parameters are drawn.
    """

    output_stride: int = 1
    divisor: int = 1
    min_size: int = 32
    fixed_size: bool = False
    revision: int = 1
    title: str | None = None
    initialization: str = "random, as the plugin draws it"

    def __post_init__(self) -> None:
        for field in ("output_stride", "divisor", "min_size", "revision"):
            value = getattr(self, field)
            if not isinstance(value, int) or value < 1:
                raise ArchitectureError(f"declare: {field} is {value!r}, but must be a whole number from 1")
        for field, text in (("title", self.title or "-"), ("initialization", self.initialization)):
            if not (isinstance(text, str) and text.strip() and text.isprintable() and len(text) <= _MOST_SIGNS):
                raise ArchitectureError(
                    f"declare: {field} is {text!r:.90}, but must be a line of at most {_MOST_SIGNS} signs"
                )


def declare(**facts: Any) -> Callable[[Function], Function]:
    """Decorator of a plugin's function: any of the fields of `Declaration`.

    Raises ArchitectureError for an unknown field or a bad value.
    """
    try:
        declaration = Declaration(**facts)
    except TypeError:
        known = ", ".join(Declaration.__dataclass_fields__)
        raise ArchitectureError(f"declare: {', '.join(facts)} given, but allowed are {known}") from None

    def mark(function: Function) -> Function:
        setattr(function, _MARK, declaration)
        return function

    return mark


def declaration_of(function: Callable[..., Any]) -> Declaration:
    """What a plugin's function declares; the defaults where it declares nothing."""
    found = getattr(function, _MARK, None)
    return found if isinstance(found, Declaration) else Declaration()


def add(wanted: Sequence[str]) -> None:
    """Make plugins known to this process and its children; imports them, so that a bad one shows at once.

    Raises ArchitectureError for one that can't be used.
    """
    known = _from_environment()
    for target in wanted:
        load(target)
        if target not in known:
            known.append(target)
    os.environ[VARIABLE] = ",".join(known)
    found = targets()  # refuses two of one name
    for name in [name for name, target in found.items() if target in wanted]:
        find(name)  # and two of one title


def targets() -> Mapping[str, str]:
    """Name -> "module:function" of every plugin, installed ones first; nothing is imported.

    Raises ArchitectureError where two have one name, or one has that of an architecture of this package.
    """
    found: dict[str, str] = {}
    taken = {_alike(name): "architectures" for name in TABLE}
    named = [(_name(target), target) for target in _from_environment()]
    for name, target in [*_installed(), *named]:
        other = taken.setdefault(_alike(name), target)
        if other != target:
            raise ArchitectureError(
                f"architecture {name!r} is registered twice: in {other} and as {target}; rename the function"
            )
        found[name] = target
    return found


def find(name: str) -> ArchitectureInfo | None:
    """The entry of a plugin's architecture, whose module is imported; none where no plugin has the name.

    Raises ArchitectureError for a plugin that can't be used.
    """
    target = targets().get(name)
    if target is None:
        return None
    if not _NAME.fullmatch(name):
        raise ArchitectureError(f"plugin {target}: {name[:90]!r} can't be part of a file's name; rename it")
    function = load(target)
    declared = declaration_of(function)
    title = declared.title or name
    if (other := _titled(title, name)) is not None:
        raise ArchitectureError(f"plugin {target}: {other} has the title {title!r} too; declare another one")
    lines = (function.__doc__ or "").strip().splitlines()
    return ArchitectureInfo(
        name=name,
        title=title,
        target="architectures.external.wrapper:PluginNetwork",
        revision=declared.revision,
        output_stride=declared.output_stride,
        fixed_size=declared.fixed_size,
        min_size=declared.min_size,
        reference=f"plugin {target}",
        summary=lines[0] if lines else f"plugin {target}",
        imagenet="none",
        initialization=declared.initialization,
        wraps=target,
        source=source_hash(target),
    )


def load(target: str) -> Callable[..., Any]:
    """Import a plugin's function, "module:function".

    Raises ArchitectureError: one line that says what is wrong with it.
    """
    if not _TARGET.fullmatch(target):
        raise ArchitectureError(f"plugin {target!r}: write module:function, such as mynetworks:tiny")
    module, _, attribute = target.partition(":")
    try:
        imported = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise ArchitectureError(
                f"plugin {target}: no module {module!r} is found; put its folder on PYTHONPATH"
            ) from error
        raise ArchitectureError(f"plugin {target}: {module} needs {error.name}, which is missing") from error
    except (Exception, SystemExit) as error:  # a stranger's module may raise anything: it becomes the one line
        raise ArchitectureError(f"plugin {target}: importing {module} raised {_brief(error)}") from error
    function = getattr(imported, attribute, None)
    if not callable(function):
        what = "has no" if function is None else "has no function, but something else, as"
        raise ArchitectureError(f"plugin {target}: {module} {what} {attribute!r}")
    called: Callable[..., Any] = function
    return called


def _titled(title: str, name: str) -> str | None:
    """Which architecture has the title of the plugin called `name`: of this package, or of a plugin that is loaded."""
    titles = {entry.name: entry.title for entry in TABLE.values()}
    for other, target in targets().items():
        module, _, attribute = target.partition(":")
        if other != name and hasattr(sys.modules.get(module), attribute):
            titles[other] = declaration_of(load(target)).title or other
    return next((other for other, one in titles.items() if _alike(one) == _alike(title)), None)


def _alike(text: str) -> str:
    """The same for names and titles that a reader or a file system would take for one."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _name(target: str) -> str:
    return target.rpartition(":")[2].replace("_", "-").lower()


def _from_environment() -> list[str]:
    return [target.strip() for target in os.environ.get(VARIABLE, "").split(",") if target.strip()]


@cache
def _installed() -> tuple[tuple[str, str], ...]:
    """Name and target of every entry point; what is installed does not change while a process runs."""
    return tuple((point.name, point.value) for point in entry_points(group=GROUP))


def _brief(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())[:200]
    except Exception:  # of a stranger's class
        text = ""
    return f"{type(error).__name__}: {text}"
