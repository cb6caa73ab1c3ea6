"""Forward pass and training step of every architecture at 64x96 on the CPU.

pytest tests/benchmarks/bench_architectures.py
"""

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch.nn import functional

import architectures
from architectures.base import Architecture

CLASSES = 11
SIZE = (64, 96)
ROUNDS = 3


@pytest.fixture(scope="module", params=architectures.names())
def network(request: pytest.FixtureRequest) -> Architecture:
    torch.manual_seed(0)
    return architectures.build(request.param, CLASSES, SIZE)


def test_forward(network: Architecture, benchmark: BenchmarkFixture) -> None:
    """One image, evaluation mode, no gradients."""
    network.eval()
    images = torch.randn(1, 3, *SIZE)
    with torch.inference_mode():
        logits = benchmark.pedantic(network, (images,), rounds=ROUNDS, warmup_rounds=1)  # type: ignore[no-untyped-call]
    assert logits.shape == (1, CLASSES, *network.output_size(*SIZE))


@pytest.mark.slow
def test_training_step(network: Architecture, benchmark: BenchmarkFixture) -> None:
    """Two images: forward pass, cross-entropy, backward pass, SGD without momentum."""
    network.train()
    images = torch.randn(2, 3, *SIZE)
    labels = torch.randint(CLASSES, (2, *network.output_size(*SIZE)))
    optimizer = torch.optim.SGD((p for p in network.parameters() if p.requires_grad), lr=1e-3)

    def step() -> float:
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(images), labels)
        torch.autograd.backward(loss)
        optimizer.step()
        return loss.item()

    loss = benchmark.pedantic(step, rounds=ROUNDS, warmup_rounds=1)  # type: ignore[no-untyped-call]
    assert loss > 0
