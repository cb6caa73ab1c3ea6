"""The paper's own figures: Tables 1 to 6 of Badrinarayanan, Kendall, Cipolla, "SegNet", PAMI 2017.

The CSV files beside this module were transcribed by hand from arXiv 1511.00561v3; an empty cell is
"not given". They are facts to compare with, measured on other hardware than ours and, but for Table 1, on
other data.
"""

from dataclasses import dataclass
from importlib.resources import files

import pandas as pd

from harness.metrics.bootstrap import SCORES

# What the paper trained Table 3 on: CamVid and three other road-scene sets (section 4.1).
TRAINING_IMAGES = 3433
# What it trained Table 1 on: CamVid alone.
DECODER_TRAINING_IMAGES = 367
# What it trained Tables 4 and 5 on: the training split of SUN RGB-D.
SUN_TRAINING_IMAGES = 5285
# What it scored them on.
SUN_TEST_IMAGES = 5050
# Table 6: input of its single image.
RESOURCE_SIZE = (360, 480)


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """One row of Table 3 or 4. Scores in percent."""

    network: str
    checkpoint: str
    iterations: int
    scores: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """A variant of Table 1, with the rows of both class_weightings and both splits.

    storage_multiplier: maps kept for the decoder at the first pooled resolution; none where not given.
    scores: class weighting and split -> metric -> percent; BF of test only.
    """

    variant: str
    params_m: float
    storage_multiplier: float | None
    infer_ms: float
    scores: dict[tuple[str, str], dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """One row of Table 6: times of batch 1, memory by nvidia-smi (training batch 4, inference batch 1)."""

    network: str
    forward_ms: float
    backward_ms: float
    train_memory_mb: float
    inference_memory_mb: float
    model_size_mb: float


def table(name: str) -> pd.DataFrame:
    """One of the CSV files, such as `table3_camvid`; a cell that the paper leaves empty is NaN.

    Raises:
        FileNotFoundError: no table of that name.
    """
    with (files(__name__) / f"{name}.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)


def accuracies() -> tuple[Accuracy, ...]:
    """Table 3 (CamVid test) in the paper's order."""
    return _accuracies("table3_camvid")


def sun_accuracies() -> tuple[Accuracy, ...]:
    """Table 4 (SUN RGB-D test) in the paper's order."""
    return _accuracies("table4_sunrgbd")


def sun_class_accuracies() -> dict[str, float]:
    """Table 5: accuracy of SegNet's best row of Table 4 by class, in percent, in the order of the labels."""
    rows = table("table5_sunrgbd_classes").to_dict("records")
    return {str(row["class"]): float(row["segnet_accuracy"]) for row in rows}


def _accuracies(name: str) -> tuple[Accuracy, ...]:
    return tuple(
        Accuracy(
            network=str(row["network"]),
            checkpoint=str(row["checkpoint"]),
            iterations=int(row["iterations"]),
            scores={metric: float(row[metric]) for metric in SCORES},
        )
        for row in table(name).to_dict("records")
    )


def decoders() -> tuple[Decoder, ...]:
    """Table 1 (decoder variants on CamVid) in the paper's order."""
    found = []
    for variant, own in table("table1_decoder_variants").groupby("variant", sort=False):
        rows = own.to_dict("records")
        first = rows[0]
        multiplier = first["storage_multiplier"]
        found.append(
            Decoder(
                variant=str(variant),
                params_m=float(first["params_m"]),
                storage_multiplier=None if pd.isna(multiplier) else float(multiplier),
                infer_ms=float(first["infer_ms"]),
                scores={
                    (str(row["class_weighting"]), str(row["split"])): {
                        metric: float(row[metric]) for metric in SCORES if not pd.isna(row[metric])
                    }
                    for row in rows
                },
            )
        )
    return tuple(found)


def resources() -> tuple[Resources, ...]:
    """Table 6 in the paper's order."""
    rows = table("table6_resources").set_index("network").astype(float).iterrows()
    return tuple(Resources(network=str(network), **dict(zip(row.index, row, strict=True))) for network, row in rows)
