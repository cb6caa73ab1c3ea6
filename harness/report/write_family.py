"""The files of one family: Table 1 and its plots, Tables 4 and 5, or a comparison of recipes."""

from harness.report import rates_tables, table1_tables, table4_tables
from harness.report.families import Family
from harness.report.figures import Palette
from harness.report.groups import SuiteRecords, input_size
from harness.report.page import FamilyPage
from harness.report.rates import rates
from harness.report.resources import Measurements
from harness.report.table1 import NO_MEASUREMENT, measurement_for, table1
from harness.report.table1_plots import StorageContext, storage_plot
from harness.report.table1_tables import Table1, sheet_of, table1_files
from harness.report.table4 import table4, table5


def family_files(
    family: Family, records: SuiteRecords, measurements: Measurements, colors: Palette
) -> tuple[dict[str, bytes], FamilyPage]:
    """Every file of a family by its path in the suite's folder, and what the page shows of it."""
    dataset = records.dataset
    measured = measurement_for(family, input_size(family.first.protocol, dataset), measurements)
    frame = table1(family, records.suite, measured)
    table = Table1(family=family, dataset=dataset, frame=frame, measured=measured)
    files = {f"{family.slug}/{name}": text.encode() for name, text in table1_files(table).items()}
    pictures, remarks = {}, []
    for metric in ("mIoU", "BF"):
        name = f"Storage versus {metric}"
        data = None
        if measured is not None:
            context = StorageContext(family=family, dataset=dataset, palette=colors, frame=frame, measured=measured)
            data = storage_plot(context, metric)
        if data is None:
            reasons = sorted(set(frame["storage_bytes_reason"].dropna())) if measured else [NO_MEASUREMENT]
            why = "; ".join(reasons) or "no finished run"
            remarks.append(f"{name}: no plot, since no network has both a score and a storage: {why}.")
        else:
            path = f"{family.slug}/storage-{metric.lower()}.png"
            files[path] = data
            pictures[name] = path
    sheet = sheet_of(table)
    entry = FamilyPage(
        family=family,
        heading=sheet.heading,
        mark=sheet.mark,
        text=table1_tables.body(sheet, level=4),
        files=("table1.md", "table1.csv", "table1.tex"),
        pictures=pictures,
        remarks=remarks,
    )
    return files, entry


def accuracy_family_files(family: Family, records: SuiteRecords) -> tuple[dict[str, bytes], FamilyPage]:
    """The same of Tables 4 and 5."""
    dataset = records.dataset
    tables = table4_tables.Tables(
        family=family,
        dataset=dataset,
        accuracies=table4(family, dataset),
        classes=table5(family, dataset),
    )
    texts = table4_tables.tables_files(tables)
    entry = FamilyPage(
        family=family,
        heading=tables.heading,
        mark=tables.mark,
        text=table4_tables.body(tables, level=4),
        files=tuple(texts),
        pictures={},
        remarks=(),
    )
    return {f"{family.slug}/{name}": text.encode() for name, text in texts.items()}, entry


def rates_family_files(family: Family, records: SuiteRecords, colors: Palette) -> tuple[dict[str, bytes], FamilyPage]:
    """The same of a comparison of recipes on val."""
    made = rates_tables.Rates(family=family, suite=records.suite, dataset=records.dataset, frame=rates(family))
    texts = rates_tables.rates_files(made)
    files = {f"{family.slug}/{name}": text.encode() for name, text in texts.items()}
    plot, pictures = rates_tables.rates_plot(made, colors), {}
    if plot is not None:
        path = f"{family.slug}/rates.png"
        files[path] = plot
        pictures["mIoU by learning rate"] = path
    entry = FamilyPage(
        family=family,
        heading=made.heading,
        mark=made.mark,
        text=rates_tables.body(made),
        files=tuple(texts),
        pictures=pictures,
        remarks=(),
    )
    return files, entry
