"""A reviewer's questions to a group's scores as text: the table, and what its figures can and can't say."""

import pandas as pd

from datasets import DatasetInfo
from harness import paper
from harness.config.suite import Table
from harness.report.accuracy_tables import with_origin
from harness.report.checks import FLAT, HARDLY, Published
from harness.report.comparability import share_of_images
from harness.report.groups import Group
from harness.report.tables import csv, listing, markdown, percent, signed


def published_miou(group: Group, dataset: DatasetInfo, table: Table) -> Published:
    """The paper's mIoU in the row of its table that the group shows; empty where there is none."""
    if dataset.synthetic:
        return Published()
    if table == "table1":
        test, train = (_decoders_miou(group, split) for split in ("test", "train"))
        return Published(test=test, train=train)
    rows = {"table3": paper.accuracies, "table4": paper.sun_accuracies}.get(table)
    if rows is None:
        return Published()
    found = {row.network: row.scores["mIoU"] for row in rows() if row.checkpoint == group.shown_label}
    return Published(test=found)


def _decoders_miou(group: Group, split: str) -> dict[str, float]:
    key = (group.protocol.class_weighting, split)
    return {row.variant: row.scores[key]["mIoU"] for row in paper.decoders() if key in row.scores}


def checks_text(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame of `checks.checks` as text cells; what no network has is left out."""
    columns: dict[str, list[str]] = {"network": list(frame["network"])}
    if frame["loss_last"].notna().any():
        columns["training loss, last tenth"] = [_loss(value) for value in frame["loss_last"]]
        columns["against the tenth before, %"] = [signed(value) for value in frame["loss_change"]]
    if frame["val"].notna().any():
        gaps = frame["val"] - frame["test"]
        columns["mIoU, val − test"] = [signed(value) for value in gaps]
    columns["mIoU, train − test"] = [signed(value) for value in frame["lost"]]
    if frame["paper"].notna().any():
        columns["below the paper's"] = [signed(value) for value in frame["shortfall"]]
    if frame["paper_train"].notna().any():
        columns["on train: below the paper's"] = [signed(value) for value in frame["unfitted"]]
    elif frame["paper"].notna().any():
        columns["of that: not learnt"] = [signed(value) for value in frame["not_learnt"]]
    columns["never predicted on test"] = [text or "–" for text in frame["never"]]
    columns[f"right in under {100 * HARDLY:g} %"] = [text or "–" for text in frame["hardly"]]
    if (frame["never"] + frame["hardly"]).any():
        columns["mIoU of the other classes"] = [percent(value) for value in frame["others"]]
    return pd.DataFrame(columns)


def checks_notes(group: Group, dataset: DatasetInfo, frame: pd.DataFrame) -> list[str]:
    """What the table's figures say, and what they can't."""
    notes = []
    if frame["loss_last"].notna().any():
        notes.append(_flatness(group, frame))
    below = frame["network"][frame["lost"] < 0]
    if len(below):
        notes.append(
            f"**Looks wrong**: train mIoU is below test: {', '.join(below)}. One that fits its training "
            "images has more on these."
        )
    if frame["paper_train"].notna().any():
        notes.append(_unfitted(group, frame))
    elif frame["paper"].notna().any():
        notes += _explanation(group, dataset, frame)
    return notes


def _flatness(group: Group, frame: pd.DataFrame) -> str:
    trained = frame[frame["loss_change"].notna()]
    falling = trained["loss_change"] < -100 * FLAT
    text = (
        "Training loss: mean cross-entropy over the last tenth of the iterations; flat is a fall of under "
        f"{100 * FLAT:g} %. "
    )
    text += f"Still falling: {_names(trained, falling)}." if falling.any() else "It is flat for every network."
    if group.protocol.lr_scheduler != "fixed":
        text += (
            f" The rate falls to zero ({group.protocol.lr_scheduler}), so a flat loss shows that the "
            "schedule is over, not that a longer one would end no lower."
        )
    return text


def _unfitted(group: Group, frame: pd.DataFrame) -> str:
    """Why the scores differ from Table 1's, which has the training images' too: the same 367."""
    told = frame[frame["unfitted"].notna()]
    least, most = told["unfitted"].min(), told["unfitted"].max()
    text = (
        f"The paper trained Table 1 on {paper.DECODER_TRAINING_IMAGES} images as well. On these it has mIoU "
        f"{percent(told['paper_train'].min())} to {percent(told['paper_train'].max())} %, "
        f"{percent(least)} to {percent(most)} points more than ours"
    )
    if least > 0:
        text += (
            ": its networks had fitted their training images further than these. The number of images is "
            f"no reason for that; it is left to {_left_to(group)}. How networks stand to each other here is "
            "how fast they learn, not what they reach."
        )
        return text
    return f"{text}."


def _left_to(group: Group) -> str:
    reasons = [*group.reduced]
    if group.weights.kind == "file":
        reasons.append(f"an encoder that starts from {group.weights.title}")
    return "; ".join(reasons) or "this recipe"


def _explanation(group: Group, dataset: DatasetInfo, frame: pd.DataFrame) -> list[str]:
    """Why the scores differ from the paper's, as far as these runs can tell."""
    told = frame[frame["not_learnt"].notna()]
    notes = [
        "Below the paper's = not learnt (the paper's mIoU on test minus ours on train) + what is lost from "
        "train to test (train − test)."
    ]
    short = told["not_learnt"] > 0
    if short.any():
        notes.append(
            "What is not learnt even on the training images can't be for want of more of them: here that is "
            f"left to {_left_to(group)}. So it is for {_names(told, short)}."
        )
    if len(told):
        less = told["lost"] < told["not_learnt"]
        notes.append(
            "What is lost from train to test is all that more images could win: "
            f"{share_of_images(dataset)} here. It is the smaller part for {_names(told, less)}."
        )
    return notes


def _names(frame: pd.DataFrame, chosen: "pd.Series[bool]") -> str:
    if chosen.all():
        return "every network"
    return ", ".join(frame["network"][chosen]) or "no network"


def _loss(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.3f}"


def checks_files(group: Group, frame: pd.DataFrame) -> dict[str, str]:
    """`checks.csv` of a group."""
    return {"checks.csv": csv(with_origin(group, frame))}


def checks_section(group: Group, dataset: DatasetInfo, frame: pd.DataFrame) -> str:
    """The table and its notes for the page."""
    cells = markdown(checks_text(frame))
    return f"#### What these scores rest on\n\n{cells}\n{listing(checks_notes(group, dataset, frame))}"
