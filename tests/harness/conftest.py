"""What tests share that takes seconds: processes that work together, and cores."""

from collections.abc import Iterator

import pytest

from tests.harness.pair import Processes


@pytest.fixture(scope="session", autouse=True)
def one_core() -> Iterator[None]:
    """A run scores BF itself, as each worker of pytest has one core; the pool has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.training.distributed.available_cores", lambda: 1)
        yield


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Two processes that carry out tasks together."""
    with Processes(2, tmp_path_factory.mktemp("pair")) as both:
        yield both


@pytest.fixture(scope="session")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Three of them."""
    with Processes(3, tmp_path_factory.mktemp("trio")) as three:
        yield three
