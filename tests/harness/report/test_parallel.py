import os

import pytest

from datasets import DatasetError
from harness.report.parallel import in_parallel
from harness.system.environment import available_cores


def double(number: int) -> tuple[int, int]:
    return 2 * number, os.getpid()


def fail(line: str) -> None:
    raise DatasetError(line)


@pytest.mark.parametrize("parts", [1, 4])
def test_results_come_in_the_order_asked_for(parts: int) -> None:
    with in_parallel(parts) as pool:
        made = [pool.submit(double, number) for number in range(4)]
        assert [one.result()[0] for one in made] == [0, 2, 4, 6]


@pytest.mark.skipif(available_cores() < 2, reason="one core: all is made in this process")
def test_several_parts_are_made_in_other_processes() -> None:
    with in_parallel(2) as pool:
        assert pool.submit(double, 1).result()[1] != os.getpid()
    with in_parallel(1) as pool:
        assert pool.submit(double, 1).result()[1] == os.getpid()


@pytest.mark.parametrize("parts", [1, 2])
def test_an_error_comes_through_as_it_was(parts: int) -> None:
    with pytest.raises(DatasetError, match="no such file"), in_parallel(parts) as pool:
        pool.submit(fail, "no such file").result()
