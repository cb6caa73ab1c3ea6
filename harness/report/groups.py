"""Groups: the runs of a suite sorted so that each group's may stand in one table, with their scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

import architectures
import datasets
from harness import metrics
from harness.config.protocol import Protocol
from harness.config.run_spec import EVALUATION_REVISION, Compiled, InitialWeights, Precision
from harness.config.suite import Suite
from harness.records.run import BEST, Evaluation, History, RunRecord, StoredRun

# Neighboring frames of a drive resemble each other: they are drawn together, or an interval is too narrow.
BLOCK = 10
# What a protocol can choose the best iteration by.
SCORE_NAMES = {"mIoU": "mIoU", "G": "global accuracy"}
# How the paper marks a network whose output was refined.
REFINED_TITLES: Mapping[str, str] = {"dense-crf@1": "denseCRF"}


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One evaluation of one run, with what it is scored from.

    matrices: confusion matrix of every image, (N, K, K), rows are truth.
    boundary: per-class BF of every image, (N, K), NaN where a class does not count; none where not scored.
    """

    evaluation: Evaluation
    matrices: NDArray[np.int64]
    boundary: NDArray[np.float64] | None

    @cached_property
    def matrix(self) -> NDArray[np.int64]:
        """The split's confusion matrix (K, K)."""
        total: NDArray[np.int64] = self.matrices.sum(axis=0)
        return total

    @cached_property
    def scores(self) -> metrics.Scores:
        """The split's scores."""
        return metrics.scores(self.matrix)

    @cached_property
    def bf(self) -> float | None:
        """The split's BF, 0 to 1."""
        return None if self.boundary is None else float(metrics.dataset_bf(self.boundary))

    @cached_property
    def intervals(self) -> metrics.ScoreIntervals | None:
        """95 % bootstrap intervals over blocks of images; none where there are not two blocks.

        That of BF means nothing where BF was not scored.
        """
        if len(self.matrices) <= BLOCK:
            return None
        return metrics.bootstrap(self._image_scores, block=BLOCK)

    @cached_property
    def resampled(self) -> NDArray[np.float64] | None:
        """G, C, mIoU and BF, (R, 4), 0 to 1, on resamples of blocks of images; none where not two blocks.

        All evaluations of a split get the same resamples. BF means nothing where it was not scored.
        """
        if len(self.matrices) <= BLOCK:
            return None
        return metrics.resampled_scores(self._image_scores, block=BLOCK)

    @property
    def _image_scores(self) -> metrics.ImageScores:
        unscored = np.full(self.matrices.shape[:2], np.nan)
        bf = unscored if self.boundary is None else self.boundary
        return metrics.ImageScores(matrices=self.matrices, bf=bf)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run with its evaluations and its history."""

    stored: StoredRun
    scored: tuple[Scored, ...]
    history: History

    @property
    def record(self) -> RunRecord:
        """The run's record."""
        return self.stored.record

    def at(self, split: str, label: str) -> Scored | None:
        """The evaluation of a split that fills a row of the table, if there is one."""
        found = (one for one in self.scored if one.evaluation.split == split and label in one.evaluation.labels)
        return next(found, None)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs that may stand in one table: same protocol, data, precision and initial weights.

    slug: name of the group's folder. evaluation: its revision. reduced: why these are reduced runs, empty
    for full ones. runs: finished ones, by network and seed. failed: the others.
    """

    slug: str
    protocol: Protocol
    variant: str
    digest: str
    precision: Precision
    evaluation: int
    compiled: Compiled
    weights: InitialWeights
    reduced: tuple[str, ...]
    runs: tuple[Run, ...]
    failed: tuple[RunRecord, ...]

    @property
    def computed(self) -> str:
        """Precision, how training steps were compiled if they were, and an earlier revision of evaluation."""
        parts: list[str] = [self.precision]
        parts += [] if self.compiled == "no" else [f"compiled ({self.compiled})"]
        parts += [] if self.evaluation == EVALUATION_REVISION else [f"evaluation {self.evaluation}"]
        return ", ".join(parts)

    @property
    def networks(self) -> list[str]:
        """Networks with a finished run, in the order of the report; refined ones are their own."""
        return list(dict.fromkeys(run.record.spec.network for run in self.runs))

    def of(self, network: str) -> list[Run]:
        """The finished runs of a network, by seed."""
        return [run for run in self.runs if run.record.spec.network == network]

    def failed_of(self, network: str) -> list[RunRecord]:
        """The failed runs of a network, by seed."""
        return [record for record in self.failed if record.spec.network == network]

    @property
    def fixed_labels(self) -> list[str]:
        """Rows of the table at a fixed iteration, ascending."""
        return sorted(self.protocol.report_at, key=lambda label: (self.protocol.report_at[label], label))

    @property
    def labels(self) -> list[str]:
        """All rows of the table: the fixed iterations, then the one chosen on val."""
        return [*self.fixed_labels, BEST]

    @property
    def last_label(self) -> str:
        """The last fixed iteration's row."""
        return self.fixed_labels[-1]

    @property
    def shown_label(self) -> str:
        """The row that plots and further tables are of: the chosen one where train is scored there too."""
        return BEST if self.protocol.score_train_selected else self.last_label

    @property
    def shown_checkpoint(self) -> str:
        """That row; the last fixed one with its iteration, since a reduced run's `80K` is not at 80,000."""
        label = self.shown_label
        if label == BEST:
            return f"{BEST} ({SCORE_NAMES[self.protocol.select_by]})"
        return f"{label} (iteration {self.protocol.report_at[label]:,})"


@dataclass(frozen=True, kw_only=True)
class SuiteRecords:
    """All that a suite's report is made from, but for the measurements.

    unreadable: one line each, paths relative to the results folder. outdated: run id and why it is left out.
    """

    suite: Suite
    dataset: datasets.DatasetInfo
    groups: tuple[Group, ...]
    unreadable: tuple[str, ...] = ()
    outdated: tuple[tuple[str, str], ...] = ()
    networks: tuple[str, ...] = ()

    @property
    def failed(self) -> list[tuple[Group, RunRecord]]:
        """Every failed run with its group."""
        return [(group, record) for group in self.groups for record in group.failed]


def title(network: str) -> str:
    """What the paper calls a network; for an architecture that is not registered here, its own name.

    Of plugins that share a name, the one at hand has its title, the others show the hash of their source.
    """
    architecture, _, made = network.rpartition("+")
    if made in REFINED_TITLES:
        return f"{title(architecture)}-{REFINED_TITLES[made]}"
    name, _, source = network.partition("#")
    try:
        found = architectures.info(name)
    except architectures.ArchitectureError:
        return network
    return found.title if source in ("", found.source[:8]) else network


def network_order(suite: Suite, found: Sequence[str]) -> list[str]:
    """Networks in one order for all tables and plots: the suite's, then the registry's, then by name."""
    plain = list(dict.fromkeys([*suite.architectures, *architectures.names()]))
    known = [one for name in plain for one in (name, *(f"{name}+{made}" for made in REFINED_TITLES))]
    return [name for name in known if name in found] + sorted(set(found) - set(known))


def input_size(protocol: Protocol, dataset: datasets.DatasetInfo) -> tuple[int, int]:
    """(height, width) in pixels of what the networks were fed."""
    return protocol.size or dataset.size
