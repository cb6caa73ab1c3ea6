"""Writing the reports: all files of a folder are made first, then put in place; what no longer applies goes."""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

import datasets
from harness.config.suite import load_suite, suite_names
from harness.report.claims import claims_files
from harness.report.collect import SuiteRecords, collect, suites_of
from harness.report.frames import load_measurements, load_results
from harness.report.grouping import told_apart
from harness.report.indices import indices_files
from harness.report.pages import Files, SectionPage, costs_files, section_files
from harness.report.parallel import in_parallel
from harness.report.performance import performance_files
from harness.report.plots import Drawing, drawings, palette
from harness.report.rank_stability import rank_stability, rank_stability_text
from harness.report.render import render
from harness.report.runtimes import runtimes_files
from harness.report.scored_data import Source, open_source
from harness.report.sections import Section, heading, sections
from harness.report.store import Store, read_store
from harness.report.tables.render import csv
from harness.report.training_length import training_length, training_length_text
from harness.system.errors import UserError
from harness.system.files import write_atomically

# What stands over the suites: folder -> title and what makes its files.
_COMPARED = {
    "runtimes": ("Other runtimes and precisions", runtimes_files),
    "performance": ("The harness against the PyTorch baseline", performance_files),
    "indices": ("How pooling indices are stored", indices_files),
}
# What a report consists of; nothing else in its folder is ever removed.
_KINDS = (".md", ".csv", ".tex", ".png")


def write_reports(
    results: Path | Store, reports: Path, suites: Sequence[str] | None = None, data_root: str | None = None
) -> list[Path]:
    """Write `reports/<suite>/` for every suite that has a record, and what stands over them.

    That is `README.md`, `results.csv`, `measurements.csv`, `claims.md`, `indices/` and `performance/`.

    Args:
        results: the results folder, or what was read from it.
        reports: the reports folder.
        suites: only these; none: all, and what stands over them.
        data_root: folder that holds the datasets, for panels with image and truth, which stay local; none:
            such panels are made for drawn data only, which is embedded.

    Returns:
        The files written, each suite's page first. Empty where there is no record.

    Raises:
        UserError: unknown suite, or a folder that can't be written.
        datasets.DatasetError: `data_root` was given and the data there can't be used.
    """
    for name in suites or ():
        load_suite(name)
    store = read_store(results)
    flat = load_results(store)
    collected: dict[str, SuiteRecords] = {}
    asked: list[tuple[SuiteRecords, list[Section]]] = []
    parts: list[Callable[[], Any]] = []
    for name, suite in suites_of(store, suite_names()):
        records = collected[suite.name] = collect(store, suite)
        if (not suites or {name, suite.name} & {*suites}) and not _is_empty(records):
            asked.append((records, sections(records)))
            parts += _suite_parts(*asked[-1], data_root)
    if suites is None:
        parts += [partial(files_of, store.results) for _, files_of in _COMPARED.values()]
        parts.append(partial(claims_files, collected))
    made = iter(in_parallel(parts))
    written: list[Path] = []
    shown: list[tuple[Section, SectionPage]] = []
    for records, found in asked:
        files, pages = _suite_files(records, found, list(islice(made, len(found) + 1)), flat)
        written += _replace(reports / records.suite.name, files)
        shown += pages
    if suites is None:
        *compared, claims = made
        for folder, files in zip(_COMPARED, compared, strict=True):
            written += _replace(reports / folder, files) if files else []
        there = {path.relative_to(reports) for path in written} | {Path(path) for path in claims}
        further = home_files(store, flat, shown, [*collected.values()], there) | claims
        for path, data in further.items() if written else ():
            write_atomically(reports / path, data)
            written.append(reports / path)
    return written


def _is_empty(records: SuiteRecords) -> bool:
    own = [line for line in records.unreadable if f"-{records.dataset.name}-s" in line]
    measured = {one.spec.architecture for group in records.measurements.groups for one in group.records}
    return not (records.groups or records.outdated or own or measured - set(records.suite.references))


def _suite_parts(
    records: SuiteRecords, found: Sequence[Section], data_root: str | None
) -> list[Callable[[], tuple[Files, SectionPage] | Files]]:
    """What makes the files of a suite's sections, and those of its costs."""
    source = open_source(records.dataset, data_root)
    if source is not None:
        _check_edition(records, source, data_root)
    colors = palette(records.suite, records.networks)
    names, slugs = [section.name for section in found], [section.slug for section in found]
    heads = told_apart([heading(section) for section in found], [section.group for section in found], names, slugs)
    each = [partial(section_files, one, head, colors, source) for one, head in zip(found, heads, strict=True)]
    return [*each, partial(costs_files, records, colors)]


