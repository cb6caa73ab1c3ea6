"""What the pages of a suite show: tables as Markdown, notes once each, pictures and files; templates do the rest."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.config.protocol import Protocol, load_protocol
from harness.config.suite import Suite
from harness.report.card import card
from harness.report.claims_page import LINES
from harness.report.collect import SuiteRecords
from harness.report.commands import commands, measure_command
from harness.report.comparability import fewer_epochs
from harness.report.grouping import input_size
from harness.report.plots import Drawing, NoPlot, Palette, drawings
from harness.report.plots.base import GroupData
from harness.report.render import render
from harness.report.resources import MeasurementGroup
from harness.report.scored_data import Source
from harness.report.sections import Section
from harness.report.store import title
from harness.report.tables.overview import shown_label
from harness.report.tables.per_class import class_grid
from harness.report.tables.render import markdown
from harness.report.tables.spec import Table, note, tables_of
from harness.system.errors import UserError

Files = dict[str, bytes]
Picture = tuple[str, str, str]  # title, path in the suite's folder, caption (Markdown, one paragraph)
Remark = tuple[str, str]  # title of a plot, and why there is none
MOST_CLASSES = 20  # in a table of the page
_LONGEST_SLUG = 56  # of a device's measurements in a file's name
# Folder of pictures made of a dataset that is not ours to spread; ignored by git.
LOCAL = "local"


@dataclass(frozen=True, kw_only=True)
class SectionPage:
    """What is shown of a section. overview: the table at the top and its notes, for the home page too."""

    slug: str
    heading: str
    reduced: str
    checkpoint: str
    trained: int
    failed: int
    overview: str
    notes: Mapping[str, str]
    pictures: Sequence[Picture]


def section_files(section: Section, named: str, palette: Palette, source: Source | None) -> tuple[Files, SectionPage]:
    """Every file of a section by its path in the suite's folder, and what other pages show of it.

    Args:
        section: groups that stand together.
        named: heading of its page.
        palette: the suite's.
        source: pictures of the data that it was scored on, if they may be had.
    """
    slug, tables = section.slug, {table.spec.name: table for table in tables_of(section, "scores")}
    files: Files = {}
    for table in tables.values():
        for name, text in table.files(f"{named}: {table.spec.heading}").items():
            files[f"{slug}/{name}"] = text.encode()
    # in Tables 1 and 4 further class weights are rows beside the first ones: their pictures would fill the page again
    joined = section.groups[1:] if section.suite.table in ("table1", "table4") else ()
    further = [one.protocol.class_weighting for one in joined]
    drawn, pictures, linked, remarks = _placed(_drawn(section, tables, palette, source), slug, further)
    files |= drawn
    first = next(iter(tables.values()), None)
    reduced = section.group.reduced
    fewer = fewer_epochs(section.group.protocol, section.dataset, section.suite.table, reduced)
    page = SectionPage(
        slug=slug,
        heading=named,
        reduced="; ".join([*reduced, *fewer]) if reduced else "",
        checkpoint=shown_label(section),
        trained=sum(len(group.runs) for group in section.groups),
        failed=sum(len(group.failed) for group in section.groups),
        overview=first.markdown if first else "",
        notes=first.notes if first else {},
        pictures=pictures,
    )
    shown = [table for table in tables.values() if table.spec.shown]
    notes = {name: text for table in shown for name, text in table.notes.items()}
    text = render(
        "section.md.j2",
        page=page,
        section=section,
        tables=[(table.spec.heading, table.markdown) for table in shown],
        notes=notes | _small_input(section),
        card=card(section),
        commands=[line for group in section.groups for line in commands(group, section.suite)],
        classes=_classes(tables),
        worst=_worst(tables),
        records=[run.record for group in section.groups for run in group.runs],
        minutes=_minutes(section),
        several=max((len(group.of(name)) for group in section.groups for name in group.networks), default=0) > 1,
        protocol=_described(section.group.protocol),
        failures=[(record.run_id, record.failure) for group in section.groups for record in group.failed],
        pictures=[(head, path.removeprefix(f"{slug}/"), caption) for head, path, caption in pictures],
        linked=[(head, path.removeprefix(f"{slug}/")) for head, path, _ in linked],
        remarks=remarks,
        files=sorted(name.removeprefix(f"{slug}/") for name in files if name.endswith((".csv", ".tex"))),
    )
    return {f"{slug}/README.md": text.encode(), **files}, page


def _described(protocol: Protocol) -> Protocol:
    """The protocol as its file describes it now, which may say it better than a record; the record's if it has gone."""
    try:
        return load_protocol(protocol.name)
    except UserError:
        return protocol


