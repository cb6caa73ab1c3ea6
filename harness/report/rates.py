"""A comparison of recipes on val, as frames of values: which learning rate one protocol for all should have.

Scores in frames are percent, of val at the last iteration: all runs of a comparison are equally long.
"""

import numpy as np
import pandas as pd

from harness.config.optimizers import OPTIMIZERS
from harness.config.protocol import Protocol
from harness.report.accuracy import status, summarize
from harness.report.checks import loss_change
from harness.report.families import Family
from harness.report.groups import Group, title
from harness.report.wording import loss_words


def recipe_name(protocol: Protocol) -> str:
    """`AdamW 0.001, warmup-cosine`, and the loss where it is not cross-entropy."""
    return f"{OPTIMIZERS[protocol.optimizer].title} {protocol.lr:g}, {protocol.lr_scheduler}{loss_words(protocol)}"


def ordered(family: Family) -> list[Group]:
    """The family's groups by optimizer and schedule, rates ascending; SGD, the paper's, first."""
    return sorted(family.groups, key=_order)


def _order(group: Group) -> tuple[bool, str, str, float, float]:
    protocol = group.protocol
    optimizer = protocol.optimizer
    return optimizer != "sgd", optimizer, protocol.lr_scheduler, protocol.lr, protocol.weight_decay


def rates(family: Family) -> pd.DataFrame:
    """A row for each network and recipe, recipes in order.

    Columns network, recipe, optimizer, schedule, lr, weight_decay, iterations, seeds, status, then G, C,
    mIoU, mIoU_low and mIoU_high of val (95 % bootstrap interval, one seed only), mIoU_std (several), loss:
    mean over the last tenth of the iterations, and highest: of several recipes, whether none gave the
    network a higher mIoU.
    """
    rows = [_row(group, network) for network in family.networks for group in ordered(family)]
    frame = pd.DataFrame(rows)
    own = frame.groupby("network")["mIoU"]
    compared = own.transform("count") > 1
    return frame.assign(highest=frame["mIoU"].eq(own.transform("max")) & compared)


def _row(group: Group, network: str) -> dict[str, object]:
    protocol, runs, failed = group.protocol, group.of(network), group.failed_of(network)
    found = summarize(runs, "val", group.last_label)
    low, high = found.interval["mIoU"] if found and found.interval else (np.nan, np.nan)
    losses = [change.last for run in runs if (change := loss_change(run.history)) is not None]
    return {
        "network": title(network),
        "recipe": recipe_name(protocol),
        "optimizer": protocol.optimizer,
        "lr_scheduler": protocol.lr_scheduler,
        "lr": protocol.lr,
        "weight_decay": protocol.weight_decay,
        "iterations": protocol.iterations,
        "seeds": len(runs),
        "status": status(found, failed, ran=bool(runs or failed)),
        "G": found.mean["G"] if found else np.nan,
        "C": found.mean["C"] if found else np.nan,
        "mIoU": found.mean["mIoU"] if found else np.nan,
        "mIoU_low": low,
        "mIoU_high": high,
        "mIoU_std": found.std.get("mIoU", np.nan) if found else np.nan,
        "loss": sum(losses) / len(losses) if losses else np.nan,
    }


def means(frame: pd.DataFrame) -> "pd.Series[float]":
    """Mean val mIoU over the networks, by recipe in order; only recipes that every network finished."""
    wide = frame.pivot(index="recipe", columns="network", values="mIoU")
    wide = wide.reindex(list(dict.fromkeys(frame["recipe"])))
    return wide.mean(axis=1, skipna=False).dropna()
