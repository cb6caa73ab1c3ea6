"""The paper's own figures as the judges take them: no noise is known of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from harness import paper
from harness.metrics.significance import Sample, counted
from harness.paper.rules import Quantity, Subject, Table
from harness.system.quantities import NotMeasured

_Values = dict[tuple[str, str, str], float]
_CHECKPOINTS: Mapping[Table, str] = {"table3": "table3_camvid", "table4": "table4_sunrgbd"}
_RESOURCES: Mapping[Quantity, str] = {
    "inference_memory": "inference_memory_mb",
    "model_size": "model_size_mb",
    "forward": "forward_ms",
    "backward": "backward_ms",
}


@dataclass(frozen=True, kw_only=True)
class Published:
    """The figures of one table, by network, row and quantity."""

    values: Mapping[tuple[str, str, str], float]

    def figure(self, subject: Subject, quantity: Quantity) -> Sample | NotMeasured:
        """A figure, or that the paper does not give it."""
        found = self.values.get((subject.network, subject.row, quantity))
        return NotMeasured(reason="not given") if found is None else counted(found)


def published(table: Table) -> Published:
    """A table's figures: scores on test in percent, times in ms, memory and sizes in MB, storage in maps."""
    if table == "table1":
        return Published(values=_decoders())
    if table == "table6":
        return Published(values=_resources())
    return Published(values=_checkpoints(_CHECKPOINTS[table]))


def _decoders() -> _Values:
    values: _Values = {}
    for decoder in paper.decoders():
        if decoder.storage_multiplier is not None:
            values[decoder.variant, "", "decoder_storage"] = decoder.storage_multiplier
        for (class_weighting, split), scores in decoder.scores.items():
            if split == "test":
                values |= {(decoder.variant, class_weighting, metric): value for metric, value in scores.items()}
    return values


def _checkpoints(name: str) -> _Values:
    return {
        (str(row["network"]), str(row["checkpoint"]), metric): float(row[metric])
        for row in paper.table(name).to_dict("records")
        for metric in ("G", "C", "mIoU", "BF")
        if not pd.isna(row[metric])
    }


def _resources() -> _Values:
    return {
        (row.network, "", quantity): float(getattr(row, field))
        for row in paper.resources()
        for quantity, field in _RESOURCES.items()
    }
