"""Progress on the terminal: a bar with loss, rate, images a second and time left; plain lines elsewhere.

Without a terminal the position is also kept in a file, from which somebody else may show it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

from harness.system.console import progress, say, text_column
from harness.system.errors import UserError
from harness.system.files import write_atomically

TELL_S = 2.0  # between writings of the position


class Position(BaseModel):
    """How far a run is: iterations done of all, and what is said beside the bar."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    done: int
    total: int
    note: str


def position_file(folder: Path) -> Path:
    """Where a run without a terminal keeps its position, in its folder."""
    return folder / "position.json"


def read_position(folder: Path) -> Position | None:
    """The position that was last written there; none where there is none that can be read."""
    try:
        return Position.model_validate_json(position_file(folder).read_text("utf-8"))
    except (OSError, ValueError):
        return None


class RunProgress:
    """Shows how far a run is.

    Args:
        console: where.
        title: said with each line.
        iterations: of the whole run.
        batch: images of an iteration.
        position: file for the position, used where the console is no terminal; none: nobody else shows it.
    """

    def __init__(self, console: Console, title: str, iterations: int, batch: int, position: Path | None = None) -> None:
        self._console = console
        self._title = title
        self._iterations = iterations
        self._batch = batch
        self._position = None if console.is_terminal else position
        self._told_s = -TELL_S
        self._bar = progress(
            console,
            text_column("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            text_column("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        self._task = self._bar.add_task(title, total=iterations, note="")
        self._since: tuple[float, int] | None = None

    @contextmanager
    def shown(self) -> Iterator["RunProgress"]:
        """The bar, while the block runs."""
        with self._bar:
            yield self

    def step(self, done: int, loss: float, rate: float) -> None:
        """`done` iterations are done; `loss` and `rate` are those of the last one."""
        now = time.perf_counter()
        speed = 0.0
        if self._since is not None and done > self._since[1]:
            speed = (done - self._since[1]) * self._batch / max(now - self._since[0], 1e-9)
        self._since = (now, done)
        note = f"loss {loss:.3f}  lr {rate:.2g}  {speed:.1f} images/s"
        self._bar.update(self._task, completed=done, note=note)
        self._tell(done, note, now)

    def _tell(self, done: int, note: str, now_s: float) -> None:
        if self._position is None or (now_s - self._told_s < TELL_S and done < self._iterations):
            return
        self._told_s = now_s
        text = Position(done=done, total=self._iterations, note=note).model_dump_json()
        with suppress(UserError):  # a display that lags is no reason to lose a run
            write_atomically(self._position, text.encode())

    def count(self, done: int) -> None:
        """So many steps are done, of a run that has no loss."""
        self._bar.update(self._task, completed=done)

    def pause(self) -> None:
        """Forget the clock: what follows is not training."""
        self._since = None

    def say(self, text: str) -> None:
        """A line that stays."""
        say(self._console, f"{self._title}: {text}")

    def phase(self, name: str, images: int) -> Callable[[int], None]:
        """A bar for an evaluation of so many images; returns what to call with each batch's images."""
        self.pause()
        task = self._bar.add_task(f"  {name}", total=images, note="")

        done = 0

        def advance(more: int) -> None:
            nonlocal done
            already, done = done, done + more
            if done < images:
                self._bar.update(task, completed=done)
            elif already < images:
                self._bar.remove_task(task)

        return advance
