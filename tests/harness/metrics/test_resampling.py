"""Bootstrap intervals: exact identities, and agreement with what normal theory gives."""

from typing import Any

import numpy as np
import pytest

from harness.metrics import (
    ImageCounts,
    ImageScores,
    bootstrap,
    dataset_bf,
    resampled_class_iou,
    resampled_scores,
    scores,
)
from harness.metrics.bootstrap import MIN_IMAGES, block_length

NAMES = ("global_accuracy", "class_accuracy", "miou", "bf")


def random_run(images: int, seed: int, classes: int = 4) -> ImageScores:
    """Images of varying difficulty; a quarter of the F1 do not count."""
    rng = np.random.default_rng(seed)
    matrices = rng.integers(0, 50, (images, classes, classes)) + 100 * np.eye(classes, dtype=int)
    bf = rng.random((images, classes))
    bf[rng.random(bf.shape) < 0.25] = np.nan
    return ImageScores.of(matrices=matrices, bf=bf)


def test_estimates_are_the_scores_of_the_whole_split() -> None:
    run = random_run(37, 0)
    whole = scores(run.counts.matrix)
    result = bootstrap(run, draws=50)
    assert result.global_accuracy.estimate == pytest.approx(whole.global_accuracy)
    assert result.class_accuracy.estimate == pytest.approx(whole.class_accuracy)
    assert result.miou.estimate == pytest.approx(whole.miou)
    assert result.bf.estimate == pytest.approx(dataset_bf(run.bf))


@pytest.mark.parametrize("name", NAMES)
def test_interval_holds_the_estimate_and_grows_with_the_level(name: str) -> None:
    run = random_run(60, 1)
    narrow, wide = (getattr(bootstrap(run, block=5, level=level), name) for level in (0.5, 0.95))
    assert wide.low < narrow.low < wide.estimate < narrow.high < wide.high
    assert (narrow.level, wide.level) == (0.5, 0.95)


def test_seed_decides_the_draws() -> None:
    run = random_run(30, 2)
    assert bootstrap(run, block=1, seed=3) == bootstrap(run, block=1, seed=3)
    assert bootstrap(run, block=1, seed=3) != bootstrap(run, block=1, seed=4)


def test_blocks_of_repeated_frames_count_as_one_image() -> None:
    run = random_run(12, 3)
    video = ImageScores(
        counts=ImageCounts(pixels=run.counts.pixels.repeat(10, axis=0), matrix=10 * run.counts.matrix),
        bf=run.bf.repeat(10, axis=0),
    )
    single, blocked, naive = bootstrap(run, block=1), bootstrap(video, block=10), bootstrap(video, block=1)
    for name in NAMES:
        one, other = getattr(single, name), getattr(blocked, name)
        assert (one.low, one.high) == pytest.approx((other.low, other.high))
        # as if the repeats were evidence: narrower by about sqrt(10)
        assert (one.high - one.low) / (getattr(naive, name).high - getattr(naive, name).low) > 2.5


def test_bf_interval_agrees_with_normal_theory() -> None:
    values = np.random.default_rng(0).random((400, 1))
    run = ImageScores.of(matrices=np.ones((400, 1, 1), int), bf=values)
    interval = bootstrap(run, block=1, draws=4000).bf
    half_width = 1.96 * values.std() / np.sqrt(400)
    assert interval.low == pytest.approx(values.mean() - half_width, abs=0.1 * half_width)
    assert interval.high == pytest.approx(values.mean() + half_width, abs=0.1 * half_width)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(300):
        right = rng.binomial(100, 0.7, 60)
        matrices = np.zeros((60, 2, 2), int)
        matrices[:, 0, 0], matrices[:, 0, 1] = right, 100 - right
        run = ImageScores.of(matrices=matrices, bf=np.zeros((60, 2)))
        interval = bootstrap(run, block=1, draws=300).global_accuracy
        covered += interval.low <= 0.7 <= interval.high
    assert 0.90 <= covered / 300 <= 0.98


