"""Share of a step outside kernels: the union of intervals by hand, and steps that sleep."""

import time
from collections.abc import Callable

import pytest
import torch

from harness.profiling.kernels import share_outside_kernels, union_length

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("intervals", "length"),
    [
        ([], 0.0),
        ([(2.0, 5.0)], 3.0),
        ([(4.0, 6.0), (0.0, 1.0)], 3.0),  # apart, in any order
        ([(0.0, 4.0), (3.0, 6.0)], 6.0),  # overlapping, as on two streams
        ([(0.0, 9.0), (1.0, 2.0), (3.0, 4.0), (8.0, 10.0)], 10.0),  # one inside another
        ([(1.0, 2.0), (2.0, 3.0), (2.0, 2.0)], 2.0),  # touching, and an empty one
    ],
)
def test_what_several_intervals_cover_counts_once(intervals: list[tuple[float, float]], length: float) -> None:
    assert union_length(intervals) == length


def working(sleep_s: float) -> Callable[[], None]:
    matrix = torch.randn(700, 700, generator=torch.Generator().manual_seed(0))

    def step() -> None:
        matrix @ matrix
        time.sleep(sleep_s)

    return step


def test_a_step_that_sleeps_is_outside_and_one_that_computes_is_not() -> None:
    sleeping = share_outside_kernels(working(0.1), CPU).value
    # other work on the machine can only add to it
    computing = min(share_outside_kernels(working(0.0), CPU).value or 0.0 for _ in range(3))
    assert sleeping is not None
    assert 0 < computing < 0.3 < 0.5 < sleeping < 1


def test_a_named_range_of_the_optimizer_does_not_count_as_work() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1000))
    optimizer = torch.optim.SGD([parameter], lr=0.1, fused=True)

    def step() -> None:
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()

    optimizer.register_step_pre_hook(lambda *_: time.sleep(0.02))
    found = share_outside_kernels(step, CPU).value
    assert found is not None and found > 0.9


def test_a_step_without_operators_has_a_reason_instead_of_a_share() -> None:
    found = share_outside_kernels(lambda: None, CPU)
    assert found.value is None and found.reason == "the profiler saw no operator"


@pytest.mark.gpu
def test_a_gpu_that_waits_for_the_host_is_outside_its_kernels() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    device = torch.device("cuda")
    matrix = torch.randn(4096, 4096, device=device)

    def waiting() -> None:
        matrix @ matrix
        time.sleep(0.05)

    busy = share_outside_kernels(lambda: matrix @ matrix, device).value
    idle = share_outside_kernels(waiting, device).value
    assert busy is not None and idle is not None and busy < 0.5 < idle
