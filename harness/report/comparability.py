"""How a dataset differs from what the paper trained on: the one mark beside every difference to the paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from datasets import DatasetInfo
from harness import paper
from harness.config.protocol import Protocol, load_protocol


@dataclass(frozen=True, kw_only=True)
class Training:
    """What the paper trained on for the table that a dataset's scores stand in.

    images: how many. remark: how ours differ, in a clause; a split's name in braces is its number of images.
    part_of: the dataset of the paper that holds ours and more, in test too; our scores can then only indicate
    what the paper's say. Empty where ours is the paper's.
    """

    images: int
    remark: str
    part_of: str = ""


_TRAINING: Mapping[str, Training] = MappingProxyType(
    {
        "camvid": Training(images=paper.TRAINING_IMAGES, remark="the paper trained on CamVid and three further sets"),
        "sunrgbd": Training(images=paper.SUN_TRAINING_IMAGES, remark="the paper held none out as val"),
        "nyuv2": Training(
            images=paper.SUN_TRAINING_IMAGES,
            remark="{val} of them are held out as val, and scores are over {test} test images, the paper's "
            f"over {paper.SUN_TEST_IMAGES}",
            part_of="SUN RGB-D",
        ),
    }
)


# The paper's own recipe, by the table that a suite fills.
_PROTOCOLS: Mapping[str, str] = MappingProxyType({"table1": "decoders@2", "table3": "camvid@2", "table4": "sunrgbd@2"})


def share_of_images(dataset: DatasetInfo) -> str:
    """`367 of 3433 images`: trained on here, and in the paper; not of drawn data."""
    theirs, splits = _TRAINING[dataset.name], dataset.splits
    if theirs.part_of:
        official = splits["train"] + splits["val"]
        return f"{official} of {theirs.images} training images, a part of {theirs.part_of}"
    return f"{splits['train']} of {theirs.images} images"


def not_like_for_like(dataset: DatasetInfo) -> str:
    """Why a difference to the paper is not one of the networks alone; empty for drawn data."""
    known = not dataset.synthetic and dataset.name in _TRAINING
    return f"not like for like: {share_of_images(dataset)}" if known else ""


def training_remark(dataset: DatasetInfo) -> str:
    """How the training images differ from the paper's, in a clause; empty for data that it has no figures of."""
    return _TRAINING[dataset.name].remark.format(**dataset.splits) if dataset.name in _TRAINING else ""


def paper_training_images(dataset: DatasetInfo, table: str) -> int | None:
    """How many images the paper trained on for that table of it and this dataset."""
    if dataset.synthetic or dataset.name not in _TRAINING:
        return None
    return paper.DECODER_TRAINING_IMAGES if table == "table1" else _TRAINING[dataset.name].images


def paper_protocol(table: str) -> Protocol:
    """The paper's own recipe for that table of it; any other scores are held against Table 3."""
    return load_protocol(_PROTOCOLS.get(table, _PROTOCOLS["table3"]))


def share_of_epochs(protocol: Protocol, dataset: DatasetInfo, table: str) -> float | None:
    """How often a run sees each training image, of how often the paper's recipe does; none on other data."""
    theirs, images = paper_protocol(table), paper_training_images(dataset, table)
    if images is None:
        return None
    ours = protocol.iterations * protocol.batch_size / dataset.splits["train"]
    return ours / (theirs.iterations * theirs.batch_size / images)


def fewer_epochs(protocol: Protocol, dataset: DatasetInfo, table: str, reduced: Sequence[str]) -> tuple[str, ...]:
    """`26 % of the paper's epochs`; nothing where there are as many, or where what makes a run reduced says it."""
    share = share_of_epochs(protocol, dataset, table)
    if share is None or share >= 1 or any("iterations" in text for text in reduced):
        return ()
    return (f"{100 * share:.0f} % of the paper's epochs",)


def part_of(dataset: DatasetInfo) -> str:
    """The dataset of the paper that holds this one and more; empty where ours is the paper's or synthetic."""
    theirs = _TRAINING.get(dataset.name)
    return theirs.part_of if theirs else ""
