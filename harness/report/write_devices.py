"""The files of a suite's measurements: Table 6, all in full, and their plots."""

from harness.records.measurement import INFERENCE_BATCH
from harness.report.figures import Palette
from harness.report.groups import SuiteRecords
from harness.report.growth_plots import batch_growth, size_growth
from harness.report.memory_plots import memory_breakdown
from harness.report.page_resources import DevicePage, GrowthPage
from harness.report.resource_tables import sheet_of, table6_files
from harness.report.resources import MeasurementGroup, Measurements, Series
from harness.report.resources_full_tables import full_files
from harness.report.table6 import comparison, table6
from harness.report.wording import describe_series, extent, measure_command

_Files = dict[str, bytes]


def measurement_files(
    records: SuiteRecords, measurements: Measurements, colors: Palette
) -> tuple[_Files, list[DevicePage], list[GrowthPage]]:
    """Every file of the measurements by its path in the suite's folder, and what the page shows of them."""
    files: _Files = {}
    devices, growth = [], []
    for group in measurements.groups:
        made, device = _device_files(records, group)
        files |= made
        devices.append(device)
    for series in measurements.series:
        made, page = _growth_files(series, colors)
        files |= made
        growth.append(page)
    return files, devices, growth


def _device_files(records: SuiteRecords, group: MeasurementGroup) -> tuple[_Files, DevicePage]:
    against = comparison(records.suite, records.dataset)
    frame = table6(group, against)
    full = full_files(group, against.table)
    files = {name: text.encode() for name, text in (table6_files(group, against, frame) | full).items()}
    name, path = "What memory is made of", f"memory-{group.slug}.png"
    pictures, remarks = {}, []
    if (data := memory_breakdown(group)) is not None:
        files[path] = data
        pictures[name] = path
    else:
        reasons = sorted({record.reason("shapes", INFERENCE_BATCH) for record in group.records})
        why = "; ".join(reasons) if group.plain else "it stands with the plain measurements"
        remarks.append(f"{name}: no plot, {why}.")
    page = DevicePage(
        sheet=sheet_of(group, against, frame),
        full_file=f"resources-full-{group.slug}",
        command=measure_command(group),
        pictures=pictures,
        remarks=remarks,
    )
    return files, page


def _growth_files(series: Series, colors: Palette) -> tuple[_Files, GrowthPage]:
    sizes = ", ".join(extent(size) for size in series.sizes)
    wanted = (
        (
            "Time against input size",
            f"growth-size-{series.slug}.png",
            size_growth(series, colors),
            f"no network has a forward time at two sizes (measured at {sizes})",
        ),
        (
            "Time against batch",
            f"growth-batch-{series.slug}.png",
            batch_growth(series, colors),
            "no network has a forward time at two batches",
        ),
    )
    files, pictures, remarks = {}, {}, []
    for name, path, data, why in wanted:
        if data is None:
            remarks.append(f"{name}: no plot, since {why}.")
        else:
            files[path] = data
            pictures[name] = path
    heading = f"Growth on {describe_series(series)}"
    return files, GrowthPage(heading=heading, pictures=pictures, remarks=remarks)
