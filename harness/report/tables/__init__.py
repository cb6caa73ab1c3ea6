"""Tables: a module each with a `TABLE`, registered by being here; `spec` and `render` are what they share."""

from harness.report.tables.render import csv, latex, listing, markdown, percent, signed, significant, spread
from harness.report.tables.spec import TABLES, Column, Section, Table, TableSpec, tables_of

__all__ = [
    "TABLES",
    "Column",
    "Section",
    "Table",
    "TableSpec",
    "csv",
    "latex",
    "listing",
    "markdown",
    "percent",
    "signed",
    "significant",
    "spread",
    "tables_of",
]
