"""Progress on the terminal: a bar with loss, rate, images a second and time left; plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class RunProgress:
    """Shows how far a run is."""

    def __init__(self, console: Console, title: str, iterations: int, batch: int) -> None:
        self._console = console
        self._title = title
        self._iterations = iterations
        self._batch = batch
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
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

    def count(self, done: int) -> None:
        """So many steps are done, of a run that has no loss."""
        self._bar.update(self._task, completed=done)

    def pause(self) -> None:
        """Forget the clock: what follows is not training."""
        self._since = None

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(f"{self._title}: {text}", highlight=False, markup=False, soft_wrap=True)

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
