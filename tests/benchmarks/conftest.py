"""Options of the comparison with the PyTorch baseline."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("performance", "comparison with the PyTorch baseline")
    modes = {"full": "record at 360x480", "small": "record at 90x120", "check": "judge at 90x120 by the record"}
    group.addoption("--performance", choices=modes, help="; ".join(f"{mode}: {what}" for mode, what in modes.items()))