def _minutes(section: Section) -> dict[str, dict[str, list[str]]]:
    """Device -> network -> minutes that each of its trainings took, in the order of the seeds; not of recipes."""
    found: dict[str, dict[str, list[str]]] = {}
    for run in section.runs if section.suite.table != "recipes" else ():
        record, weighting = run.record, run.record.spec.protocol.class_weighting
        if record.timing is not None and not record.spec.postprocess:
            name = title(record.spec.architecture) + ("" if len(section.groups) == 1 else f" ({weighting})")
            texts = found.setdefault(record.device, {}).setdefault(name, [])
            texts.append(f"{record.timing.train_s / 60:.3g}")
    return found


def _small_input(section: Section) -> dict[str, str]:
    """What an input below the dataset's own does to the networks of Tables 3 and 4."""
    size, full = input_size(section.group.protocol, section.dataset), section.dataset.size
    if size[0] * size[1] >= full[0] * full[1] or section.suite.table in ("table1", "none"):
        return {}
    return {"small-input": text} if (text := note("small-input", section, {"size": size})) else {}


def _classes(tables: Mapping[str, Table]) -> str:
    """IoU by class and network; of many classes the file alone has it, and a picture."""
    found = tables.get("per-class")
    few = found is not None and found.frame["class"].nunique() <= MOST_CLASSES
    return markdown(class_grid(found.frame, "iou")) if found and few else ""


def _worst(tables: Mapping[str, Table]) -> str:
    """Number and mIoU of the images with the lowest one, a row a network."""
    if "worst-images" not in tables:
        return ""
    frame = tables["worst-images"].frame
    frame = frame[frame["class_weighting"] == frame["class_weighting"].iloc[0]]
    cells = {
        network: ", ".join(
            f"{image_id or image} ({miou:.0f})"
            for image, image_id, miou in zip(rows["image"], rows["image_id"], rows["miou"], strict=True)
        )
        for network, rows in frame.groupby("network", sort=False)
    }
    return markdown(pd.DataFrame({"network": list(cells), "lowest first": list(cells.values())}), 2)


def _drawn(
    section: Section, tables: Mapping[str, Table], palette: Palette, source: Source | None
) -> Iterator[tuple[str, Drawing | NoPlot]]:
    """The pictures, each after what tells it from another class weighting's; those of Table 1 join the weightings."""
    if section.suite.table == "recipes":
        if "recipes" in tables:
            yield from (("", one) for one in drawings("recipes", section.group, tables["recipes"].frame, palette))
        return
    if "table1" in tables:
        yield from (("", one) for one in drawings("table1", section, tables["table1"].frame, palette))
    for one in section.groups if "per-class" in tables else ():
        if not one.runs:
            continue
        frame = tables["per-class"].frame
        data = GroupData(
            group=one,
            palette=palette,
            per_class=frame[frame["class_weighting"] == one.protocol.class_weighting],
            costs_by_fit=section.costs_by_fit,
            source=source if source is not None and source.digest == one.spec.dataset_hash else None,
        )
        weighting = one.protocol.class_weighting if len(section.groups) > 1 else ""
        yield from ((weighting, drawn) for drawn in drawings("group", data))
        if section.dataset.synthetic and data.source is None:
            reason = "none, since the runs were scored on another edition of the drawn data"
            yield weighting, NoPlot(title="Predictions", reason=reason)


def _placed(
    made: Iterable[tuple[str, Drawing | NoPlot]], slug: str, further: Collection[str]
) -> tuple[Files, list[Picture], list[Picture], list[Remark]]:
    """Files in a section's folder, those that the page shows, those of `further` class weights that it links to, and
    a line on each that there can't be.

    Drawings of data that is not ours to spread lie apart and are not shown.
    """
    files: Files = {}
    shown: list[Picture] = []
    linked: list[Picture] = []
    remarks: list[Remark] = []
    for weighting, one in made:
        if isinstance(one, NoPlot):
            remarks.append((one.title, one.reason))
            continue
        name = f"{weighting}-{one.name}" if weighting else one.name
        path = f"{LOCAL}/{slug}/{name}" if one.local else f"{slug}/{name}"
        files[path] = one.data
        head = f"{one.title}, {weighting} class weights" if weighting else one.title
        if not one.local:
            (linked if weighting in further else shown).append((head, path, one.caption))
    return files, shown, linked, list(dict.fromkeys(remarks))


