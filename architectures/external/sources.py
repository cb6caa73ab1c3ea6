"""What a plugin's function is made of: one hash of its module and of those that it imports from beside it.

A run's identity holds it, so that two plugins of one name, or one that was edited, are never taken for each
other. Imports no torch and runs nothing.
"""

from __future__ import annotations

import ast
import hashlib
import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec, resolve_name
from pathlib import Path

_OURS = ("architectures", "datasets", "harness")  # their revisions say when they change


def source_hash(target: str) -> str:
    """SHA-256 over a plugin's target ("module:function") and the sources it is made of.

    These are the module and, as far as `import` lines name them, the modules of the same package, or of the
    same folder where it is in no package. What is installed from elsewhere is not among them. A module
    without a readable source counts by its name alone.
    """
    module = target.partition(":")[0]
    whole = hashlib.sha256(target.encode())
    found = _sources(module)
    for name in sorted(found):
        whole.update(f"\0{name}\0".encode() + found[name])
    return whole.hexdigest()


def _sources(first: str) -> dict[str, bytes]:
    """Module -> source, of the module and of all that it imports from beside it."""
    folder = _folder(first)
    found: dict[str, bytes] = {}
    waiting = [first] if folder is not None else []
    while folder is not None and waiting:
        name = waiting.pop()
        path = _file(folder, name)
        if name in found or path is None or not _belongs(name, first, folder):
            continue
        try:
            found[name] = path.read_bytes()
            tree = ast.parse(found[name])
        except (OSError, SyntaxError, ValueError):
            continue
        waiting += _imported(tree, name if path.name == "__init__.py" else name.rpartition(".")[0])
    return found


def _folder(module: str) -> Path | None:
    """Where the module, or the package that it is in, lies."""
    spec = find_spec(module.partition(".")[0])
    if spec is None:
        return None
    places = list(spec.submodule_search_locations or ())
    if not places:
        return None if spec.origin is None else Path(spec.origin).parent
    return Path(places[0]).parent


def _file(folder: Path, name: str) -> Path | None:
    """The source of a module, if the folder holds one."""
    path = folder.joinpath(*name.split("."))
    return next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()), None)


def _belongs(name: str, first: str, folder: Path) -> bool:
    """Whether a module of the folder is the plugin's: of its package, or beside it in a folder of its own."""
    top, own = name.partition(".")[0], first.partition(".")[0]
    if top == own:
        return True
    shared = {Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib", "stdlib")}
    alone = "." not in first and folder.resolve() not in shared
    return alone and top not in _OURS


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """Names that may be modules: those imported, and what is imported from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                try:
                    base = resolve_name("." * node.level + base, package)
                except ImportError:
                    continue
            yield base
            yield from (f"{base}.{name.name}" for name in node.names)
