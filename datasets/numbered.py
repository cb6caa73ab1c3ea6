"""Datasets whose files are named by number: their listing, their soundness and their content hash."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets.base import Pair
from datasets.pictures import read_bytes


@dataclass(frozen=True, kw_only=True)
class Naming:
    """How a dataset's files are named: `prefix`, then the number (from 1) in exactly `digits` digits."""

    title: str
    prefix: str
    digits: int

    def stem(self, number: int) -> str:
        """The stem of the file of a number."""
        return f"{self.prefix}{number:0{self.digits}d}"

    def number(self, stem: str) -> int:
        """The number that a stem holds; 0 where it is named otherwise."""
        found = re.fullmatch(rf"{re.escape(self.prefix)}([0-9]{{{self.digits}}})", stem)
        return int(found.group(1)) if found else 0

    def list_files(self, folder: Path, suffixes: tuple[str, ...], most: int, problems: list[str]) -> dict[int, Path]:
        """The picture files of a folder by number, sorted; hidden files and other kinds are passed over.

        Args:
            folder: to list.
            suffixes: of the files, lower case, such as ".png".
            most: the highest number.
            problems: one line is added for each thing that is wrong.
        """
        try:
            paths = sorted(folder.iterdir())
        except OSError as error:
            problems.append(f"{folder}: cannot be listed: {error.strerror}: put {self.title}'s folder there")
            return {}
        found: dict[int, Path] = {}
        for path in paths:
            if path.name.startswith(".") or path.suffix.lower() not in suffixes:
                continue
            number = self.number(path.stem)
            if not 1 <= number <= most:
                hint = f"numbers here go up to {most}; are train and test swapped?" if number else "rename it"
                problems.append(f"{path}: not named {self.stem(1)} to {self.stem(most)}: {hint}")
            elif number in found:
                problems.append(f"{path}: a second file of the same number as {found[number].name}: remove one")
            else:
                found[number] = path
        if not found:
            pattern = f"{self.prefix}{'N' * self.digits}{suffixes[0]}"
            problems.append(f"{folder}: holds no {pattern} file: put {self.title}'s files there")
        return found


def hash_splits(splits: Mapping[str, Sequence[Pair]]) -> str:
    """SHA-256 over split, kind, stem and content hash of each file.

    Splits are taken by name, their pairs in the order of the split: training draws images by their place
    there, so another order is another dataset.
    """
    whole = hashlib.sha256()
    for split, pairs in sorted(splits.items()):
        for pair in pairs:
            for kind, path in (("image", pair.image), ("label", pair.label)):
                part = hashlib.sha256(read_bytes(path)).hexdigest()
                whole.update("\0".join((split, kind, pair.stem, part)).encode() + b"\n")
    return whole.hexdigest()
