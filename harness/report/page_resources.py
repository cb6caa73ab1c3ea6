"""The page's sections on resources: the tables and plots of each device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.report.groups import SuiteRecords
from harness.report.links import file_links, picture_sections
from harness.report.resource_tables import general_notes
from harness.report.sheets import Sheet, body
from harness.report.table6 import comparison
from harness.report.tables import listing


@dataclass(frozen=True, kw_only=True)
class DevicePage:
    """What the page shows of one device's measurements.

    full_file: start of the names of the files that hold them in full. pictures: title -> file. remarks: what
    is missing, and why.
    """

    sheet: Sheet
    full_file: str
    command: str
    pictures: Mapping[str, str]
    remarks: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class GrowthPage:
    """What the page shows of one device at several sizes and batches. pictures, remarks: as of a device."""

    heading: str
    pictures: Mapping[str, str]
    remarks: Sequence[str]


def device_sections(records: SuiteRecords, devices: Sequence[DevicePage], growth: Sequence[GrowthPage]) -> list[str]:
    """The tables of each device, then how its figures grow."""
    against = comparison(records.suite, records.dataset)
    if not devices:
        return [
            "## Resources\n",
            "No measurement at a size of this suite's runs: `python -m harness measure`.",
        ]
    head = "Resources (Table 6)" if against.table == "table3" else "Resources"
    text = [f"## {head}\n", listing(general_notes(against))]
    for device in devices:
        mark = f"**{device.sheet.mark}**\n" if device.sheet.mark else ""
        text += [f"### {device.sheet.heading}\n", mark, *body(device.sheet, level=4)]
        text += [
            file_links("Files", "", _names(device.sheet.file)),
            file_links(
                "In full: rounds, energy, state of the device, shares of its peak, what memory is made of",
                "",
                _names(device.full_file),
            ),
            f"Made by `{device.command}`.",
            *picture_sections(device.pictures),
            listing(device.remarks) if device.remarks else "",
        ]
    for one in growth:
        text += [f"### {one.heading}\n", *picture_sections(one.pictures)]
        text.append(listing(one.remarks) if one.remarks else "")
    return text


def _names(start: str) -> list[str]:
    return [f"{start}.{kind}" for kind in ("md", "csv", "tex")]
