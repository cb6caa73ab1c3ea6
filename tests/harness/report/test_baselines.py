"""The baselines that see no context: exact small cases, and their scores on CamVid."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.metrics import confusion_matrix, scores
from harness.report.baselines import ColorPositionClassifier, position_prior

VOID = 255
SHARED = Path(os.environ.get("SEGNET_SHARED", Path(__file__).parents[3].parent / "shared"))
CAMVID = SHARED / "data" / "CamVid"


class TestPositionPrior:
    def test_most_frequent_class_of_each_position(self) -> None:
        labels = np.array([[[0, 2]], [[1, 2]], [[1, 0]]], np.uint8)
        prior = position_prior(labels, 3)
        assert prior.dtype == np.uint8
        assert prior.tolist() == [[1, 2]]

    def test_void_is_not_counted(self) -> None:
        labels = np.array([[[VOID, 1]], [[VOID, 1]], [[2, 1]]], np.uint8)
        assert position_prior(labels, 3).tolist() == [[2, 1]]

    def test_ties_and_positions_that_are_always_void_take_the_lowest_class(self) -> None:
        labels = np.array([[[2, VOID]], [[1, VOID]]], np.uint8)
        assert position_prior(labels, 3).tolist() == [[1, 0]]

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (np.zeros((4, 5), int), r"labels must be \(N, H, W\)"),
            (np.full((2, 4, 5), VOID), "no pixel is labeled"),
            (np.zeros((0, 4, 5), int), "no pixel is labeled"),
            (np.full((2, 4, 5), 3), "labels hold 3, outside 0..2"),
            (np.full((2, 4, 5), -1), "labels hold -1, outside 0..2"),
        ],
    )
    def test_bad_labels_are_refused(self, labels: np.ndarray, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            position_prior(labels, 3)


def scenes(images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Reddish is class 0 on the left and 2 on the right, bluish is 1. Labels 3 times as large, some void."""
    rng = np.random.default_rng(seed)
    blue = rng.random((images, 12, 16)) < 0.5
    small = np.where(blue, 1, np.where(np.arange(16) < 8, 0, 2))
    pictures = rng.integers(0, 60, (images, 12, 16, 3))
    pictures[..., 0] += np.where(blue, 0, 180)
    pictures[..., 2] += np.where(blue, 180, 0)
    labels = small.repeat(3, axis=1).repeat(3, axis=2)
    labels[:, :3] = VOID
    return pictures.astype(np.uint8), labels.astype(np.uint8)


class TestColorPositionClassifier:
    def test_learns_what_depends_on_color_and_position_together(self) -> None:
        classifier = ColorPositionClassifier.fit(*scenes(8, 0), 3, pixels=20_000)
        images, labels = scenes(3, 1)
        for image, label in zip(images, labels, strict=True):
            prediction = classifier.predict(image, (12, 16))
            assert prediction.dtype == np.uint8
            matrix = confusion_matrix(prediction, label[1::3, 1::3], 3)
            assert scores(matrix).miou > 0.97

    def test_predicts_at_the_size_of_the_label(self) -> None:
        classifier = ColorPositionClassifier.fit(*scenes(4, 0), 3, pixels=20_000)
        image = np.zeros((12, 16, 3), np.uint8)
        image[:, :8], image[:, 8:] = (30, 30, 210), (210, 30, 30)
        prediction = classifier.predict(image, (37, 64))
        assert prediction.shape == (37, 64)
        # bilinear scores change sign within the two pixels of the picture beside its edge
        assert (prediction[:, :30] == 1).all() and (prediction[:, 34:] == 2).all()

    def test_seed_decides_the_outcome(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("harness.report.baselines.STEPS", 30)
        data = scenes(2, 0)
        first, again, other = (ColorPositionClassifier.fit(*data, 3, pixels=2000, seed=seed) for seed in (0, 0, 1))
        np.testing.assert_array_equal(first.layers[0][0], again.layers[0][0])
        assert not np.array_equal(first.layers[0][0], other.layers[0][0])

    def test_balance_favours_rare_classes(self) -> None:
        # color tells nothing; class 1 has a tenth of the pixels
        images = np.full((4, 10, 10, 3), 128, np.uint8)
        labels = (np.random.default_rng(0).random((4, 10, 10)) < 0.1).astype(np.uint8)
        plain, balanced = (
            ColorPositionClassifier.fit(images, labels, 2, balance=balance, pixels=5000) for balance in (0.0, 1.0)
        )
        shares = [np.mean(c.predict(images[0], (10, 10)) == 1) for c in (plain, balanced)]
        assert shares[0] < shares[1]

    def test_images_that_do_not_fit_the_labels_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("harness.report.baselines.STEPS", 1)
        images, labels = scenes(3, 0)
        with pytest.raises(ValueError, match="with N = 2"):
            ColorPositionClassifier.fit(images, labels[:2], 3)
        with pytest.raises(ValueError, match=r"images must be \(N, h, w, 3\)"):
            ColorPositionClassifier.fit(images[..., 0], labels, 3)
        with pytest.raises(ValueError, match="no pixel is labeled"):
            ColorPositionClassifier.fit(images, np.full_like(labels, VOID), 3)
        classifier = ColorPositionClassifier.fit(images, labels, 3, pixels=500)
        with pytest.raises(ValueError, match=r"must be \(h, w, 3\)"):
            classifier.predict(images[0, ..., 0], (12, 16))


def camvid_labels(split: str) -> np.ndarray:
    """Labels (N, 360, 480) uint8, void as 255; the files have it as 11."""
    labels = np.stack([np.asarray(Image.open(p)) for p in sorted((CAMVID / f"{split}annot").glob("*.png"))])
    return np.where(labels == 11, np.uint8(VOID), labels)


def camvid_images(split: str) -> np.ndarray:
    """Images (N, 60, 80, 3) uint8, area-averaged."""
    small = [Image.open(p).convert("RGB").reduce(6) for p in sorted((CAMVID / split).glob("*.png"))]
    return np.stack([np.asarray(image) for image in small])


@pytest.mark.skipif(not CAMVID.is_dir(), reason=f"needs CamVid in {CAMVID}")
class TestOnCamVid:
    def test_position_prior_and_largest_class(self) -> None:
        train, test = camvid_labels("train"), camvid_labels("test")
        prior = position_prior(train, 11)
        largest = np.full_like(prior, np.bincount(train[train != VOID]).argmax())
        for prediction, expected in ((prior, 0.170), (largest, 0.024)):
            matrix = np.sum([confusion_matrix(prediction, label, 11) for label in test], axis=0)
            assert scores(matrix).miou == pytest.approx(expected, abs=0.0006)

    @pytest.mark.slow
    def test_color_raises_the_score_well_above_the_prior(self) -> None:
        classifier = ColorPositionClassifier.fit(camvid_images("train"), camvid_labels("train"), 11)
        pairs = zip(camvid_images("val"), camvid_labels("val"), strict=True)
        matrix = np.sum([confusion_matrix(classifier.predict(x, (360, 480)), y, 11) for x, y in pairs], axis=0)
        assert scores(matrix).miou > 0.32
