"""Parts made beside each other."""

import os
from functools import partial

import pytest

from datasets import DatasetError
from harness.report.parallel import in_parallel
from harness.system.environment import available_cores


def fail(line: str) -> None:
    raise DatasetError(line)


@pytest.mark.parametrize("parts", [1, 4])
def test_what_is_made_comes_in_the_order_asked_for(parts: int) -> None:
    assert (
        in_parallel([partial(divmod, number, 2) for number in range(parts)]) == [(0, 0), (0, 1), (1, 0), (1, 1)][:parts]
    )


@pytest.mark.skipif(available_cores() < 2, reason="one core: all is made in this process")
def test_several_parts_are_made_in_other_processes() -> None:
    assert os.getpid() not in in_parallel([os.getpid, os.getpid])
    assert in_parallel([os.getpid]) == [os.getpid()]


def test_parts_need_not_be_picklable() -> None:
    assert in_parallel([lambda: os.name, lambda: os.sep]) == [os.name, os.sep]


@pytest.mark.parametrize("parts", [1, 2])
def test_an_error_comes_through_as_it_was(parts: int) -> None:
    with pytest.raises(DatasetError, match="no such file"):
        in_parallel([partial(fail, "no such file")] * parts)
