"""Table 1 of made-up runs, whose figures are computed by hand."""

from pathlib import Path

import pandas as pd

from harness.config.protocol import Protocol
from harness.config.suite import load_suite
from harness.report.collect import collect
from harness.report.families import Family, families
from harness.report.groups import input_size
from harness.report.resources import collect_measurements
from harness.report.table1 import measurement_for, table1
from harness.report.table1_tables import Table1
from tests.harness.report.made_up import PART, WHOLE, Store

SUITE = load_suite("decoders")
G_PART = 100 * 1060 / 1100
MIOU_PART = 100 * (0.6 + 100 / 140 + 9) / 11
# What the networks keep at 360 x 480, at the first pooled resolution: 64 maps of 2-bit codes are
# 180 * 240 * 64 / 4 bytes, a float map is 180 * 240 * 4.
CODES, FLOAT_MAP = 691_200, 172_800
KEPT = {
    "bilinear-interpolation": 0,
    "segnet-basic": CODES,
    "segnet-basic-encoder-addition": CODES + 64 * FLOAT_MAP,
    "segnet-basic-single-channel-decoder": CODES,
    "fcn-basic": 11 * FLOAT_MAP,
    "fcn-basic-no-addition": 0,
    "fcn-basic-no-dim-reduction": 64 * FLOAT_MAP,
    "fcn-basic-no-addition-no-dim-reduction": 0,
}


def of_class_weighting(protocol: Protocol, class_weighting: str) -> Protocol:
    return protocol.override({"class_weighting": class_weighting})


def add(store: Store, protocol: Protocol, name: str = "segnet-basic", class_weighting: str = "median") -> Path:
    """A run that is right in part on test, and wholly on train."""
    spec = store.spec(name, protocol=of_class_weighting(protocol, class_weighting))
    return store.run(spec, {"end": PART}, train=WHOLE, parameters=1_416_587)


def all_families(store: Store) -> tuple[Family, ...]:
    return families(SUITE, collect(store.results, SUITE).groups)


def made(store: Store) -> Table1:
    """Table 1 of the only family."""
    records = collect(store.results, SUITE)
    (family,) = families(SUITE, records.groups)
    size = input_size(family.first.protocol, records.dataset)
    measured = measurement_for(family, size, collect_measurements(store.results, records))
    frame = table1(family, SUITE, measured)
    return Table1(family=family, dataset=records.dataset, frame=frame, measured=measured)


def row(frame: pd.DataFrame, variant: str, class_weighting: str = "median", split: str = "test") -> pd.Series:
    wanted = frame["variant"].eq(variant) & frame["class_weighting"].eq(class_weighting) & frame["split"].eq(split)
    (index,) = frame.index[wanted]
    return frame.loc[index]
