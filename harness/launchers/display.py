"""Several runs on one terminal: a bar for each, and above them the lines that each leaves in its log.

All is read from the runs' folders, so that it does not matter which process or machine carries them out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TimeElapsedColumn

from harness.system.console import say, text_column
from harness.system.files import mtime_ns
from harness.training.progress import position_file, read_position


def log_file(folder: Path) -> Path:
    """What is printed about a run that has no terminal of its own, in its folder; earlier segments too."""
    return folder / "log.txt"


class Tail:
    """Whole lines that a file gains from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = path.stat().st_size if path.exists() else 0

    def lines(self) -> list[str]:
        """Those since the last time."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                *whole, rest = file.read().split(b"\n")
                self._read = file.tell() - len(rest)
        except FileNotFoundError:
            return []
        return [line.decode("utf-8", errors="replace") for line in whole]


class _Followed:
    """One run: its log, its position, and its bar once it has one."""

    def __init__(self, folder: Path, prefixes: tuple[str, ...]) -> None:
        self.folder = folder
        self.prefixes = prefixes
        self.tail = Tail(log_file(folder))
        self.before = mtime_ns(position_file(folder))  # an earlier segment's position is no news
        self.bar: TaskID | None = None


class Display:
    """What goes on in several runs, `total` in all; `refresh` brings it up to date.

    Without a terminal there are lines alone, and no bars where a run has the terminal and shows its own.
    """

    def __init__(self, console: Console, total: int, bars: bool = True) -> None:
        self._console = console
        self._followed: dict[str, _Followed] = {}
        self._bars = Progress(
            text_column("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            text_column("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not (bars and console.is_terminal),
        )
        self._all = self._bars.add_task("runs", total=total, note="")

    @contextmanager
    def shown(self) -> Iterator["Display"]:
        """The bars, while the block runs."""
        with self._bars:
            yield self
            self.refresh()

    def follow(self, name: str, folder: Path, prefixes: tuple[str, ...] = ()) -> None:
        """Show a run's folder from now on, each line after its name; prefixes that only repeat that are left out."""
        self._followed[name] = _Followed(folder, prefixes)

    def ended(self, name: str) -> None:
        """Show what is new in a run for the last time."""
        followed = self._followed.pop(name, None)
        if followed is None:
            return
        self._update(name, followed)
        if followed.bar is not None:
            self._bars.remove_task(followed.bar)

    def advance(self) -> None:
        """One more run is done with."""
        self._bars.advance(self._all)

    def say(self, name: str, line: str) -> None:
        """A line that stays."""
        say(self._console, f"{name}: {line}")

    def refresh(self) -> None:
        """Read and show what is new."""
        for name, followed in self._followed.items():
            self._update(name, followed)

    def _update(self, name: str, followed: _Followed) -> None:
        for line in followed.tail.lines():
            for prefix in followed.prefixes:
                line = line.removeprefix(prefix)
            self.say(name, line)
        if mtime_ns(position_file(followed.folder)) == followed.before:
            return
        position = read_position(followed.folder)
        if position is None:
            return
        if followed.bar is None:
            followed.bar = self._bars.add_task(name, total=position.total, note="")
        self._bars.update(followed.bar, completed=position.done, note=position.note)
