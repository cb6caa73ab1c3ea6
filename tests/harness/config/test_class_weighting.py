"""Class weights, by hand and against the figures that are known of CamVid."""

from pathlib import Path

import numpy as np
import pytest

import datasets
from harness.config.class_weighting import class_weights, inverse_root_weights, median_frequency_weights
from harness.config.protocol import load_protocol
from harness.system.errors import UserError

# shared/reference: recomputed from the 367 training labels by others, and the published weights.
CAMVID_MEDIAN = [0.2793, 0.2017, 4.7865, 0.1490, 1.0, 0.4217, 3.8467, 1.9736, 0.7889, 6.3747, 8.8587]
PUBLISHED = [0.2595, 0.1826, 4.5640, 0.1417, 0.9051, 0.3826, 9.6446, 1.8418, 0.6823, 6.2478, 7.3614]


def test_median_frequency_by_hand() -> None:
    # class 0 in both images, 1 in the first, 2 in the second, 3 in none; images of 100 pixels, some void
    pixels = np.array([[60, 20, 0, 0], [20, 0, 50, 0]])
    # frequencies 80/200, 20/100, 50/100; their median 0.4
    assert median_frequency_weights(pixels, 100) == pytest.approx([1.0, 2.0, 0.8, 0.0])


def test_inverse_root_by_hand() -> None:
    weights = inverse_root_weights(np.array([900, 100, 0]))
    assert weights[1] / weights[0] == pytest.approx(3.0)
    assert weights[2] == 0
    assert 0.9 * weights[0] + 0.1 * weights[1] == pytest.approx(1.0)


def test_natural_has_none_and_the_published_ones_are_copied() -> None:
    pixels = np.ones((2, 11), dtype=np.int64)
    assert class_weights("natural", "camvid", pixels, 22) is None
    assert class_weights("segnet-release", "camvid", pixels, 22) == pytest.approx(PUBLISHED)
    balanced = class_weights("median", "camvid", pixels, 22)
    assert balanced is not None and balanced == pytest.approx(np.ones(11))


def test_no_weights_were_published_for_other_data() -> None:
    with pytest.raises(UserError, match="no weights were published for roads; only for camvid"):
        class_weights("segnet-release", "roads", np.ones((2, 11), dtype=np.int64), 22)
    with pytest.raises(UserError, match=r"override of quick@2.*no weights were published for roads"):
        load_protocol("quick@2").override({"class_weighting": "segnet-release"})


@pytest.mark.slow
def test_median_frequencies_of_camvid(shared: Path) -> None:
    train = datasets.load("camvid", "train", str(shared / "data"))
    pixels = np.stack([np.bincount(train[i][1].ravel(), minlength=256)[:11] for i in range(len(train))])
    found = median_frequency_weights(pixels, 360 * 480)
    assert found == pytest.approx(CAMVID_MEDIAN, abs=6e-5)
    assert not np.allclose(found, PUBLISHED, rtol=0.05)
