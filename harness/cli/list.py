"""`list`: what there is to choose from. Imports no torch, and of plugins nothing."""

from collections.abc import Iterator

from rich.table import Table

import architectures
import datasets
from architectures.external import libraries, plugins
from harness.cli.options import Plugins
from harness.config.protocol import load_protocol, toml_names
from harness.config.suite import load_suite, suite_names
from harness.system.console import terminal

Row = tuple[str, ...]


def list_names(plugin: Plugins = None) -> None:
    """Print architectures, libraries and plugins, datasets, protocols and suites, a table each."""
    console = terminal()
    for title, columns, rows in (
        ("architectures", ("name", "title", "output stride", "input size", "summary"), _architectures()),
        ("architectures from elsewhere", ("name", "from", "networks"), _elsewhere()),
        ("datasets", ("name", "classes", "size", "train / val / test", "source"), _datasets()),
        ("protocols", ("name", "dataset", "iterations", "batch", "learning rate", "summary"), _protocols()),
        ("suites", ("name", "dataset", "protocol", "architectures", "title"), _suites()),
    ):
        table = Table(title=title, title_justify="left")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(table)


def _architectures() -> Iterator[Row]:
    for info in map(architectures.info, architectures.names()):
        size = "the one it is built for" if info.fixed_size else f"from {info.min_size} x {info.min_size}"
        yield info.name, info.title, str(info.output_stride), size, info.summary


def _elsewhere() -> Iterator[Row]:
    for library in libraries.LIBRARIES:
        yield library.pattern, library.title, ", ".join(library.networks)
    for name, target in plugins.targets().items():
        yield name, f"plugin {target}", ""


def _datasets() -> Iterator[Row]:
    for name in datasets.names():
        info = datasets.info(name)
        counts = " / ".join(str(count) for count in info.splits.values())
        yield name, str(len(info.classes)), f"{info.size[0]} x {info.size[1]}", counts, info.source


def _protocols() -> Iterator[Row]:
    for protocol in map(load_protocol, toml_names("protocols")):
        rate = f"{protocol.lr:g} {protocol.lr_scheduler}"
        iterations, batch = f"{protocol.iterations:,}", str(protocol.batch_size)
        yield protocol.name, protocol.dataset, iterations, batch, rate, protocol.summary


def _suites() -> Iterator[Row]:
    for suite in map(load_suite, suite_names()):
        yield suite.name, suite.dataset, suite.protocol, ", ".join(suite.architectures), suite.title
