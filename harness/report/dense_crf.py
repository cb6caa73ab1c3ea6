"""The dense CRF in the accuracy tables: its time as a column, its parameters and what they were chosen on."""

import numpy as np
import pandas as pd

from harness.records.crf import CrfRecord
from harness.records.run import RunRecord
from harness.report.groups import Group, title

CRF_TIME = "dense_crf_ms"
CRF_TIME_HEAD = "dense CRF, s an image"


def crf_time_ms(group: Group, network: object) -> float:
    """Median time of the CRF for one image, mean over seeds; NaN for a network without it."""
    records = [run.record for run in group.runs if run.record.spec.network == network]
    times = [record.crf.time.median_ms for record in records if record.crf]
    return float(np.mean(times)) if times else np.nan


def crf_time_cells(frame: pd.DataFrame) -> dict[str, list[str]]:
    """The column of times, where there is one."""
    if CRF_TIME not in frame:
        return {}
    return {CRF_TIME_HEAD: ["–" if pd.isna(value) else f"{value / 1000:.2f}" for value in frame[CRF_TIME]]}


def crf_notes(group: Group) -> list[str]:
    """What a reader must know of each refined network's figures; empty where there is none."""
    found = [(run.record, run.record.crf) for run in group.runs if run.record.crf]
    notes = [_note(record, crf) for record, crf in found]
    if found:
        notes.append(
            f"'{CRF_TIME_HEAD}': median wall time in the course of the run, with building its kernels, "
            f"without the network: {'; '.join(dict.fromkeys(_timed(record, crf) for record, crf in found))}. "
            "No measurement with the machine alone."
        )
    return notes


def _note(record: RunRecord, crf: CrfRecord) -> str:
    """E.g. `DeepLab-LargeFOV-denseCRF, seed 0: ...`."""
    chosen = crf.parameters
    best = next(trial.scores for trial in crf.search if trial.parameters == chosen)
    height, width = crf.time.height, crf.time.width
    return (
        f"{title(record.spec.network)}, seed {record.spec.seed}: the output of `{crf.base_run}`, refined at "
        f"{height} x {width} by a fully connected CRF of {chosen.iterations} iterations. Of "
        f"{len(crf.search)} sets of parameters the one with the highest {crf.chosen_by} on "
        f"{len(crf.search_image_ids)} val images: bilateral weight {chosen.bilateral_weight:g}, "
        f"sigma {chosen.bilateral_sigma_px:g} pixels and "
        f"{chosen.color_sigma:g} of 255 in color; Gaussian weight {chosen.gaussian_weight:g}, sigma "
        f"{chosen.gaussian_sigma_px:g} pixels. mIoU on these images {100 * best.miou:.2f} %, without the CRF "
        f"{100 * crf.without.miou:.2f} %. Checkpoints that are not kept can't be refined."
    )


def _timed(record: RunRecord, crf: CrfRecord) -> str:
    threads = f", {crf.time.threads} thread{'s' if crf.time.threads > 1 else ''}" if crf.time.threads else ""
    return f"{crf.time.images} images of {crf.time.height} x {crf.time.width} on {record.device}{threads}"
