"""Made-up specs for tests."""

from typing import Any

import datasets
from harness.config.initial_weights import HE
from harness.config.protocol import Protocol, load_protocol
from harness.config.run_spec import RunSpec


def tiny_protocol(**changes: str) -> Protocol:
    """quick@2 made so small that a run takes seconds, with AdamW, which learns in few steps."""
    small = {"size": "32x40", "iterations": "4", "batch_size": "2", "score_train": "true"}
    adamw = {"optimizer": "adamw", "lr": "1e-3", "weight_decay": "1e-2"}
    return load_protocol("quick@2").override({**small, **adamw, **changes})


def spec(**changes: Any) -> RunSpec:
    """A run's spec; any field can be changed."""
    values: dict[str, Any] = {
        "architecture": "segnet",
        "architecture_revision": 1,
        "dataset": "roads",
        "dataset_variant": "roads",
        "dataset_hash": datasets.content_hash("roads", None)[1],
        "num_classes": 11,
        "protocol": tiny_protocol(),
        "seed": 0,
        "initial_weights": HE,
        "precision": "fp32",
        **changes,
    }
    return RunSpec(**values)