def test_last_short_block_weighs_by_its_images() -> None:
    # blocks of 2, 2 and 1 images: with 2 blocks drawn of 3 the mean lies between the extremes of the images
    run = ImageScores.of(matrices=np.ones((5, 1, 1), int), bf=np.array([[0.0], [0.0], [0.0], [0.0], [1.0]]))
    interval = bootstrap(run, block=2, draws=4000, level=0.99).bf
    assert interval.estimate == pytest.approx(1 / 5)
    assert (interval.low, interval.high) == (0, 1)  # all draws of block 3 give 1, none 0


def test_class_absent_from_a_resample_is_left_out() -> None:
    # class 1 lives in the first image alone; resamples without it must not count it as 0
    matrices = np.zeros((10, 2, 2), int)
    matrices[:, 0, 0] = 10
    matrices[0, 1, 1] = 10
    run = ImageScores.of(matrices=matrices, bf=np.ones((10, 2)))
    result = bootstrap(run, block=1)
    assert (result.miou.low, result.miou.high) == (1, 1)
    assert (result.class_accuracy.low, result.class_accuracy.high) == (1, 1)


def test_class_iou_of_the_same_draws_has_their_mean() -> None:
    run = random_run(40, 5)
    iou, four = resampled_class_iou(run, draws=200), resampled_scores(run, draws=200)
    assert iou.shape == (200, 4)
    assert np.nanmean(iou, axis=1) == pytest.approx(four[:, 2])


def test_images_without_a_counted_class_add_zero_to_bf() -> None:
    run = ImageScores.of(matrices=np.ones((4, 1, 1), int), bf=np.array([[1.0], [np.nan], [1.0], [1.0]]))
    assert bootstrap(run, block=1).bf.estimate == 0.75


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"block": 30}, "at least two blocks"),
        ({"block": 0}, "at least two blocks"),
        ({"level": 1.0}, "level must lie between 0 and 1"),
        ({"draws": 0}, "draws must be at least 1"),
    ],
)
def test_bad_settings_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap(random_run(30, 0), **arguments)


@pytest.mark.parametrize(
    ("matrices", "bf", "message"),
    [
        (np.ones((3, 2, 2), int), np.ones((4, 2)), "same images and classes"),
        (np.ones((3, 2, 2), int), np.ones((3, 3)), "same images and classes"),
        (np.ones((3, 2), int), np.ones(3), "same images and classes"),
        (np.zeros((3, 2, 2), int), np.ones((3, 2)), "count no pixel"),
    ],
)
def test_bad_image_scores_are_refused(matrices: np.ndarray, bf: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageScores.of(matrices=matrices, bf=bf)


@pytest.mark.parametrize(("images", "expected"), [(10, 1), (39, 1), (40, 2), (60, 3), (199, 9), (200, 10), (5050, 10)])
def test_blocks_are_shorter_where_there_would_be_less_than_twenty(images: int, expected: int) -> None:
    assert block_length(images) == expected


def test_two_equal_networks_are_seldom_told_apart() -> None:
    """However few images there are; with blocks of ten it was half of the trials with 15 images."""
    random, trials = np.random.default_rng(0), 200
    for images in (MIN_IMAGES, 15, 60):
        apart = 0
        for _ in range(trials):
            one, other = (resampled_scores(drawn_run(random, images), draws=1000)[:, 0] for _ in range(2))
            low, high = np.quantile(one - other, (0.025, 0.975))
            apart += low > 0 or high < 0
        assert apart < 0.18 * trials


def drawn_run(random: np.random.Generator, images: int) -> ImageScores:
    """Two classes of 500 pixels an image, of which a share of about 0.8 is right."""
    right = random.binomial(500, random.beta(8, 2, (images, 2)))
    matrices = np.stack([right, 500 - right], axis=2)
    matrices[:, 1] = matrices[:, 1, ::-1]
    return ImageScores.of(matrices=matrices, bf=right / 500)