def costs_files(records: SuiteRecords, palette: Palette) -> Files:
    """`costs.md` of a suite with the files of each device; empty where nothing was measured."""
    files: Files = {}
    devices = []
    for group in records.measurements.groups:
        tables = list(tables_of(Section(records=records, device=group), "costs"))
        slug = _short(group)
        for table in tables:
            stem = f"{table.spec.name}-{slug}"
            made = table.files(f"{group.heading}: {table.spec.heading}", stem)
            files |= {name: text.encode() for name, text in made.items()}
        drawn = {one.name.replace(group.slug, slug): one for one in _pictures(drawings("device", group))}
        files |= {path: one.data for path, one in drawn.items()}
        latex = [(table.spec.heading, name) for table in tables if (name := f"{table.spec.name}-{slug}.tex") in files]
        devices.append(_device(group, tables, [(one.title, path, one.caption) for path, one in drawn.items()], latex))
    growth = []
    for series in records.measurements.series:
        for one in _pictures(drawings("series", series, palette)):
            path = one.name.replace(series.slug, series.slug[:_LONGEST_SLUG])
            files[path] = one.data
            growth.append((f"{one.title}: {series.heading}", path, one.caption))
    if not devices:
        return {}
    parts = [one for one in devices if not one["reduced"]], [one for one in devices if one["reduced"]]
    page = _costs_page(records.suite, devices, growth)
    if page.count("\n") > LINES and all(parts):  # reduced inputs have a page of their own then
        page = _costs_page(records.suite, parts[0], growth, further=("reduced inputs", "costs-reduced.md"))
        files["costs-reduced.md"] = _costs_page(records.suite, parts[1], further=("full inputs", "costs.md")).encode()
    return {"costs.md": page.encode(), **files}


def _costs_page(
    suite: Suite,
    devices: Sequence[Mapping[str, Any]],
    growth: Sequence[tuple[str, str, str]] = (),
    further: tuple[str, str] | None = None,
) -> str:
    """The page of devices with its notes. further: the other page's name and path, where there are two."""
    notes = {name: text for device in devices for name, text in device["notes"].items()}
    return render("costs.md.j2", suite=suite, devices=devices, notes=notes, growth=growth, further=further)


def _pictures(made: Sequence[Drawing | NoPlot]) -> list[Drawing]:
    return [one for one in made if isinstance(one, Drawing)]


def _device(
    group: MeasurementGroup,
    tables: Sequence[Table],
    pictures: Sequence[tuple[str, str, str]],
    latex: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    """What `costs.md.j2` shows of one device."""
    machines = [machine for record in group.records for machine in record.environments]
    flags: dict[str, list[str]] = {}
    for record in group.records:
        for flag in record.flags:
            flags.setdefault(flag.partition(": ")[2] or flag, []).append(title(record.spec.architecture))
    doubts: dict[str, list[str]] = {}  # a line for each set of networks
    for flag, names in flags.items():
        doubts.setdefault(", ".join(names), []).append(flag)
    reasons = {
        f"{cell.key}: {cell.failure.message}": title(record.spec.architecture)
        for record in group.records
        for cell in record.failures
        if cell.failure
    }
    return {
        "name": group.heading,
        "reduced": group.reduced,
        "tables": [(table.spec.heading, table.markdown) for table in tables if len(table.rows)],
        "notes": {name: text for table in tables for name, text in table.notes.items()},
        "torch": sorted({str(machine["torch"]) for machine in machines if machine.get("torch")}),
        "driver": sorted({str(machine["driver"]) for machine in machines if machine.get("driver")}),
        "commits": sorted({str(machine["git_commit"])[:10] for machine in machines if machine.get("git_commit")}),
        "doubts": {names: "; ".join(found) for names, found in doubts.items()},
        "failed": reasons,
        "command": measure_command(group),
        "pictures": pictures,
        "latex": latex,
        "stem": _short(group),
    }


def _short(group: MeasurementGroup) -> str:
    """The group's slug; a long one is cut, and its hash makes it one of its own."""
    if len(group.slug) <= _LONGEST_SLUG:
        return group.slug
    return f"{group.slug[: _LONGEST_SLUG - 9]}-{hashlib.sha256(group.slug.encode()).hexdigest()[:8]}"
