"""A frame as `harness.load_results` gives it, of made-up runs; of the columns those that sweeps look at."""

from collections.abc import Mapping

import pandas as pd

TITLES = {"segnet": "SegNet", "fcn8s": "FCN-8s", "deeplab-largefov": "DeepLab-LargeFOV", "deconvnet": "DeconvNet"}
SPLITS = ("train", "val", "test")


def rows(scores: Mapping[str, float], **changes: object) -> pd.DataFrame:
    """Runs of one seed, scored at "half" and "best", mIoU of test by architecture; train is 20 above, val 10."""
    found = []
    for name, miou in scores.items():
        for checkpoint, share in (("half", 0.5), ("best", 1.0)):
            for split, more in zip(SPLITS, (20, 10, 0), strict=True):
                row: dict[str, object] = {
                    **{"network": name, "title": TITLES.get(name, name), "postprocess": "", "dataset": "camvid"},
                    **{"dataset_sha256": "d", "protocol": "camvid@2", "protocol_title": "camvid@2", "overrides": ""},
                    **{"precision": "fp32", "compiled": "no", "evaluation_revision": 2, "seed": 0},
                    **{"initial_weights_title": "VGG16", "initial_weights_sha256": "ab"},
                    **{"split": split, "checkpoint": checkpoint, "iteration": 1000, "bf": 50.0},
                    **changes,
                    "miou": (miou + more) * share,
                }
                row["run_id"] = f"{name}-{row['seed']}-{row['overrides']}-{row['initial_weights_title']}"
                row["iteration"] = int(share * int(str(row["iteration"])))
                if split == "train":
                    row["checkpoint"] = "end"  # as it is where val chooses an earlier iteration
                found.append(row)
    return pd.DataFrame(found)
