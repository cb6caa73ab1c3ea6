"""What tests of several processes share: starting them takes seconds."""

from collections.abc import Iterator

import pytest

from tests.harness.pair import Processes


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
