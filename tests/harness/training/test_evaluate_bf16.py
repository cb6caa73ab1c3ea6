"""What bfloat16 costs in accuracy on drawn scenes, against what another seed costs.

The figures are printed: `python -m pytest tests/harness/training/test_evaluate_bf16.py -s`. One to two minutes on
a core that has no bfloat16 instructions.
"""

from pathlib import Path

import numpy as np
import pytest

from harness.metrics import scores
from harness.training.precise_bn import reestimate
from tests.harness.helpers import tiny_protocol
from tests.harness.training.test_train import losses_of, make_run

ITERATIONS = 60
FP32_SEEDS, BF16_SEEDS = range(6), range(3)


@pytest.mark.slow
def test_bf16_costs_no_accuracy_that_seeds_do_not(tmp_path: Path, drawn_cache: Path) -> None:
    """Trained and scored in bfloat16, val mIoU stays within the spread of float32's seeds.

    The same seeds start from the same weights and see the same batches, so that the difference of each pair
    is due to precision alone. Their mean may be as large as two standard errors of a float32 mean over as
    many seeds: a cost of that size could not be told from having drawn other seeds.
    """
    protocol = tiny_protocol(size="20x24", iterations=str(ITERATIONS), lr="0.003", score_train="false", dropout="0.0")
    found: dict[str, list[float]] = {}
    for precision, seeds in (("fp32", FP32_SEEDS), ("bf16", BF16_SEEDS)):
        found[precision] = []
        for seed in seeds:
            changes = {"architecture": "bilinear-interpolation", "protocol": protocol, "precision": precision}
            run = make_run(tmp_path / f"{precision}-{seed}", drawn_cache, seed=seed, **changes)
            losses_of(run, ITERATIONS)
            reestimate(run.model, run.data["train"], protocol.batch_size, run.spec.precision)
            found[precision].append(scores(run._score("val").matrices.sum(0)).miou)
    fp32, bf16 = np.array(found["fp32"]), np.array(found["bf16"])
    cost = fp32[: len(bf16)].mean() - bf16.mean()
    allowed = 2 * fp32.std(ddof=1) / np.sqrt(len(bf16))
    print(f"\nval mIoU on roads, fp32 {fp32.round(4)}, bf16 {bf16.round(4)}: cost {cost:.4f} of {allowed:.4f}")
    assert fp32.min() > 1 / 11  # more than any single class everywhere can give
    assert not np.array_equal(bf16, fp32[: len(bf16)])  # it was another precision
    assert abs(cost) <= allowed
