"""Confusion matrix and scores against values worked out by hand."""

import numpy as np
import pytest

from harness.metrics import confusion_matrix, scores

VOID = 255


def matrix_of(prediction: list[list[int]], label: list[list[int]], num_classes: int) -> np.ndarray:
    return confusion_matrix(np.array(prediction, np.uint8), np.array(label, np.uint8), num_classes)


class TestConfusionMatrix:
    def test_rows_are_truth(self) -> None:
        matrix = matrix_of([[0, 1, 1], [2, 2, 0]], [[0, 0, 1], [2, 1, 0]], 3)
        assert matrix.dtype == np.int64
        assert matrix.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]

    def test_void_pixels_are_left_out_of_rows_and_columns(self) -> None:
        assert matrix_of([[0, 1, 1]], [[0, VOID, 1]], 2).tolist() == [[1, 0], [0, 1]]

    def test_all_void_gives_zeros(self) -> None:
        assert matrix_of([[0, 1]], [[VOID, VOID]], 2).tolist() == [[0, 0], [0, 0]]

    def test_single_class(self) -> None:
        assert matrix_of([[0, 0]], [[0, VOID]], 1).tolist() == [[1]]

    def test_sum_over_images_is_the_matrix_of_the_split(self) -> None:
        rng = np.random.default_rng(0)
        predictions = rng.integers(0, 4, (5, 6, 7))
        labels = rng.integers(0, 4, (5, 6, 7))
        parts = sum(confusion_matrix(p, t, 4) for p, t in zip(predictions, labels, strict=True))
        whole = confusion_matrix(predictions.reshape(30, 7), labels.reshape(30, 7), 4)
        np.testing.assert_array_equal(parts, whole)

    def test_dtypes_of_prediction_and_label_do_not_matter(self) -> None:
        prediction, label = np.array([[10, 3]]), np.array([[10, VOID]])
        expected = confusion_matrix(prediction, label, 11)
        np.testing.assert_array_equal(
            confusion_matrix(prediction.astype(np.int8), label.astype(np.uint8), 11), expected
        )
        assert expected[10, 10] == expected.sum() == 1

    @pytest.mark.parametrize(
        ("prediction", "label", "message"),
        [
            ([[0, 2]], [[0, 1]], "prediction holds 2, outside 0..1"),
            ([[0, VOID]], [[0, VOID]], "prediction holds 255, outside 0..1"),
            ([[0, -1]], [[0, 1]], "prediction holds -1"),
            ([[0, 1]], [[0, 2]], "label holds 2, outside 0..1 and void"),
            ([[0, 1]], [[0, -1]], "label holds -1"),
            ([[0, 1]], [[0], [1]], "differ in size"),
            ([0, 1], [0, 1], r"non-empty \(H, W\) map"),
            ([[]], [[]], r"non-empty \(H, W\) map"),
            ([[0.0, 1.0]], [[0, 1]], "prediction must hold integers, not float64"),
        ],
    )
    def test_bad_input_is_named(self, prediction: list[list[int]], label: list[list[int]], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            confusion_matrix(np.array(prediction), np.array(label), 2)

    @pytest.mark.parametrize("num_classes", [0, 256])
    def test_number_of_classes_is_bounded(self, num_classes: int) -> None:
        with pytest.raises(ValueError, match="num_classes"):
            confusion_matrix(np.zeros((1, 1), int), np.zeros((1, 1), int), num_classes)


class TestScores:
    def test_worked_example(self) -> None:
        # truth 0: 3 of 4 right; truth 1: 1 of 2 right; one pixel of 0 taken for 1 and one of 1 for 0
        result = scores(np.array([[3, 1], [1, 1]]))
        assert result.global_accuracy == pytest.approx(4 / 6)
        assert result.per_class_accuracy.tolist() == pytest.approx([3 / 4, 1 / 2])
        assert result.class_accuracy == pytest.approx(5 / 8)
        assert result.per_class_iou.tolist() == pytest.approx([3 / 5, 1 / 3])
        assert result.miou == pytest.approx((3 / 5 + 1 / 3) / 2)
        assert (result.class_accuracy_all, result.miou_all) == (result.class_accuracy, result.miou)
        assert (result.labeled, result.present, result.num_classes) == (2, 2, 2)

    def test_class_absent_from_truth_and_prediction_is_left_out(self) -> None:
        result = scores(np.array([[3, 0, 1], [0, 0, 0], [0, 0, 4]]))
        assert np.isnan(result.per_class_accuracy[1]) and np.isnan(result.per_class_iou[1])
        assert result.class_accuracy == pytest.approx((3 / 4 + 1) / 2)
        assert result.miou == pytest.approx((3 / 4 + 4 / 5) / 2)
        assert result.class_accuracy_all == pytest.approx((3 / 4 + 1) / 3)
        assert result.miou_all == pytest.approx((3 / 4 + 4 / 5) / 3)
        assert (result.labeled, result.present, result.num_classes) == (2, 2, 3)

    def test_class_predicted_but_never_labeled_counts_zero_iou_and_no_accuracy(self) -> None:
        result = scores(np.array([[3, 1, 0], [0, 0, 0], [0, 0, 4]]))
        assert result.labeled_share.tolist() == [0.5, 0, 0.5]
        assert np.isnan(result.per_class_accuracy[1])
        assert result.per_class_iou[1] == 0
        assert result.class_accuracy == pytest.approx((3 / 4 + 1) / 2)
        assert result.miou == pytest.approx((3 / 4 + 0 + 1) / 3)
        assert (result.labeled, result.present, result.num_classes) == (2, 3, 3)

    def test_class_labeled_but_never_predicted_counts_zero_in_both(self) -> None:
        result = scores(np.array([[4, 0], [2, 0]]))
        assert result.per_class_accuracy.tolist() == [1, 0]
        assert result.per_class_iou.tolist() == pytest.approx([4 / 6, 0])
        assert result.present == result.labeled == 2

    def test_single_class(self) -> None:
        result = scores(np.array([[7]]))
        assert (result.global_accuracy, result.class_accuracy, result.miou) == (1, 1, 1)

    def test_void_makes_no_false_positive(self) -> None:
        matrix = matrix_of([[0, 1, 1]], [[0, VOID, 1]], 2)
        assert scores(matrix).per_class_iou.tolist() == [1, 1]

    def test_counts_beyond_32_bits(self) -> None:
        big = 2**40
        result = scores(np.array([[3 * big, big], [0, 4 * big]], np.int64))
        assert result.global_accuracy == 7 / 8

    @pytest.mark.parametrize(
        ("matrix", "message"),
        [
            (np.zeros((2, 2), int), "counts no pixel"),
            (np.ones((2, 3), int), r"is \(K, K\)"),
            (np.ones((4, 2, 2), int), "sum over the images first"),
            (np.ones((2, 2)), "not float64"),
            (np.array([[1, -1], [0, 1]]), "negative"),
        ],
    )
    def test_bad_matrices_are_refused(self, matrix: np.ndarray, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            scores(matrix)
