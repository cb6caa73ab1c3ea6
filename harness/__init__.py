"""How the architectures are compared: protocol, runs, measurements, records and reports.

The same from Python, without the command line:

    import harness

    model = harness.load_model("weights/segnet")        # a folder that `harness weights` made, or a run's id
    labels = harness.predict(model, "street.jpg")       # (H, W) uint8, indices of model.config.classes
    harness.run("segnet", suite="quick", iterations=50) # as `python -m harness run`
    results = harness.load_results()                    # pandas: a row for each run, split and checkpoint
    measurements = harness.load_measurements()          # pandas: a row for each measured cell

Scores are in `harness.metrics` (`from harness import metrics`), for numpy arrays and torch tensors alike. Importing
this package imports neither torch nor pandas; the functions do when they are called.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from harness.config.run_spec import Precision
    from harness.deploy.predict import Predictor

__all__ = ["load_measurements", "load_model", "load_results", "predict", "run"]


def load_model(
    path: Path | str,
    *,
    device: str = "auto",
    precision: Precision | None = None,
    results: Path | str = "results",
    work: Path | str = "work",
) -> Predictor:
    """A trained model, ready for pictures; `.model` is the torch module, `.config` says what it was trained as.

    Args:
        path: a folder that `harness weights` made, or the id of a finished run.
        device: auto, cpu or cuda.
        precision: fp32, tf32 or bf16; none: that of its training, where the device can.
        results: folder of the records, where a run is named.
        work: folder of the runs' weights, where a run is named.

    Raises:
        harness.system.errors.UserError: no such model, or damaged weights; one line that says what to do.
    """
    from harness.cli.options import precision_named
    from harness.deploy.predict import predictor
    from harness.deploy.weights import find
    from harness.launchers.steps import pick_device

    wanted = None if precision is None else precision_named(precision)
    picked = pick_device(device)
    return predictor(find(str(path), Path(results), Path(work)), picked, wanted)


def predict(model: Predictor, image: Any, *, native: bool = False) -> NDArray[np.uint8]:
    """The class of every pixel of an image: (H, W) uint8, indices of `model.config.classes`, at the image's size.

    Args:
        model: from `load_model`.
        image: a path, a Pillow image, an array (H, W, 3) uint8 in RGB, or a tensor (H, W, 3) or (3, H, W) uint8.
        native: run the model at the image's own size, not at the size that it was trained on.

    Raises:
        harness.system.errors.UserError: no image, or one that can't be read.
    """
    from harness.deploy.predict import as_picture

    return model.labels([as_picture(image)], native)[0]


_ON = ("measure", "report")  # what `run` does unless it is told not to
_JOINED = {"seeds": ",", "size": "x"}  # options of one value that is made of several


def run(*architectures: str | Sequence[str], **options: Any) -> int:
    """Train, evaluate and measure as `python -m harness run` does; gives its exit code.

    That is 0, or 1 where a run failed, 75 where a budget is used up, 130 where it was stopped.

    Args:
        architectures: names, such as "segnet", or lists of them; none: all of the suite.
        options: those of the command by their names with underscores: `suite="camvid"`, `data_root="data"`,
            `iterations=100`, `seeds=[0, 1, 2]`, `size=(90, 120)`, `measure=False`, `override=["lr=0.01"]`.

    Raises:
        harness.system.errors.UserError, datasets.DatasetError, architectures.ArchitectureError: bad input.
        typer's usage error: an option that the command does not have.
    """
    import typer

    from harness.cli.app import app, command_named

    words = ["run"]
    for names in architectures:
        words += [names] if isinstance(names, str) else names
    several = {one.name for one in command_named("run").params if getattr(one, "multiple", False)}
    for name, value in options.items():
        words += _words(name, value, name in several)
    return int(typer.main.get_command(app)(words, prog_name="harness", standalone_mode=False) or 0)


def _words(name: str, value: Any, several: bool) -> list[str]:
    """An option as it is typed."""
    from harness.system.errors import UserError

    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):  # what is off unless it is asked for is left out
        return [flag] if value else [f"--no-{name}"] if name in _ON else []
    if value is None or isinstance(value, str) or not isinstance(value, Iterable):
        return [] if value is None else [flag, str(value)]
    if several:
        return [word for one in value for word in (flag, str(one))]
    if name not in _JOINED:
        raise UserError(f"{name}={value!r}: the option takes one value")
    return [flag, _JOINED[name].join(map(str, value))]


def load_results(results: Path | str = "results") -> pd.DataFrame:
    """Scores of all runs, a row for each run, split and checkpoint: see `harness.report.frames.load_results`."""
    from harness.report import frames

    return frames.load_results(results)


def load_measurements(results: Path | str = "results") -> pd.DataFrame:
    """Costs of all measurements, a row a cell: see `harness.report.frames.load_measurements`."""
    from harness.report import frames

    return frames.load_measurements(results)
