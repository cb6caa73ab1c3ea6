"""Writing a suite's report: all files are made first, then put in place; what no longer applies goes."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

import datasets
from harness.config.suite import Suite, load_suite, suite_names
from harness.report import accuracy
from harness.report.accuracy_tables import per_class_files, splits_files, table3_files
from harness.report.beside import in_parallel
from harness.report.checks import checks
from harness.report.checks_tables import checks_files, published_miou
from harness.report.claims import Collected, claims_files
from harness.report.collect import collect
from harness.report.families import families
from harness.report.figures import palette
from harness.report.gallery import Gallery, gallery
from harness.report.groups import SuiteRecords
from harness.report.indices import FOLDER as INDICES
from harness.report.indices import indices_files
from harness.report.lengths import lengths, lengths_frame
from harness.report.order import order_frame, orders
from harness.report.page import FamilyPage, GroupPage, PageContent, page
from harness.report.panels import Source, open_source
from harness.report.performance import FOLDER as PERFORMANCE
from harness.report.performance import performance_files
from harness.report.plots import PlotContext
from harness.report.resources import Measurements, collect_measurements
from harness.report.tables import csv
from harness.report.write_devices import measurement_files
from harness.report.write_family import accuracy_family_files, family_files, rates_family_files
from harness.system.errors import UserError
from harness.system.files import write_atomically

# What a report consists of; nothing else in its folder is ever removed.
_KINDS = (".md", ".csv", ".tex", ".png")


def write_suites(results: Path, reports: Path, suites: Sequence[str] | None, data_root: str | None) -> list[Path]:
    """What `harness.report.write_reports` does."""
    written: list[Path] = []
    collected: dict[str, Collected] = {}
    for name in suites or suite_names():
        records = collect(results, load_suite(name))
        measurements = collect_measurements(results, records)
        collected[name] = Collected(records=records, measurements=measurements)
        if _is_empty(records, measurements):
            continue
        written += _replace(reports / name, suite_files(records, measurements, data_root))
    if suites is None and (compared := indices_files(results)):
        written += _replace(reports / INDICES, compared)
    if suites is None and (measured := performance_files(results)):
        written += _replace(reports / PERFORMANCE, measured)
    if suites is None:
        for name, data in claims_files(collected).items():
            write_atomically(reports / name, data)
            written.append(reports / name)
    return written


def _is_empty(records: SuiteRecords, measurements: Measurements) -> bool:
    own = [line for line in records.unreadable if f"-{records.dataset.name}-s" in line]
    measured = {one.spec.architecture for group in measurements.groups for one in group.records}
    return not (records.groups or records.outdated or own or measured - set(records.suite.references))


def suite_files(records: SuiteRecords, measurements: Measurements, data_root: str | None) -> dict[str, bytes]:
    """Every file of a suite's report, by its path in the suite's folder; the page first."""
    dataset = records.dataset
    source = open_source(dataset, data_root)
    if source is not None:
        _check_edition(records, source, data_root)
    colors = palette(records.suite, records.networks)
    groups: list[Future[tuple[dict[str, bytes], GroupPage]]] = []
    joined: list[Future[tuple[dict[str, bytes], FamilyPage]]] = []
    joins = records.suite.table in ("table1", "table4", "recipes")
    together = families(records.suite, records.groups) if joins else ()
    # of a comparison of recipes the table that joins them is all
    apart = () if records.suite.table == "recipes" else records.groups
    with in_parallel(len(apart) + len(together) + 1) as pool:
        for group in apart:
            own = source if source is not None and source.digest == group.digest else None
            context = PlotContext(group=group, dataset=dataset, palette=colors)
            groups.append(pool.submit(_group_files, context, records.suite, measurements, own))
        for family in together:
            if records.suite.table == "recipes":
                joined.append(pool.submit(rates_family_files, family, records, colors))
            elif records.suite.table == "table1":
                joined.append(pool.submit(family_files, family, records, measurements, colors))
            else:
                joined.append(pool.submit(accuracy_family_files, family, records))
        measured, devices, growth = pool.submit(measurement_files, records, measurements, colors).result()
        files: dict[str, bytes] = {}
        for made in [one.result()[0] for one in groups] + [one.result()[0] for one in joined]:
            files |= made
    held = orders(apart)
    if held:
        files["order.csv"] = csv(order_frame(held)).encode()
    entries = [made.result()[1] for made in groups]
    longer = lengths([(one.group, one.checks) for one in entries if one.checks is not None])
    if longer:
        files["lengths.csv"] = csv(lengths_frame(longer)).encode()
    content = PageContent(
        records=records,
        measurements=measurements,
        groups=entries,
        families=[made.result()[1] for made in joined],
        orders=held,
        lengths=longer,
        devices=devices,
        growth=growth,
    )
    return {"README.md": page(content).encode(), **files, **measured}


def _check_edition(records: SuiteRecords, source: Source, data_root: str | None) -> None:
    """A data root of which no run was scored would give no panel: say so rather than leave them out."""
    scored = [group.digest for group in records.groups if group.runs]
    if data_root is not None and not records.dataset.synthetic and scored and source.digest not in scored:
        raise datasets.DatasetError(
            f"{records.dataset.name} in {data_root} is edition {source.test.variant} ({source.digest[:12]}), "
            "on which no recorded run was scored; name the data root of the runs, or none"
        )


def _group_files(
    context: PlotContext,
    suite: Suite,
    measurements: Measurements,
    source: Source | None,
) -> tuple[dict[str, bytes], GroupPage]:
    group, dataset = context.group, context.dataset
    splits = accuracy.splits(group)
    table3, texts = None, {}
    if suite.table in ("table3", "none"):
        table3 = accuracy.table3(group, dataset, alone=suite.table == "none")
        texts = table3_files(group, dataset, table3, suite.table)
    found, checked = Gallery(pictures=(), remarks=()), None
    if group.runs:
        checked = checks(group, dataset, published_miou(group, dataset, suite.table))
        per_class = accuracy.per_class(group, dataset)
        texts |= splits_files(group, dataset, splits) | per_class_files(group, dataset, per_class)
        texts |= checks_files(group, checked)
        found = gallery(context, per_class, measurements, source)
    files = {f"{group.slug}/{name}": text.encode() for name, text in texts.items()}
    files |= {picture.path: picture.data for picture in found.pictures}
    entry = GroupPage(
        group=group,
        table3=table3,
        splits=splits,
        checks=checked,
        pictures={picture.title: picture.path for picture in found.pictures if picture.shown},
        remarks=found.remarks,
    )
    return files, entry


def _replace(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Put the files in place one by one and remove those of a former report that are not among them."""
    for name, data in files.items():
        write_atomically(folder / name, data)
    kept = {folder / name for name in files}
    former = [path for path in folder.rglob("*") if path.suffix in _KINDS and path.is_file()]
    try:
        for path in former:
            if path not in kept:
                path.unlink(missing_ok=True)  # another process may write the same report
        for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
            if not any(path.iterdir()):
                path.rmdir()
    except OSError as error:
        raise UserError(f"can't clear {folder}: {error.strerror}; choose another --reports") from error
    return [folder / name for name in files]
