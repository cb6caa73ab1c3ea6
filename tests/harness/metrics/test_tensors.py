"""Torch tensors give what numpy arrays give."""

import numpy as np
import pytest
import torch

from harness.metrics import BoundaryPool, bf_of_images, boundary_f1, confusion_matrix, scores


def pair(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    prediction = torch.randint(0, 3, (9, 12), generator=generator)
    label = torch.randint(0, 3, (9, 12), generator=generator)
    label[0, :3] = 255
    return prediction.to(dtype), label.to(dtype)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_tensors_score_as_arrays_do(dtype: torch.dtype) -> None:
    tensors = pair(dtype)
    arrays = [tensor.numpy() for tensor in tensors]
    matrix = confusion_matrix(*tensors, 3)
    np.testing.assert_array_equal(matrix, confusion_matrix(*arrays, 3))
    np.testing.assert_array_equal(matrix, confusion_matrix(tensors[0], arrays[1], 3))  # one of each kind
    assert scores(torch.from_numpy(matrix)).miou == scores(matrix).miou
    assert matrix.sum() == 9 * 12 - 3
    expected = boundary_f1(*arrays, 3)
    np.testing.assert_array_equal(boundary_f1(*tensors, 3), expected)
    np.testing.assert_array_equal(bf_of_images([tensors[0]], [tensors[1]], 3, processes=1), expected[None])


def test_a_pool_takes_tensors_to_its_workers() -> None:
    prediction, label = pair(torch.uint8)
    with BoundaryPool(3, processes=2, start_after_s=0.0) as pool:
        pool.submit(prediction, label)
        np.testing.assert_array_equal(pool.results(), boundary_f1(prediction.numpy(), label.numpy(), 3)[None])


def test_bad_tensors_are_named() -> None:
    with pytest.raises(ValueError, match="prediction must hold integers, not float32"):
        confusion_matrix(torch.zeros(2, 2, requires_grad=True), torch.zeros(2, 2, dtype=torch.uint8), 2)