def _suite_files(
    records: SuiteRecords, found: Sequence[Section], made: Sequence[Any], results: pd.DataFrame
) -> tuple[Files, list[tuple[Section, SectionPage]]]:
    """Every file of a suite's report by its path in the suite's folder, the page first; and its sections.

    `made` is what its parts gave, `results` is `load_results` of all runs.
    """
    *each, costs = made
    files = {**costs}
    pages = []
    for section, (own, page) in zip(found, each, strict=True):
        files |= own
        pages.append((section, page))
    further, texts = _over_groups(records, results)
    files |= further
    text = render(
        "suite.md.j2",
        suite=records.suite,
        pages=[page for _, page in pages],
        measured=records.measurements.groups,
        costs="costs.md" in files,
        sections=texts,
        tables=sorted(further),
        unreadable=[*records.unreadable, *records.measurements.unreadable],
        outdated=[*records.outdated, *records.measurements.outdated],
    )
    return {"README.md": text.encode(), **files}, pages


def _over_groups(records: SuiteRecords, results: pd.DataFrame) -> tuple[Files, list[str]]:
    """What is compared over several groups: the order of networks over seeds, and lengths of training."""
    own = results[results["group"].isin([group.slug for group in records.groups if group.runs])]
    files: Files = {}
    texts: list[str] = []
    if records.suite.table == "recipes":
        return files, texts
    compared = {
        "rank-stability.csv": (rank_stability, rank_stability_text),
        "training-length.csv": (training_length, training_length_text),
    }
    for name, (made_of, text_of) in compared.items():
        if not (frame := made_of(own)).empty:
            files[name] = csv(frame).encode()
            texts.append(text_of(frame))
    return files, texts


def _common(notes: Sequence[Iterable[str]]) -> list[str]:
    """Notes that stand under every one of the tables."""
    first, *others = [list(one) for one in notes] or [[]]
    return [text for text in first if all(text in one for one in others)]


def _check_edition(records: SuiteRecords, source: Source, data_root: str | None) -> None:
    """A data root of which no run was scored would give no panel: say so rather than leave them out."""
    scored = [group.spec.dataset_hash for group in records.groups if group.runs]
    if data_root is not None and not records.dataset.synthetic and scored and source.digest not in scored:
        raise datasets.DatasetError(
            f"{records.dataset.name} in {data_root} is edition {source.test.variant} ({source.digest[:12]}), "
            "on which no recorded run was scored; name the data root of the runs, or none"
        )


def home_files(
    store: Store,
    results: pd.DataFrame,
    shown: Sequence[tuple[Section, SectionPage]],
    collected: Sequence[SuiteRecords],
    files: Container[Path],
) -> Files:
    """`README.md` over all suites, and the flat files of results and measurements.

    Args:
        store: of all runs.
        results: `load_results` of it.
        shown: the sections of all suites.
        collected: of all suites.
        files: paths in the reports folder of what is there, for links.
    """
    suites = [one.suite for one in collected]
    costs = [suite.name for suite in suites if Path(suite.name, "costs.md") in files]
    trained = {one.suite.name for one in collected if one.groups}
    own = [(section, page) for section, page in shown if not section.dataset.synthetic and page.trained]
    first: dict[str, tuple[Section, SectionPage]] = {}
    for section, page in own:
        if section.group.protocol.score_test:
            first.setdefault(section.suite.name, (section, page))
    # each suite's first section, and those that differ from it in initial weights or precision
    top = [
        (section, page)
        for section, page in own
        if (leading := first.get(section.suite.name)) and section.name == leading[0].name
    ]
    picture = next(
        ((head, f"{section.suite.name}/{path}") for section, page in top for head, path, _ in page.pictures), None
    )
    alike = [section for section, _ in top if section.suite.name == top[0][0].suite.name]
    overall = [one for one in drawings("home", alike) if isinstance(one, Drawing)] if alike else []
    text = render(
        "home.md.j2",
        top=top,
        overall=overall,
        further=[pair for pair in shown if pair not in top],
        recorded=bool(store.records),
        notes=_common([page.notes.values() for _, page in top]),
        picture=picture,
        measured=costs,
        untrained=[suite for suite in suites if suite.name in costs and suite.name not in trained],
        claims=Path("claims.md") in files,
        compared={folder: head for folder, (head, _) in _COMPARED.items() if Path(folder, "README.md") in files},
        unreadable=store.unreadable,
    )
    results = results.assign(aAcc=results["global_accuracy"], mAcc=results["class_accuracy"])
    return {
        "README.md": text.encode(),
        **{one.name: one.data for one in overall},
        "results.csv": _flat(results),
        "measurements.csv": _flat(load_measurements(store)),
    }


def _flat(frame: pd.DataFrame) -> bytes:
    """Nine digits that count: enough for a count of parameters and for a share."""
    return frame.to_csv(index=False, float_format="%.9g", lineterminator="\n").encode()


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
