"""A comparison of recipes on val: which learning rate one protocol for all networks should have."""

import numpy as np
import pandas as pd

from harness.config.optimizers import OPTIMIZERS
from harness.config.protocol import Protocol
from harness.report.accuracy import FINISHED, Scores, status
from harness.report.grouping import Group
from harness.report.sections import Section
from harness.report.store import title
from harness.report.tables.cells import column, mean_or_nan
from harness.report.tables.render import bounds, percent
from harness.report.tables.spec import Column, Row, TableSpec
from harness.report.tables.splits import loss_change


def recipe_name(protocol: Protocol) -> str:
    """`AdamW 0.001, warmup-cosine`, and what else the suite may vary, where it is not as usual."""
    loss = "" if protocol.loss == "cross_entropy" else f", loss {protocol.loss}"
    usual = {"sgd": 5e-4, "adamw": 1e-2}.get(protocol.optimizer)
    decay = "" if protocol.weight_decay == usual else f", weight decay {protocol.weight_decay:g}"
    return f"{OPTIMIZERS[protocol.optimizer].title} {protocol.lr:g}, {protocol.lr_scheduler}{loss}{decay}"


def rates(groups: tuple[Group, ...], networks: list[str]) -> pd.DataFrame:
    """A row for each network and recipe: SGD, the paper's, first, then by optimizer, schedule and rate.

    Columns network, recipe, optimizer, lr_scheduler, lr, weight_decay, iterations, seeds, status, then G, C,
    mIoU, mIoU_low and mIoU_high of val at the last iteration (95 % bootstrap interval), mIoU_std (of several
    seeds), loss: mean over the last tenth of the iterations, and highest: of several recipes,
    whether none gave the network a higher mIoU.
    """
    frame = pd.DataFrame([_row(group, network) for network in networks for group in sorted(groups, key=_order)])
    if frame.empty:
        return frame
    own = frame.groupby("network")["mIoU"]
    compared = own.transform("count") > 1
    return frame.assign(highest=frame["mIoU"].eq(own.transform("max")) & compared)


def _order(group: Group) -> tuple[bool, str, str, float, float]:
    protocol = group.protocol
    optimizer = protocol.optimizer
    return optimizer != "sgd", optimizer, protocol.lr_scheduler, protocol.lr, protocol.weight_decay


def _row(group: Group, network: str) -> dict[str, object]:
    protocol, runs, failed = group.protocol, group.of(network), group.failed_of(network)
    found = Scores.of(runs, "val", group.last_label)
    low, high = found.interval.get("mIoU", (np.nan, np.nan)) if found else (np.nan, np.nan)
    losses = [change[0] for run in runs if (change := loss_change(run.history)) is not None]
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
        "loss": mean_or_nan(losses),
    }


def means(frame: pd.DataFrame) -> "pd.Series[float]":
    """Mean val mIoU over the networks, by recipe in order; only recipes that every network finished."""
    wide = frame.pivot(index="recipe", columns="network", values="mIoU")
    wide = wide.reindex(list(dict.fromkeys(frame["recipe"])))
    return wide.mean(axis=1, skipna=False).dropna()


def _values(section: Section) -> pd.DataFrame:
    """Of the suite's own networks: another form of one of them would count twice in the mean."""
    networks = [name for name in section.networks if name in section.suite.architectures]
    return rates(section.groups, networks)


def _columns(section: Section, frame: pd.DataFrame) -> list[Column]:
    average = means(frame)

    def cell(row: Row) -> str:
        if row["status"] != FINISHED:
            return str(row["status"])
        text = percent(row["mIoU"]) + bounds(row["mIoU_low"], row["mIoU_high"])
        return f"**{text}**" if row["highest"] else text

    return [
        column("recipe", "recipe", text=True),
        column("network", "network", text=True),
        Column(header="mIoU % on val", cell=cell),
        column("mean of the networks", "recipe", lambda recipe: percent(average.get(recipe, np.nan))),
        column("training loss", "loss", "{:.3f}".format),
    ]


TABLE = TableSpec(
    name="recipes",
    heading="mIoU on val by recipe",
    place=5,
    values=_values,
    fills=("recipes",),
    columns=_columns,
    notes=lambda section, frame: ("recipes", "interval", "loss-strides"),
)
