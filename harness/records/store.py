"""What the records of measuring have in common on disk: one JSON file each, and manifests kept once."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Generic, Protocol, Self, TypeVar

from pydantic import AfterValidator, ValidationError

from harness.system.errors import UserError
from harness.system.files import write_atomically
from harness.system.quantities import Frozen

Record = TypeVar("Record", bound="Stored")
Part = TypeVar("Part", bound="_HasEnvironment")


def _as_collected(manifest: dict[str, Any]) -> dict[str, Any]:
    for name, value in manifest.items():
        kind = str if name in ("torch", "driver", "git_commit") else int if name.endswith("_bytes") else object
        if value is not None and not isinstance(value, kind):
            raise ValueError(f"{name} is {value!r:.60}, but must be of type {kind.__name__}")
    return manifest


# The machine and the software, as `harness.system.environment.environment` tells them; anything may be missing.
Manifest = Annotated[dict[str, Any], AfterValidator(_as_collected)]


class Stored(Frozen):
    """A record with a file of its own."""

    @property
    def file_name(self) -> str:
        """Path of the record in its folder."""
        raise NotImplementedError


class _HasEnvironment(Protocol):
    @property
    def environment(self) -> int: ...
    def model_copy(self, *, update: dict[str, Any]) -> Self: ...


def first_error(error: ValidationError) -> str:
    """The first field that does not fit a schema, and why, in one line without its value."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return " ".join(f"{where or 'the file'}: {first['msg']}".split())[:300]


class Shelf(Generic[Record]):
    """Records of one kind, a file each in a folder of the results."""

    def __init__(self, kind: type[Record], folder: str, what: str, advice: str = "remove or repair it") -> None:
        """Records whose `file_name` is the path in the folder of that name.

        what: a record is, for errors. advice: what to do about a damaged one.
        """
        self.kind, self.name, self.what, self.advice = kind, folder, what, advice

    def folder(self, results: Path) -> Path:
        """Where all of them lie."""
        return results / self.name

    def save(self, results: Path, record: Record) -> Path:
        """Write a record in its place, whole or not at all; it replaces an earlier one of the same name.

        Raises:
            UserError: the folder can't be written.
        """
        path: Path = self.folder(results) / record.file_name
        write_atomically(path, f"{record.model_dump_json(indent=1)}\n".encode())
        return path

    def has(self, results: Path, record: Record) -> bool:
        """Whether there is one of its name."""
        return (self.folder(results) / record.file_name).exists()

    def read(self, path: Path) -> Record:
        """The record in this file.

        Raises:
            UserError: not there, or it does not fit the schema; one line that names the file.
        """
        try:
            return self.kind.model_validate_json(path.read_bytes())
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from error
        except ValidationError as error:
            first = first_error(error)
            other = first.startswith("schema_version:")
            advice = "it is of another version: measure anew" if other else self.advice
            raise UserError(f"{path}: not {self.what}: {first}; {advice}") from error

    def load(self, results: Path, on_damage: Callable[[str], None] | None = None) -> list[Record]:
        """All of them, by path; on_damage is called with a line on each file that is no such record, or another's.

        Raises:
            UserError: such a file, where nobody is told.
        """
        records = []
        for path in sorted(self.folder(results).rglob("*.json")):
            try:
                record = self.read(path)
                if path != self.folder(results) / record.file_name:
                    raise UserError(f"{path}: the record belongs to {record.file_name}")
                records.append(record)
            except UserError as error:
                if on_damage is None:
                    raise
                on_damage(str(error))
        return records


def with_manifests(
    sources: Iterable[tuple[Iterable[Part], Sequence[Manifest]]],
) -> tuple[list[Part], tuple[Manifest, ...]]:
    """Parts that stay of several records, and their manifests, each once; parts name theirs by its new number."""
    manifests: list[Manifest] = []
    parts = []
    for found, own in sources:
        for part in found:
            manifest = own[part.environment]
            if manifest not in manifests:
                manifests.append(manifest)
            parts.append(part.model_copy(update={"environment": manifests.index(manifest)}))
    return parts, tuple(manifests)
