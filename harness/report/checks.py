"""What a reviewer asks of a group's scores: is training at its end, what is lost where, what is missed.

Scores in frames are percent. A shortfall against the paper is split in two by the training images: what is
not learnt even there, and what is lost on the way to test.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from datasets import DatasetInfo
from harness.records.run import History
from harness.report.accuracy import split_label, summarize
from harness.report.groups import Group, title

# Shares of a run's iterations whose mean losses are compared.
TAIL = 0.1
# A class is hardly predicted where less than this share of its pixels is right.
HARDLY = 0.01
# A loss is flat where it falls by less than this share from one tenth to the next: as in decoders@1.
FLAT = 0.01


@dataclass(frozen=True, kw_only=True)
class LossChange:
    """Mean training loss over the last tenth of the iterations, and over the tenth before."""

    last: float
    before: float

    @property
    def share(self) -> float:
        """How much lower (below 0) or higher the last one is."""
        return self.last / self.before - 1


def loss_change(history: History) -> LossChange | None:
    """Of a run's history; none where it is too short to tell two tenths apart."""
    if not history.iteration:
        return None
    at, loss = np.array(history.iteration), np.array(history.loss)
    end = at[-1]
    last, before = at > (1 - TAIL) * end, (at > (1 - 2 * TAIL) * end) & (at <= (1 - TAIL) * end)
    if not last.any() or not before.any():
        return None
    return LossChange(last=float(loss[last].mean()), before=float(loss[before].mean()))


@dataclass(frozen=True, kw_only=True)
class Published:
    """The paper's mIoU by the network's title, percent; of train only where its table has it."""

    test: Mapping[str, float] = field(default_factory=dict)
    train: Mapping[str, float] = field(default_factory=dict)


def checks(group: Group, dataset: DatasetInfo, published: Published) -> pd.DataFrame:
    """A row for each network of a group, at its shown row of the table; means over seeds.

    Args:
        group: with finished runs.
        dataset: whose classes are named.
        published: the paper's figures for the same row of its table.

    Returns:
        Columns network, loss_last (mean over the last tenth of the iterations), loss_change (percent of the
        tenth before), train, val, test (mIoU), paper (mIoU on test), paper_train, shortfall (paper - test),
        not_learnt (paper - train), unfitted (paper_train - train), lost (train - test), never (classes that
        were predicted nowhere on test), hardly (those predicted, but right in under 1 % of their pixels),
        others (mIoU over all other classes). NaN where there is no such figure; classes as text.
    """
    return pd.DataFrame([_row(group, dataset, network, published) for network in group.networks])


def _row(group: Group, dataset: DatasetInfo, network: str, published: Published) -> dict[str, object]:
    runs = group.of(network)
    changes = [change for run in runs if (change := loss_change(run.history)) is not None]
    miou = {}
    for split in ("train", "val", "test"):
        found = summarize(runs, split, split_label(runs, split, group.shown_label))
        miou[split] = found.mean["mIoU"] if found else np.nan
    paper, paper_train = (each.get(title(network), np.nan) for each in (published.test, published.train))
    return {
        "network": title(network),
        "loss_last": np.mean([one.last for one in changes]) if changes else np.nan,
        "loss_change": 100 * np.mean([one.share for one in changes]) if changes else np.nan,
        **miou,
        "paper": paper,
        "paper_train": paper_train,
        "shortfall": paper - miou["test"],
        "not_learnt": paper - miou["train"],
        "unfitted": paper_train - miou["train"],
        "lost": miou["train"] - miou["test"],
        **_classes(group, dataset, network),
    }


def _classes(group: Group, dataset: DatasetInfo, network: str) -> dict[str, object]:
    """Classes that are never or hardly right on test, all seeds together, and the mean IoU of the others."""
    scored = [one for run in group.of(network) if (one := run.at("test", group.shown_label)) is not None]
    if not scored:
        return {"never": "", "hardly": "", "others": np.nan}
    matrix = np.sum([one.matrix for one in scored], axis=0)
    right, truth, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    never = (truth > 0) & (predicted == 0)
    hardly = (truth > 0) & ~never & (right < HARDLY * truth)
    rest = (truth > 0) & ~never & ~hardly
    names = np.array(dataset.classes)
    iou = 100 * right[rest] / (truth + predicted - right)[rest]
    return {
        "never": ", ".join(names[never]),
        "hardly": ", ".join(names[hardly]),
        "others": iou.mean() if rest.any() else np.nan,
    }
