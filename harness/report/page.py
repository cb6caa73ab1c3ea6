"""The page that ties a suite's report together: README.md in Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import pandas as pd

from datasets import DatasetInfo
from harness.config.optimizers import OPTIMIZERS
from harness.config.protocol import Protocol
from harness.records.run import RunRecord
from harness.report.accuracy_tables import (
    TABLE_NAMES,
    drawn_notes,
    splits_text,
    stem,
    table3_notes,
    table3_text,
)
from harness.report.checks_tables import checks_section
from harness.report.families import Family
from harness.report.groups import SCORE_NAMES, Group, SuiteRecords, input_size, title
from harness.report.lengths import Lengths, lengths_section
from harness.report.links import file_links, heading_link, picture_sections
from harness.report.order import Order, order_section
from harness.report.page_resources import DevicePage, GrowthPage, device_sections
from harness.report.resources import Measurements
from harness.report.tables import listing, markdown
from harness.report.wording import (
    augmentation_words,
    class_weighting_words,
    commands,
    extent,
    loss_words,
    ranking_notes,
    reduced_mark,
)


@dataclass(frozen=True, kw_only=True)
class GroupPage:
    """What the page shows of one group.

    table3: none in a suite that fills another table. checks: of `checks.checks`, none without a finished run.
    pictures: title -> file, of the plots and panels that there are. remarks: what is missing, and why.
    """

    group: Group
    table3: pd.DataFrame | None
    splits: pd.DataFrame
    checks: pd.DataFrame | None
    pictures: Mapping[str, str]
    remarks: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class FamilyPage:
    """What the page shows of the groups that Table 1 or 4 joins.

    text: the tables and their notes in Markdown, files: their names. pictures and remarks: as of a group.
    """

    family: Family
    heading: str
    mark: str
    text: Sequence[str]
    files: Sequence[str]
    pictures: Mapping[str, str]
    remarks: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class PageContent:
    """All that a suite's page is made of.

    families: only of a suite that fills Table 1 or 4, or compares recipes. orders: of networks that were
    trained with several seeds or initial weights. lengths: of those trained for several numbers of
    iterations. growth: of each device, at several sizes and batches.
    """

    records: SuiteRecords
    measurements: Measurements
    groups: Sequence[GroupPage]
    families: Sequence[FamilyPage]
    devices: Sequence[DevicePage]
    orders: Sequence[Order] = ()
    lengths: Sequence[Lengths] = ()
    growth: Sequence[GrowthPage] = ()


def page(content: PageContent) -> str:
    """README.md of a suite."""
    records, suite = content.records, content.records.suite
    text = [
        f"# {suite.title}\n",
        f"Report of suite `{suite.name}`, regenerated from the records in `results/` alone by "
        f"`python -m harness report --suite {suite.name}`. Do not edit it by hand.\n",
        "## Contents\n",
        _contents(content),
    ]
    for head, reduced in (("Full runs", False), ("REDUCED runs: never to be compared with full ones", True)):
        chosen = [one for one in content.groups if bool(one.group.reduced) == reduced]
        joined = [one for one in content.families if bool(one.family.first.reduced) == reduced]
        if chosen or joined:
            text.append(f"## {head}\n")
            for family in joined:
                text += _family_section(family)
            for order in content.orders:
                if bool(order.groups[0].reduced) == reduced:
                    text += [*order_section(order), file_links("File", "", ("order.csv",))]
            for several in content.lengths:
                if bool(several.groups[0].reduced) == reduced:
                    text += [*lengths_section(several), file_links("File", "", ("lengths.csv",))]
            for one in chosen:
                text += _group_section(records, one)
    if suite.measures:
        text += device_sections(records, content.devices, content.growth)
    text += _runs_section(records)
    text += _left_out_section(records, content.measurements)
    return "\n".join(part.rstrip("\n") + "\n" for part in text if part)


def _contents(content: PageContent) -> str:
    marked = [(heading_link(family.heading), family.mark) for family in content.families]
    marked += [(f"Accuracy: {heading_link(_group_head(one.group))}", reduced_mark(one.group)) for one in content.groups]
    if not marked:
        marked.append(("No run of this suite is recorded yet", ""))
    marked += [(f"Resources: {heading_link(one.sheet.heading)}", one.sheet.mark) for one in content.devices]
    lines = [f"{text}.{f' **{mark}**' if mark else ''}" for text, mark in marked]
    lines.append(f"{heading_link('Runs')}: every record, {len(content.records.failed)} failed.")
    return listing(lines)


def _group_head(group: Group) -> str:
    """Unlike that of every other group: where the slug names the edition of the data, so does the heading."""
    edition = group.digest[:8]
    named = f" {edition}" if group.slug.endswith(f"-{edition}") else ""
    return f"{group.protocol.title} on {group.variant}{named}, {group.computed}, {group.weights.title}"


def _group_section(records: SuiteRecords, one: GroupPage) -> list[str]:
    group, dataset = one.group, records.dataset
    table = records.suite.table
    mark = reduced_mark(group)
    files = f"{quote(group.slug)}/"
    text = [f"### {_group_head(group)}\n", f"**{mark}**\n" if mark else "", listing(_facts(records, group))]
    small = []
    if one.table3 is not None:
        text += [
            f"#### {TABLE_NAMES[table]} (test split)\n\n{markdown(table3_text(one.table3, dataset), 2)}",
            listing(table3_notes(group, dataset, one.table3, table)),
            file_links("Files", files, tuple(f"{stem(table)}.{kind}" for kind in ("md", "csv", "tex"))),
        ]
    else:
        small = ranking_notes(group, dataset, table)
    if group.runs:
        small = [*drawn_notes(one.splits), *small]
        text += [
            f"#### Train, val and test side by side\n\n{markdown(splits_text(one.splits))}",
            "A large step from train to test is over-fitting.\n",
            listing(small) if small else "",
            file_links("Files", files, ("splits.md", "splits.csv")),
            *([checks_section(group, dataset, one.checks)] if one.checks is not None else []),
            file_links("Files", files, ("checks.csv",)),
            file_links("Per-class accuracy and IoU", files, ("per-class.md", "per-class.csv")),
        ]
    return [*text, *picture_sections(one.pictures), listing(one.remarks) if one.remarks else ""]


def _family_section(one: FamilyPage) -> list[str]:
    return [
        f"### {one.heading}\n",
        f"**{one.mark}**\n" if one.mark else "",
        *one.text,
        file_links("Files", f"{quote(one.family.slug)}/", one.files),
        *picture_sections(one.pictures),
        listing(one.remarks) if one.remarks else "",
    ]


def _made_on(group: Group) -> list[str]:
    """Devices and versions of torch: of training, and of refining its output."""
    every = [*(run.record for run in group.runs), *group.failed]
    lines = []
    for done, refined in (("Trained", False), ("Refined by the dense CRF", True)):
        own = [record for record in every if bool(record.spec.postprocess) is refined]
        devices = sorted({record.device for record in own})
        versions = sorted({str(record.environment.get("torch", "unknown")) for record in own})
        if own:
            lines.append(f"{done} on: {'; '.join(devices)}. torch {', '.join(versions)}.")
    return lines


def _facts(records: SuiteRecords, group: Group) -> list[str]:
    dataset, protocol = records.dataset, group.protocol
    images = ", ".join(f"{split} {count}" for split, count in dataset.splits.items())
    size = extent(input_size(protocol, dataset))
    return [
        f"Data: {dataset.title}, variant `{group.variant}`, {images}; SHA-256 of its content `{group.digest}`.",
        f"Protocol `{protocol.title}`: {protocol.summary}. Input {size}, batch {protocol.batch_size}, "
        f"{protocol.iterations:,} iterations, "
        f"{OPTIMIZERS[protocol.optimizer].title}, rate {protocol.lr:g} ({protocol.lr_scheduler}), momentum "
        f"{protocol.momentum:g}, weight decay {protocol.weight_decay:g}"
        f"{' (of batch-norm shifts too)' if protocol.decay_bn_bias else ''}"
        f"{', each image standardized' if protocol.standardize else ''}"
        f"{', local response normalization' if protocol.local_response_norm else ''}"
        f"{', mirrored at random' if protocol.hflip else ''}"
        f"{augmentation_words(protocol)}"
        f"{loss_words(protocol)}"
        f"{f', {weighted}' if (weighted := class_weighting_words(protocol)) else ''}"
        f"{_dropout(protocol)}{_choice(protocol)}. "
        f"Scored at the labels' full size, {extent(dataset.size)}.",
        f"Precision: {group.computed}.",
        _weights(group),
        *_made_on(group),
        f"Made by {commands(group, records.suite)}{_placeholders(group, dataset)}.",
    ]


def _dropout(protocol: Protocol) -> str:
    if protocol.dropout is None:
        return ""
    return f", every dropout rate {protocol.dropout:g}" if protocol.dropout else ", no dropout"


def _choice(protocol: Protocol) -> str:
    """When training ends early and which iteration is the best, where it is not plainly the best val mIoU."""
    text, every = "", f"{protocol.eval_interval:,}"
    if protocol.early_stopping_min_delta is not None:
        text = (
            f", ended early where the mean loss over {every} iterations is not lower by "
            f"{100 * protocol.early_stopping_min_delta:g} % than over the {every} before"
        )
    if protocol.select_by != "mIoU":
        text += f", best iteration by val {SCORE_NAMES[protocol.select_by]} every {every}"
    return text


def _placeholders(group: Group, dataset: DatasetInfo) -> str:
    """What the words in capitals of the command stand for."""
    meant = [] if dataset.synthetic else ["FOLDER is the one that holds the dataset's folder"]
    if group.weights.kind == "file":
        meant.append("FILE the initial weights of the SHA-256 above")
    return f" ({', '.join(meant)})" if meant else ""


def _weights(group: Group) -> str:
    """What the initial weights set, with the layers' names where they are a part of the encoder's."""
    if group.weights.kind == "none":
        return f"Initial weights: none loaded, {group.weights.title}"
    digest = f" (SHA-256 `{group.weights.sha256}`)" if group.weights.sha256 else ""
    text = f"Initial weights of the encoder: {group.weights.title}{digest}"
    layers: dict[tuple[tuple[str, ...], int], list[str]] = {}
    for name in group.networks:
        record = group.of(name)[0].record
        if record.layers_set:
            layers.setdefault((record.layers_set, record.encoder_layers), []).append(title(name))
    for (names, total), networks in layers.items():
        which = "all" if len(names) == total else ", ".join(names)
        whose = "" if len(networks) == len(group.networks) else f" of {', '.join(networks)}"
        text += f"; they set {len(names)} of {total} layers{whose}: {which}"
    return f"{text}. Where they set nothing, the architecture's own initialization stands."


def _runs_section(records: SuiteRecords) -> list[str]:
    found = [(group, run.record) for group in records.groups for run in group.runs] + records.failed
    if not found:
        return []
    rows = [_run_row(group, record) for group, record in found]
    text = ["## Runs\n", markdown(pd.DataFrame(rows), text_columns=3)]
    failed = [(record, record.failure) for _, record in records.failed if record.failure]
    lines = [
        f"`{record.run_id}`: {failure.kind}"
        f"{f' at iteration {failure.iteration:,}' if failure.iteration else ''}: {failure.message}"
        for record, failure in failed
    ]
    return [*text, f"### Failed runs\n\n{listing(lines)}" if lines else "No run failed."]


def _run_row(group: Group, record: RunRecord) -> dict[str, str]:
    commit = record.environment.get("git_commit")
    dirty = " (changed)" if record.environment.get("git_dirty") else ""
    failure = record.failure
    return {
        "run": record.run_id,
        "network": title(record.spec.network),
        "protocol": group.protocol.title,
        "seed": str(record.spec.seed),
        "status": f"FAILED: {failure.kind}" if failure else _finished(record),
        "best by val at": "–" if record.best_iteration is None else f"{record.best_iteration:,}",
        "wall time, min (no measurement of speed)": f"{record.timing.total_s / 60:.1f}" if record.timing else "–",
        "code": f"{str(commit)[:10]}{dirty}" if commit else "unknown",
    }


def _finished(record: RunRecord) -> str:
    done, all_of_them = record.trained_iterations, record.spec.protocol.iterations
    return f"finished after {done:,} of {all_of_them:,}" if done and done < all_of_them else "finished"


def _left_out_section(records: SuiteRecords, measurements: Measurements) -> list[str]:
    lines = [f"unreadable: {line}" for line in (*records.unreadable, *measurements.unreadable)]
    lines += [f"of another revision: `{name}`: {why}" for name, why in (*records.outdated, *measurements.outdated)]
    if not lines:
        return []
    return ["## Records left out\n", listing(lines)]
