"""Errors that end the command with one clear line."""

import difflib
import errno
from collections.abc import Iterable
from typing import TypeVar

Choice = TypeVar("Choice", bound=str)

# What the system says where a disk is full, over its quota, broken, or not to be written to.
_STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM)


class UserError(Exception):
    """Something the user can mend: one line that says what, where and what to do. Exit code 2."""


def storage_error(error: OSError) -> str | None:
    """One line on a disk that is full, broken or can't be written to; none for any other error."""
    if error.errno not in _STORAGE:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror}; free space, or choose another folder"


def message_of(error: BaseException) -> str:
    """What an error says, as one line that can be printed and kept; one that can't say it has its type's name."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # of a stranger's class
        text = ""
    return printable(text) or type(error).__name__


def printable(text: object) -> str:
    """The text as one line: what would break it, or can't be shown, such as in a file's name, is escaped."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in str(text))


def how_to_install(extra: str) -> str:
    """How to get what one of this project's extras brings, to be put into an error.

    Editable, as `make` installs it: else a second copy of the project would be installed.
    """
    return f'`pip install -e ".[{extra}]"` in the folder of this project brings it'


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'camvid@2'? `, to be put into an error; empty where no known name is near."""
    by_lower = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f"did you mean {by_lower[found[0]]!r}? " if found else ""


def one_of(value: str, allowed: tuple[Choice, ...], what: str) -> Choice:
    """The value, if it is one of those allowed, such as the arguments of a Literal; else UserError, which names all."""
    if value not in allowed:
        raise UserError(f"{what} {value!r}: must be one of {', '.join(allowed)}")
    return allowed[allowed.index(value)]


def some_of(values: Iterable[str], allowed: tuple[Choice, ...], what: str) -> list[Choice]:
    """Those of the allowed values that are named, in their own order; UserError for another one."""
    named = {one_of(value, allowed, what) for value in values}
    return [one for one in allowed if one in named]
