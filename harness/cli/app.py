"""The command line: `python -m harness run | measure | report | compare | list | check | data | …`.

A command's module is imported when it is asked for, so that `--help` and `list` answer at once.
"""

from pkgutil import resolve_name
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from harness.system.errors import UserError
from harness.system.signals import STOPPED

# name -> the function, or the group of functions, that it is, and what it does
COMMANDS = {
    "run": (
        "harness.cli.run:run",
        "Train, evaluate and measure, then write the reports. What is finished already is not done again.",
    ),
    "measure": (
        "harness.cli.measure:measure",
        "Measure time, memory and energy (Table 6): each phase in a process of its own, rounds interleaved.",
    ),
    "measure-indices": (
        "harness.cli.measure:measure_indices",
        "Compare the ways to store pooling indices: bytes, memory and time of a whole network.",
    ),
    "report": ("harness.cli.report:report", "Regenerate tables, plots and pages from the records alone."),
    "site": ("harness.cli.site:site", "Make the site: static pages of all results, opened from disk."),
    "merge": (
        "harness.cli.merge:merge",
        "Bring results folders together. Records that conflict are named and left as they are.",
    ),
    "compare": (
        "harness.cli.compare:compare_architectures",
        "Two networks side by side: paired differences of their scores on test, with intervals.",
    ),
    "list": ("harness.cli.list:list_names", "Architectures, datasets, protocols and suites."),
    "check": (
        "harness.cli.check:check",
        "Try an architecture, of anyone: shapes, training, determinism, saving; what is wrong with it.",
    ),
    "logits": (
        "harness.cli.crf:logits",
        "Save a run's logits beside its weights, as fp16: the dense CRF then needs no network.",
    ),
    "crf": (
        "harness.cli.crf:crf",
        "Refine finished runs' output by the dense CRF, as runs of their own: search on val, then score.",
    ),
    "predict": (
        "harness.cli.predict:predict",
        "Label your pictures with a trained model: class indices, colors, overlay with legend, shares of the classes.",
    ),
    "weights": (
        "harness.cli.weights:weights",
        "Write a run's weights as safetensors, with the configuration to build the model again and a model card.",
    ),
    "export": (
        "harness.cli.export:export",
        "Export trained models to ONNX, OpenVINO or torch.export, and say how their labels differ from torch's.",
    ),
    "data": ("harness.cli.data:data", "Download, convert and check datasets."),
}


class _Commands(TyperGroup):
    """All commands by name; only the one that is carried out is imported."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        name, _, rest = super().resolve_command(ctx, args)
        return name, command_named(str(name)), rest

    def invoke(self, ctx: Any) -> Any:
        """Carry out a command. Its own end is `typer.Exit`: nobody else's is a success."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(STOPPED) from None
        except SystemExit as error:
            raise UserError(f"the code of a network or a library called sys.exit({error.code!r})") from error


def command_named(name: str) -> Any:
    """A command as click has it, imported now."""
    target, text = COMMANDS[name]
    found = resolve_name(target)
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        found.command(name, help=text)(function)
    return typer.main.get_command(found)


app = typer.Typer(
    cls=_Commands,
    help="Trains and measures segmentation networks under one protocol and writes the paper's tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _harness() -> None:
    """All commands are registered by name above."""
