"""Published figures as frames and as the judges take them: the paper's own, and other people's."""

from collections.abc import Mapping

import pandas as pd

from harness import paper
from harness.metrics.significance import Sample, counted
from harness.paper.judges import Figures
from harness.paper.rules import Quantity, Subject, Table
from harness.system.quantities import NotMeasured

_FILES: Mapping[Table, str] = {
    "table1": "table1_decoder_variants",
    "table3": "table3_camvid",
    "table4": "table4_sunrgbd",
    "table6": "table6_resources",
}
# Columns of the paper's tables by quantity; a score's column has its name.
_COLUMNS: Mapping[str, Quantity] = {
    "storage_multiplier": "decoder_storage",
    "inference_memory_mb": "inference_memory",
    "model_size_mb": "model_size",
    "forward_ms": "forward",
    "backward_ms": "backward",
    "G": "G",
    "C": "C",
    "mIoU": "mIoU",
    "BF": "BF",
}


def published(table: Table) -> Figures:
    """The paper's figures of a table: scores on test in percent, times in ms, memory in MB, storage in maps."""
    frame = paper.table(_FILES[table])
    if table == "table1":
        frame = frame[frame["split"] == "test"].rename(columns={"variant": "network", "class_weighting": "row"})
    frame = frame.rename(columns={"checkpoint": "row"})
    rows = frame["row"] if "row" in frame else pd.Series("", index=frame.index)
    values = {
        (network, "" if quantity == "decoder_storage" else row, quantity): float(value)
        for column, quantity in _COLUMNS.items()
        if column in frame
        for network, row, value in zip(frame["network"], rows, frame[column], strict=True)
        if not pd.isna(value)
    }

    def figure(subject: Subject, quantity: Quantity) -> Sample | NotMeasured:
        found = values.get((subject.network, subject.row, quantity))
        return NotMeasured(reason="not given") if found is None else counted(found)

    return figure


def other_figures() -> pd.DataFrame:
    """What others report of CamVid's 11 classes, trained on its 367 images; a row a network and source.

    Columns source, revision, architecture (as registered here; empty for one that is not), network (as the
    source names it), images, split, G, C, mIoU, mIoU_high (percent; the last where a range is given), remarks.
    """
    return paper.table("other_figures").fillna({"architecture": "", "revision": "", "remarks": ""})


def others_table(ours: pd.DataFrame) -> pd.DataFrame:
    """mIoU on CamVid's test images of the same networks, trained here and by others on the same 367 images.

    Args:
        ours: of one group of CamVid's runs, columns network (as registered), title, miou (percent); several seeds
            of a network are averaged.

    Returns:
        A row a source, ours ("here") first; columns source, one a network of `ours` by its title, remarks.
    """
    titles: dict[str, str] = dict(zip(ours["network"], ours["title"], strict=True))
    here = ours.groupby("title", sort=False)["miou"].mean().to_frame("here").T
    others = other_figures().query("split == 'test'")
    others = others[others["architecture"].isin(list(titles))]
    scores = others.pivot(index="source", columns="architecture", values="mIoU").rename(columns=titles)
    remarks = others.groupby("source")["remarks"].agg(lambda found: "; ".join(dict.fromkeys(filter(None, found))))
    table = pd.concat([here, scores.loc[others["source"].unique()]]).reindex(columns=list(titles.values()))
    table["remarks"] = remarks.reindex(table.index).fillna("")
    return table.rename_axis(index="source", columns=None).reset_index()
