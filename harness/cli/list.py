"""`list`: what there is to choose from. Imports no torch, and of plugins nothing."""

from rich.table import Table

import architectures
import datasets
from architectures.external import libraries, plugins
from harness.cli.options import Plugins
from harness.config.protocol import load_protocol, toml_names
from harness.config.suite import load_suite, suite_names
from harness.system.console import terminal


def list_names(plugin: Plugins = None) -> None:
    """Print architectures, libraries and plugins, datasets, protocols and suites, a table each."""
    console = terminal()
    for table in (_architectures(), _elsewhere(), _datasets(), _protocols(), _suites()):
        console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _architectures() -> Table:
    table = _table("architectures", "name", "title", "output stride", "input size", "summary")
    for name in architectures.names():
        info = architectures.info(name)
        size = "the one it is built for" if info.fixed_size else f"from {info.min_size} x {info.min_size}"
        table.add_row(name, info.title, str(info.output_stride), size, info.summary)
    return table


def _elsewhere() -> Table:
    table = _table("architectures from elsewhere", "name", "from", "networks")
    for library in libraries.LIBRARIES:
        table.add_row(library.pattern, library.title, ", ".join(library.networks))
    for name, target in plugins.targets().items():
        table.add_row(name, f"plugin {target}", "")
    return table


def _datasets() -> Table:
    table = _table("datasets", "name", "classes", "size", "train / val / test", "source")
    for name in datasets.names():
        info = datasets.info(name)
        counts = " / ".join(str(count) for count in info.splits.values())
        table.add_row(name, str(len(info.classes)), f"{info.size[0]} x {info.size[1]}", counts, info.source)
    return table


def _protocols() -> Table:
    table = _table("protocols", "name", "dataset", "iterations", "batch", "learning rate", "summary")
    for name in toml_names("protocols"):
        protocol = load_protocol(name)
        rate = f"{protocol.lr:g} {protocol.lr_scheduler}"
        table.add_row(
            name,
            protocol.dataset,
            f"{protocol.iterations:,}",
            str(protocol.batch_size),
            rate,
            protocol.summary,
        )
    return table


def _suites() -> Table:
    table = _table("suites", "name", "dataset", "protocol", "architectures", "title")
    for name in suite_names():
        suite = load_suite(name)
        table.add_row(name, suite.dataset, suite.protocol, ", ".join(suite.architectures), suite.title)
    return table
