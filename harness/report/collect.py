"""Collecting: the records of a suite, read and sorted into groups, full ones first."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

import architectures
import datasets
from harness.config.run_spec import METRICS_REVISION, InitialWeights
from harness.config.suite import Suite, load_suite, suite_names
from harness.records.run import RunRecord, StoredRun, load_runs
from harness.report.groups import Group, Run, Scored, SuiteRecords, network_order


def collect(results: Path, suite: Suite) -> SuiteRecords:
    """Read a suite's records and sort them into groups, full ones first."""
    stored, unreadable = load_runs(results)
    others = _others(suite)
    lines = [line.replace(f"{results}/", "") for line in unreadable]
    lines = [line for line in lines if _may_be_of(line, suite, others)]
    current: list[StoredRun] = []
    outdated: list[tuple[str, str]] = []
    for run in stored:
        if suite.covers(run.record.spec):
            reason = _outdated(run.record)
            if reason:
                outdated.append((run.record.run_id, reason))
            else:
                current.append(run)
    order = network_order(suite, [run.record.spec.network for run in current])
    finished: list[Run] = []
    failed: list[RunRecord] = []
    for run in sorted(current, key=lambda run: (order.index(run.record.spec.network), run.record.spec.seed)):
        if run.record.status == "failed":
            failed.append(run.record)
            continue
        try:
            finished.append(_load(run))
        except ValueError as error:
            lines.append(f"runs/{run.record.run_id}: {' '.join(str(error).replace(f'{results}/', '').split())}")
    return SuiteRecords(
        suite=suite,
        dataset=datasets.info(suite.dataset),
        groups=_groups(suite, finished, failed),
        unreadable=tuple(sorted(lines)),
        outdated=tuple(outdated),
        networks=tuple(order),
    )


def _outdated(record: RunRecord) -> str:
    """Why a record must not stand beside current ones; empty if it may."""
    spec = record.spec
    if spec.metrics_revision != METRICS_REVISION:
        return f"scored with revision {spec.metrics_revision} of the metrics, now {METRICS_REVISION}"
    try:
        info = architectures.info(spec.architecture)
    except architectures.ArchitectureError:
        return ""  # registered by a plugin that a report need not load
    if spec.architecture_source == info.source and spec.architecture_revision != info.revision:
        return f"revision {spec.architecture_revision} of {spec.architecture}, now {info.revision}"
    return ""


def _others(suite: Suite) -> set[str]:
    """Architectures that are other suites' on the same dataset: not this one's, or here for reference."""
    found = (load_suite(name) for name in suite_names() if name != suite.name)
    theirs = {name for other in found if other.dataset == suite.dataset for name in other.architectures}
    return theirs - (set(suite.architectures) - set(suite.references))


def _may_be_of(line: str, suite: Suite, others: Collection[str]) -> bool:
    """Whether an unreadable record may belong to the suite: its folder is named by architecture and dataset.

    Args:
        line: which record, and what ails it.
        suite: on its dataset.
        others: architectures whose runs belong to another suite.
    """
    if any(f"/{architectures.file_name(name)}-{suite.dataset}-s" in line for name in others):
        return False
    return not any(f"-{name}-s" in line for name in datasets.names() if name != suite.dataset)


def _load(run: StoredRun) -> Run:
    run.check_pictures()
    scored = []
    for evaluation in run.record.evaluations:
        boundary = run.boundary(evaluation) if evaluation.boundary else None
        scored.append(Scored(evaluation=evaluation, matrices=run.matrices(evaluation), boundary=boundary))
    return Run(stored=run, scored=tuple(scored), history=run.history())


_Key = tuple[str, str, str, str, str, str, str, int]


def _key(record: RunRecord) -> _Key:
    spec = record.spec
    weights = spec.initial_weights
    return (
        spec.protocol.title,
        spec.dataset_variant,
        spec.dataset_hash,
        spec.precision,
        spec.compiled,
        weights.kind,
        weights.sha256 or weights.release,
        spec.evaluation_revision,
    )


def _groups(suite: Suite, finished: Sequence[Run], failed: Sequence[RunRecord]) -> tuple[Group, ...]:
    records = [run.record for run in finished] + list(failed)
    members: dict[_Key, list[RunRecord]] = {}
    for record in sorted(records, key=_key):
        members.setdefault(_key(record), []).append(record)
    plain = [_slug(group[0]) for group in members.values()]
    groups = []
    for (key, group), slug in zip(members.items(), plain, strict=True):
        first = group[0]
        # Two editions of a dataset can bear one name (an unknown copy of CamVid): the hash tells them apart.
        unique = slug if plain.count(slug) == 1 else f"{slug}-{first.spec.dataset_hash[:8]}"
        groups.append(
            Group(
                slug=unique,
                protocol=first.spec.protocol,
                variant=first.spec.dataset_variant,
                digest=first.spec.dataset_hash,
                precision=first.spec.precision,
                evaluation=first.spec.evaluation_revision,
                compiled=first.spec.compiled,
                weights=_shared_weights(group),
                reduced=next((record.reduced for record in group if record.reduced), ()),
                runs=tuple(run for run in finished if _key(run.record) == key),
                failed=tuple(record for record in failed if _key(record) == key),
            )
        )
    # reduced in fewer ways first: fewer iterations of the full input come before a smaller input
    return tuple(sorted(groups, key=lambda group: (len(group.reduced), *_protocol_order(suite, group), group.slug)))


def _shared_weights(records: Sequence[RunRecord]) -> InitialWeights:
    """Of the runs of a group, under a title that holds for all of them."""
    found = [record.spec.initial_weights for record in records]
    if found[0].kind == "file" or len({weights.title for weights in found}) == 1:
        return found[0]
    start = "ImageNet" if found[0].kind == "imagenet" else "random"
    return found[0].model_copy(update={"title": f"{start}, each network's own"})


def _protocol_order(suite: Suite, group: Group) -> tuple[int, int, int]:
    """The suite's own protocol first, the least reduced first; class_weightings in the suite's order."""
    protocol = group.protocol
    ranked = protocol.class_weighting in suite.class_weightings
    # of a suite without class_weightings the protocol's own comes first
    other = len(suite.class_weightings) + ("class_weighting" in protocol.overrides)
    class_weighting = suite.class_weightings.index(protocol.class_weighting) if ranked else other
    return suite.protocols.index(protocol.name), -protocol.iterations, class_weighting


def _slug(record: RunRecord) -> str:
    weights = record.spec.initial_weights
    start = weights.kind if weights.sha256 is None else f"{weights.kind}-{weights.sha256[:8]}"
    parts = (
        record.spec.protocol.title,
        record.spec.dataset_variant,
        record.spec.precision,
        *([f"compiled-{record.spec.compiled}"] if record.spec.compiled != "no" else []),
        f"weights-{start}",
    )
    return re.sub(r"[^A-Za-z0-9@+=._-]+", "-", "-".join(parts))
