"""The terminal: all that commands print goes through here. No text is ever read as markup.

Texts from outside (errors of torch, names of files, lines of a plugin) may hold brackets, which rich would
take for markup: it raises for some and drops others.
"""

from typing import IO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
from rich.status import Status
from rich.text import Text


def terminal(file: IO[str] | None = None, *, quiet: bool = False, width: int | None = None) -> Console:
    """The console of a command: standard output, or a file; what is printed and put into tables stays as it is."""
    return Console(file=file, quiet=quiet, width=width, markup=False, emoji=False, highlight=False)


def say(console: Console, line: object) -> None:
    """Print a line as it is, however long."""
    console.print(Text(str(line)), soft_wrap=True)


def text_column(template: str) -> TextColumn:
    """A column of a progress bar, such as "{task.description}"."""
    return TextColumn(template, markup=False)


def progress(console: Console, *columns: ProgressColumn) -> Progress:
    """Bars that go when they are done, and are not there where the console is no terminal.

    Without columns: description, bar, how many of how many.
    """
    chosen = columns or (text_column("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*chosen, console=console, transient=True, disable=not console.is_terminal)


def status(console: Console, line: str) -> Status:
    """A line with a spinner while a block runs."""
    return console.status(Text(line))
