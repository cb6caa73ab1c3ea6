"""Reading command-line options: a bad one raises with what is allowed."""

from pathlib import Path
from typing import get_args

from harness.config.run_spec import Precision
from harness.system.errors import UserError


def precision_named(value: str) -> Precision:
    """The precision of that name.

    Raises:
        UserError: there is none.
    """
    for known in get_args(Precision):
        if value == known:
            return known  # type: ignore[no-any-return]
    raise UserError(f"precision {value!r}: must be one of {', '.join(get_args(Precision))}")


def writable(folder: Path, option: str) -> Path:
    """The folder, made if need be and tried by writing to it.

    Raises:
        UserError: it can't be written.
    """
    probe = folder / ".write-test"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"{option} {folder}: {error.strerror}; choose a folder that can be written") from None
    return folder
