"""Boundary F1 against masks worked out by hand, and the pool of workers."""

import multiprocessing

import numpy as np
import pytest

from harness.metrics import BoundaryPool, bf_of_images, boundary_f1, dataset_bf, image_bf
from harness.metrics.boundary_f1 import WAITING_PER_PROCESS, boundary_pixels

VOID = 255


def drawn(text: str) -> np.ndarray:
    """A mask from lines of `#` and `.`."""
    return np.array([[c == "#" for c in line] for line in text.split()])


class TestBoundaryPixels:
    def test_square_marks_itself_and_what_lies_above_and_left(self) -> None:
        mask = drawn("""
            .....
            .....
            ..##.
            ..##.
            .....""")
        expected = drawn("""
            .....
            .###.
            .#.#.
            .###.
            .....""")
        np.testing.assert_array_equal(boundary_pixels(mask), expected)

    def test_single_pixel_marks_its_four_blocks(self) -> None:
        mask = drawn("... .#. ...")
        np.testing.assert_array_equal(boundary_pixels(mask), drawn("##. ##. ..."))

    def test_last_row_looks_only_right_and_last_column_only_down(self) -> None:
        # the step from row 1 to row 2 is no boundary of row 2; the one inside row 2 is
        mask = drawn("... ... .##")
        np.testing.assert_array_equal(boundary_pixels(mask), drawn("... ### #.."))
        np.testing.assert_array_equal(boundary_pixels(mask.T), drawn("... ### #..").T)

    def test_last_pixel_is_never_boundary(self) -> None:
        np.testing.assert_array_equal(boundary_pixels(drawn("... ... ..#")), drawn("... .## .#."))

    def test_uniform_masks_have_none(self) -> None:
        assert not boundary_pixels(np.ones((4, 5), bool)).any()
        assert not boundary_pixels(np.zeros((1, 1), bool)).any()

    def test_agrees_with_the_definition_block_by_block(self) -> None:
        mask = np.random.default_rng(0).random((20, 30)) < 0.8
        expected = [[np.ptp(mask[i : i + 2, j : j + 2].astype(int)) > 0 for j in range(30)] for i in range(20)]
        np.testing.assert_array_equal(boundary_pixels(mask), expected)


class TestBoundaryF1:
    """At 240 x 320 the tolerance is exactly 3 pixels."""

    def half(self, column: int) -> np.ndarray:
        label = np.zeros((240, 320), np.uint8)
        label[:, column:] = 1
        return label

    @pytest.mark.parametrize(("moved", "expected"), [(0, 1.0), (3, 1.0), (-3, 1.0), (4, 0.0)])
    def test_straight_edge_moved(self, moved: int, expected: float) -> None:
        result = boundary_f1(self.half(100 + moved), self.half(100), 3)
        assert result[:2].tolist() == [expected, expected]
        assert np.isnan(result[2])

    def test_extra_edge_costs_precision_alone(self) -> None:
        prediction = self.half(100)
        prediction[:, 200:] = 0
        # 240 boundary pixels in the label, 480 in the prediction, 240 matched
        assert boundary_f1(prediction, self.half(100), 2).tolist() == pytest.approx([2 / 3, 2 / 3])

    def test_one_to_one_where_a_distance_transform_gives_more(self) -> None:
        # the strip's boundary is columns 98 and 99, both within 3 pixels of the label's column 99; a distance
        # transform would give precision 1 and recall 1
        prediction = np.zeros((240, 320), np.uint8)
        prediction[:, 99] = 1
        result = boundary_f1(prediction, self.half(100), 2)
        assert result.tolist() == pytest.approx([2 * 240 / (240 + 480)] * 2)

    def test_hallucinated_and_missed_classes_count_zero(self) -> None:
        prediction, label = self.half(100), self.half(100)
        prediction[5, 5] = 2
        label[200, 200] = 3
        result = boundary_f1(prediction, label, 5)
        assert result[2] == 0 and result[3] == 0 and np.isnan(result[4])
        assert 0.99 < result[0] < 1

    def test_class_that_fills_the_image_does_not_count(self) -> None:
        flat = np.zeros((240, 320), np.uint8)
        assert np.isnan(boundary_f1(flat, flat, 2)).all()

    def test_single_class_against_void(self) -> None:
        # void is not masked: its border is a boundary of the label, which the prediction misses
        label = np.zeros((240, 320), np.uint8)
        label[:, 100:] = VOID
        assert boundary_f1(np.zeros_like(label), label, 1).tolist() == [0]

    def test_prediction_inside_void_is_a_false_positive(self) -> None:
        label = self.half(100)
        label[:, 200:] = VOID
        prediction = self.half(100)
        prediction[:, 260:] = 0
        # class 0: label column 99; prediction columns 99 and 259. Class 1: label 99, 199; prediction 99, 259
        assert boundary_f1(prediction, label, 2).tolist() == pytest.approx([2 / 3, 1 / 2])

    def test_symmetric(self) -> None:
        rng = np.random.default_rng(0)
        first, second = rng.integers(0, 4, (2, 120, 160)).repeat(2, 1).repeat(2, 2)
        np.testing.assert_array_equal(boundary_f1(first, second, 4), boundary_f1(second, first, 4))

    def test_bad_values_are_refused(self) -> None:
        with pytest.raises(ValueError, match="prediction holds 1"):
            boundary_f1(self.half(100), self.half(100), 1)


