"""`check`: does an architecture, of anyone, keep the contract that the harness relies on, and go through a run?

The network is tried in a process of its own, `python -m harness.cli.check NAME DEVICE PRECISION FILE`, which leaves the
results in the file: whatever the code of a network does to the process, without results nothing has passed.
"""

import json
import sys
import tempfile
from pathlib import Path

import typer
from rich.table import Table

import architectures
from harness.cli.options import DeviceOption, Name, Plugins, PrecisionOption, precision_named
from harness.config.suite import check_architecture
from harness.launchers.steps import pick_device
from harness.system.console import terminal
from harness.system.supervisor import Child, command, error_line
from harness.system.surroundings import settle_output


def check(
    name: Name, device: DeviceOption = "cpu", precision: PrecisionOption = "fp32", plugin: Plugins = None
) -> None:
    """Exit code 0 if the architecture keeps its contract, else 1."""
    least = architectures.info(name).min_size
    check_architecture(name, (least, least))
    picked = pick_device(device)
    table = Table("check", "result", "found", title=name, title_justify="left")
    results = _results(name, picked, precision_named(precision))
    for title, passed, found in results:
        table.add_row(title, "ok" if passed else "FAILED", found)
    terminal().print(table)
    raise typer.Exit(0 if all(passed for _, passed, _ in results) else 1)


def _results(name: str, device: str, precision: str) -> list[tuple[str, bool, str]]:
    """(what was tried, whether it passed, what was found), from a process that the network can't take us down with."""
    with tempfile.TemporaryDirectory(prefix="segnet-harness-") as folder, tempfile.TemporaryFile() as said:
        output = Path(folder) / "results.json"
        ended = Child(command("harness.cli.check", name, device, precision, output), output=said).ending()
        said.seek(0)
        line = error_line(said.read().decode("utf-8", errors="replace"))
        if not output.exists():
            return [("the process", False, f"{ended} and left no result{f': {line}' if line else ''}")]
        return [(name, passed, found) for name, passed, found in json.loads(output.read_text("utf-8"))]


def main(name: str, device: str, precision: str, output: str) -> None:
    """Leave the results as JSON in the file."""
    from harness.cli.contract import check_architecture_contract

    settle_output()
    results = check_architecture_contract(name, "cuda" if device == "cuda" else "cpu", precision_named(precision))
    Path(output).write_text(json.dumps(results), "utf-8")


if __name__ == "__main__":  # the processes that score BF begin with this module too: it imports no torch
    main(*sys.argv[1:])
