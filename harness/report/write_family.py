"""The files of one family: Table 1 and its plots."""

from harness.report.families import Family
from harness.report.figures import Palette
from harness.report.groups import SuiteRecords, input_size
from harness.report.page import FamilyPage
from harness.report.resources import Measurements
from harness.report.table1 import NO_MEASUREMENT, measurement_for, table1
from harness.report.table1_plots import StorageContext, storage_plot
from harness.report.table1_tables import Table1, sheet_of, table1_files


def family_files(
    family: Family, records: SuiteRecords, measurements: Measurements, colours: Palette
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
            context = StorageContext(
                family=family, dataset=dataset, palette=colours, frame=frame, measured=measured
            )
            data = storage_plot(context, metric)
        if data is None:
            reasons = sorted(set(frame["storage_bytes_reason"].dropna())) if measured else [NO_MEASUREMENT]
            why = "; ".join(reasons) or "no finished run"
            remarks.append(f"{name}: no plot, since no network has both a score and a storage: {why}.")
        else:
            path = f"{family.slug}/storage-{metric.lower()}.png"
            files[path] = data
            pictures[name] = path
    entry = FamilyPage(family=family, sheet=sheet_of(table), pictures=pictures, remarks=remarks)
    return files, entry
