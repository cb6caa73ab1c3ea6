"""SegNet's first pooling and unpooling, 64 maps of 360x480 on the CPU, for every way to store indices.

pytest tests/benchmarks/bench_pooling.py --benchmark-group-by=func,param:layout
"""

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from architectures.pooling import STORAGES, Storage, max_pool, max_unpool

SIZE = (360, 480)
ROUNDS = 5
LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> torch.memory_format:
    return LAYOUTS[request.param]


@pytest.fixture(scope="module")
def maps(layout: torch.memory_format) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(1, 64, *SIZE).relu().contiguous(memory_format=layout)


@pytest.mark.parametrize("storage", STORAGES)
def test_pooling(storage: Storage, maps: torch.Tensor, benchmark: BenchmarkFixture) -> None:
    """Forward, no gradients."""
    values, indices = benchmark.pedantic(max_pool, (maps, storage), rounds=ROUNDS, warmup_rounds=1)  # type: ignore[no-untyped-call]
    benchmark.extra_info["index_bytes"] = indices.nbytes
    assert values.shape == (1, 64, 180, 240)


@pytest.mark.parametrize("storage", STORAGES)
def test_unpooling(storage: Storage, maps: torch.Tensor, benchmark: BenchmarkFixture) -> None:
    """Forward, no gradients."""
    values, indices = max_pool(maps, storage)
    unpooled = benchmark.pedantic(  # type: ignore[no-untyped-call]
        max_unpool, (values, indices, SIZE), rounds=ROUNDS, warmup_rounds=1
    )
    assert unpooled.shape == maps.shape


@pytest.mark.parametrize("storage", STORAGES)
def test_both_with_gradients(storage: Storage, maps: torch.Tensor, benchmark: BenchmarkFixture) -> None:
    """Pooling, unpooling and the backward pass of both."""
    x = maps.detach().clone().requires_grad_()

    def step() -> torch.Tensor:
        x.grad = None
        values, indices = max_pool(x, storage)
        torch.autograd.backward(max_unpool(values, indices, SIZE), maps)
        assert x.grad is not None
        return x.grad

    gradient = benchmark.pedantic(step, rounds=ROUNDS, warmup_rounds=1)  # type: ignore[no-untyped-call]
    assert gradient.shape == x.shape
