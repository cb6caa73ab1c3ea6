"""Architectures by name: of this package, of another library, or of a plugin. Imports no torch."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING

from architectures.architecture_info import ArchitectureError, ArchitectureInfo
from architectures.catalog import TABLE
from architectures.external import libraries, plugins

if TYPE_CHECKING:
    from architectures.base import Architecture


def info(name: str) -> ArchitectureInfo:
    """The entry of an architecture: of this package, of another library (`smp:...`), or of a plugin.

    Raises ArchitectureError, which suggests the nearest name, if unknown; or says what ails a plugin.
    """
    entry = TABLE.get(name)
    if entry is not None:
        return entry
    if ":" in name:
        return libraries.describe(name)
    if (entry := plugins.find(name)) is not None:
        return entry
    known = [*TABLE, *plugins.targets()]
    listed = ", ".join([*known, *libraries.patterns()])
    raise ArchitectureError(f"unknown architecture {name!r}{libraries.nearest(name, known)} (known are {listed})")


def build(
    name: str,
    num_classes: int,
    image_size: tuple[int, int] = (360, 480),
    *,
    own_weights: bool = False,
) -> Architecture:
    """Build an architecture with freshly drawn parameters (from torch's global generator).

    num_classes  K, number of output maps (void is not a class)
    image_size   (H, W) in pixels; it shapes only the `fixed_size` architectures. The default is the paper's.
    own_weights  start the encoder from the ImageNet weights of the library that it comes from, which
                 downloads them if need be

    Raises ArchitectureError for an unknown name, fewer than two classes or too small a size, and for weights
    that there are not or that can't be had.
    """
    entry = info(name)
    if own_weights and entry.imagenet != "own":
        raise ArchitectureError(f"{name}: no library has ImageNet weights of its own for it")
    further = {"own_weights": True} if own_weights else {}
    architecture: Architecture = resolve_name(entry.target)(entry, num_classes, image_size, **further)
    return architecture


def verify(name: str) -> None:
    """Ask another library or a plugin whether it has the network, without building it; imports it.

    Raises ArchitectureError if it does not: one line that suggests the nearest name.
    """
    entry = info(name)
    if entry.wraps:
        resolve_name(entry.target).verify(entry)


def pretrained_release(name: str) -> str:
    """Which published ImageNet weights a library's network takes: a name under which they never change.

    Asks the library, which is imported; nothing is downloaded. Empty where there are none.
    """
    entry = info(name)
    return str(resolve_name(entry.target).pretrained_release(entry)) if entry.imagenet == "own" else ""


def file_name(name: str) -> str:
    """The name as part of a file's or folder's name: `smp:Unet/resnet34` is `smp-Unet-resnet34`."""
    return name.replace(":", "-").replace("/", "-")