class TestAverages:
    def test_image_is_the_mean_over_counted_classes(self) -> None:
        assert image_bf(np.array([0.5, np.nan, 0.0, 1.0])) == 0.5

    def test_image_without_a_counted_class_is_zero(self) -> None:
        assert image_bf(np.array([np.nan, np.nan])) == 0

    def test_dataset_is_the_mean_over_images_not_over_classes(self) -> None:
        per_class = np.array([[1.0, np.nan, np.nan], [0.0, 0.5, 0.1], [np.nan, np.nan, np.nan]])
        assert dataset_bf(per_class) == pytest.approx((1.0 + 0.2 + 0.0) / 3)

    @pytest.mark.parametrize("shape", [(0, 3), (3,)])
    def test_no_image_is_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="N of at least 1"):
            dataset_bf(np.empty(shape))


def stripes(count: int, size: tuple[int, int] = (48, 64)) -> tuple[np.ndarray, np.ndarray]:
    """`count` pairs of maps, no two with the same score."""
    rng = np.random.default_rng(1)
    labels = np.sort(rng.integers(0, 3, (count, *size)), axis=2).astype(np.uint8)
    predictions = labels.copy()
    for index, prediction in enumerate(predictions):
        prediction[: 2 * index] = 0
    return predictions, labels


class TestBoundaryPool:
    def test_workers_keep_the_order_and_the_values(self) -> None:
        predictions, labels = stripes(2 * WAITING_PER_PROCESS + 3)
        expected = [boundary_f1(p, t, 3) for p, t in zip(predictions, labels, strict=True)]
        assert len({image_bf(row) for row in expected}) > len(expected) / 2
        np.testing.assert_array_equal(bf_of_images(predictions, labels, 3, processes=1), expected)
        others = len(multiprocessing.active_children())  # of other tests
        for own_s, at_work in ((0.0, 2), (1e-9, 2), (60.0, 0)):  # none, the first, all of them without workers
            with BoundaryPool(3, processes=2, start_after_s=own_s) as pool:
                for prediction, label in zip(predictions, labels, strict=True):
                    pool.submit(prediction, label)
                assert len(multiprocessing.active_children()) == others + at_work
                np.testing.assert_array_equal(pool.results(), expected)

    def test_caller_may_reuse_its_buffers(self) -> None:
        predictions, labels = stripes(4)
        buffer = np.empty_like(predictions[0])
        with BoundaryPool(3, processes=2, start_after_s=0.0) as pool:
            for prediction, label in zip(predictions, labels, strict=True):
                buffer[:] = prediction
                pool.submit(buffer, label)
                buffer[:] = 0
            result = pool.results()
        np.testing.assert_array_equal(result, bf_of_images(predictions, labels, 3, processes=1))

    def test_bad_image_raises_at_submission(self) -> None:
        with BoundaryPool(3, processes=2) as pool, pytest.raises(ValueError, match="prediction holds 7"):
            pool.submit(np.full((4, 4), 7), np.zeros((4, 4), int))

    def test_no_image_gives_no_row(self) -> None:
        assert bf_of_images([], [], 3, processes=2).shape == (0, 3)

    def test_unequal_numbers_are_refused(self) -> None:
        predictions, labels = stripes(2)
        with pytest.raises(ValueError):
            bf_of_images(predictions, labels[:1], 3, processes=1)

    def test_fewer_than_one_process_is_refused(self) -> None:
        with pytest.raises(ValueError, match="processes must be at least 1, not 0"):
            BoundaryPool(3, processes=0)

    @pytest.mark.parametrize("processes", [1, 2])
    def test_closed_pool_is_refused(self, processes: int) -> None:
        prediction = np.zeros((4, 4), int)
        with BoundaryPool(3, processes=processes, start_after_s=0.0) as pool:
            pool.submit(prediction, prediction)
        with pytest.raises(RuntimeError, match="inside its `with` block"):
            pool.results()
        with pytest.raises(RuntimeError, match="inside its `with` block"):
            pool.submit(prediction, prediction)
