"""Max-pooling with indices and its inverse."""

import pytest
import torch

from architectures.pooling import max_pool, max_unpool


@pytest.mark.parametrize("size", [(4, 6), (5, 6), (5, 7), (1, 1), (23, 30)])
def test_unpooling_puts_each_maximum_back_in_its_place(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 3, *size) + 1
    values, indices = max_pool(x)
    assert values.shape == indices.shape == (2, 3, -(-size[0] // 2), -(-size[1] // 2))
    back = max_unpool(values, indices, size)
    assert back.shape == x.shape
    assert torch.equal(back[back != 0], x[back != 0])
    assert (back != 0).sum() == values.numel()
    for i in range(values.shape[2]):
        for j in range(values.shape[3]):
            window = (..., slice(2 * i, 2 * i + 2), slice(2 * j, 2 * j + 2))
            assert torch.equal(values[..., i, j], x[window].amax(dim=(-2, -1)))
            assert torch.equal(values[..., i, j], back[window].sum(dim=(-2, -1)))


def test_the_first_of_equal_values_is_taken() -> None:
    values, indices = max_pool(torch.zeros(1, 1, 3, 3))
    assert indices.flatten().tolist() == [0, 2, 6, 8]
    assert not values.any()


def test_gradients_pass_only_where_the_maxima_were() -> None:
    x = torch.tensor([[1.0, 4.0, 2.0], [3.0, 0.0, 5.0], [6.0, 7.0, 8.0]]).reshape(1, 1, 3, 3).requires_grad_()
    values, indices = max_pool(x)
    assert values.flatten().tolist() == [4.0, 5.0, 7.0, 8.0]
    weights = torch.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    torch.autograd.backward((max_unpool(values, indices, (3, 3)) * weights).sum())
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [0.0, 2.0, 0.0, 0.0, 0.0, 6.0, 0.0, 8.0, 9.0]
