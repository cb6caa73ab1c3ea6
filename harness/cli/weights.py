"""The command `weights`: a finished run's weights as a folder for others."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import DEFAULT_RESULTS, DEFAULT_WORK, Force, Plugins, Results, Work
from harness.system.surroundings import expanded


def weights(
    run: Annotated[str, typer.Argument(help="Id of a finished run, the name of its record's folder.")],
    folder: Annotated[Path, typer.Argument(help="Folder to write to.", parser=expanded, metavar="FOLDER")],
    push: Annotated[
        str | None, typer.Option(help="Upload it to this repository of the Hugging Face Hub: user/name.")
    ] = None,
    force: Force = False,
    plugin: Plugins = None,
    results: Results = DEFAULT_RESULTS,
    work: Work = DEFAULT_WORK,
) -> None:
    """Write a run's weights as safetensors, with the configuration to build the model again and a model card."""
    from harness.cli.options import writable
    from harness.deploy import cards
    from harness.deploy.weights import find
    from harness.report.render import render
    from harness.system.console import say, terminal

    console, source = terminal(), find(run, results, work)
    card = render("model-card.md.j2", **cards.card_values(source, results))
    cards.write_folder(source, writable(folder, "folder"), card, force)
    written = ", ".join(sorted(path.name for path in folder.iterdir()))
    say(console, f"{folder}: {written}")
    if push is not None:
        say(console, f"pushed: {cards.push(folder, push)}")
