"""What a shell, a notebook or a cluster sets must neither change a record nor end a command.

`settle` is the first thing that a process of the harness does.
"""

import atexit
import io
import os
import re
import select
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NoReturn

from harness.system.errors import UserError

ROOT = Path(__file__).resolve().parents[2]  # of the three packages
PROJECT = "segnet-harness"
# Of torch's launcher: it sets them anew for the processes that it starts.
_RANKS = {
    *("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE", "ROLE_RANK"),
    *("ROLE_NAME", "ROLE_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
}
_PREFIXES = ("GIT_", "PET_", "TORCHELASTIC_", "TORCH_ELASTIC_")
_WIDTHS = {"COLUMNS": 20, "LINES": 5, "TERMINAL_WIDTH": 20}  # the least that a table fits into
_ENDINGS = {name: getattr(os, name) for name in ("_exit", "execv", "execve")}  # of a process, without a word
_QUIET = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)  # Python's own choice
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_LEVELS = {"CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG"}


def cleaned(variables: Mapping[str, str]) -> dict[str, str]:
    """An environment without what is meant for other programs, or what no program could use."""
    found = {}
    for name, value in variables.items():
        if name in _RANKS or name.startswith(_PREFIXES) or name == "PYTHONWARNINGS":
            continue
        if name in _WIDTHS and not (value.isascii() and value.isdigit() and int(value) >= _WIDTHS[name]):
            continue
        if name in _THREADS and not re.fullmatch("[1-9][0-9]*(,[1-9][0-9]*)*", value):
            continue
        if name == "LOGLEVEL" and value not in _LEVELS:  # torch's launcher reads it
            continue
        found[name] = value
    return {**found, "MPLBACKEND": "agg"}  # figures go to files; a notebook's own is not known here


def refuse_torchrun() -> None:
    """Refuse, by a UserError, to be one of several processes of torch's launcher: they would do the same work."""
    size = os.environ.get("WORLD_SIZE", "")
    if "TORCHELASTIC_RUN_ID" not in os.environ or not (size.isascii() and size.isdigit() and int(size) > 1):
        return
    try:  # the variables alone may have been left behind by somebody else
        parent = Path(f"/proc/{os.getppid()}/cmdline").read_bytes()
    except OSError:
        parent = b"torchrun"
    if b"torchrun" in parent or b"torch.distributed" in parent:
        raise UserError("the harness starts the processes of a run itself: leave torchrun out, give --gpus-per-run N")


def refuse_another_datasets() -> None:
    """Refuse, by a UserError, to run where another package `datasets`, such as Hugging Face's, lies over ours."""
    ours = ROOT / "datasets" / "__init__.py"
    if f'PROJECT = "{PROJECT}"' not in (ours.read_text("utf-8") if ours.is_file() else ""):
        raise UserError(
            f"{ours.parent} is another package of that name (Hugging Face's has it too), installed over ours; "
            f"install {PROJECT} into an environment of its own: python -m venv .venv"
        )


def settle() -> None:
    """Take the surroundings as this process needs them: environment, output, and our packages before others'."""
    if "PYTHONWARNINGS" in os.environ:  # which may make an error of each warning of a library
        warnings.resetwarnings()
        for kind in _QUIET:
            warnings.simplefilter("ignore", kind)
    for name in set(os.environ) - set(variables := cleaned(os.environ)):
        del os.environ[name]
    os.environ.update(variables)
    if sys.path[:1] != [str(ROOT)]:
        sys.path.insert(0, str(ROOT))  # the current folder may hold packages of the same names
    settle_output()


def guard_exit() -> None:
    """Have what would end this process at once, with whatever code, raise SystemExit: no success without a result."""
    own = os.getpid()

    def guarded(name: str) -> None:
        def end(*arguments: object) -> None:
            if os.getpid() != own:  # a child's, after a fork
                _ENDINGS[name](*arguments)
            raise SystemExit(f"os.{name}({', '.join(map(repr, arguments))[:80]})")

        setattr(os, name, end)

    for name in _ENDINGS:
        guarded(name)


def leave(code: int) -> NoReturn:
    """End this process with that code, whatever threads and exit handlers the code of a network has left in it."""
    with suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    _ENDINGS["_exit"](code)
    raise AssertionError("it has ended")


@contextmanager
def unchanged() -> Iterator[None]:
    """What the block, a stranger's module, sets for the whole process is put back in the end.

    That is the current folder, the mask of new files, handlers of signals, filters of warnings, standard output, and
    what numpy does about divisions by zero.
    """
    folder, mask, filters, streams = os.getcwd(), os.umask(0o077), warnings.filters[:], (sys.stdout, sys.stderr)
    os.umask(mask)
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    try:
        yield
    finally:
        os.chdir(folder)
        os.umask(mask)
        warnings.filters[:] = filters  # type: ignore[index]
        warnings._filters_mutated()  # type: ignore[attr-defined]
        sys.stdout, sys.stderr = streams
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)
        if (numpy := sys.modules.get("numpy")) is not None:
            numpy.seterr(divide="warn", over="warn", under="ignore", invalid="warn")


def settle_output() -> None:
    """Whatever happens to standard output and error, and whatever their encoding: printing raises nothing."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next file that is opened would take its place
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _lasting(1, sys.stdout), _lasting(2, sys.stderr)


def _lasting(descriptor: int, stream: IO[str] | None) -> IO[str]:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    buffered = io.BufferedWriter(_Outlet(descriptor))  # type: ignore[type-var]  # typeshed wants more than it uses
    return io.TextIOWrapper(buffered, encoding=encoding, errors="backslashreplace", line_buffering=True)


class _Outlet(io.RawIOBase):
    """A file descriptor; once it can't be written to, because its reader has gone, all goes nowhere."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            select.select([], [self._descriptor], [])
            return 0
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._descriptor)
            os.close(nowhere)
            return len(data)


def expanded(path: str) -> Path:
    """The path with `~` and `~user` resolved, as all options and variables are read; UserError for no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{path}: {error}; write the path in full") from None
