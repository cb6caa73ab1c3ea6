"""Whatever the code of a network raises becomes a reason that a record can hold."""

import pytest

from harness.launchers.worker import explain
from harness.records.run import Failure


class Mute(Exception):
    """Can't say what it is about."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Ending(BaseException):
    """No Exception, as KeyboardInterrupt is none."""


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (Mute(), "Mute: Mute"),
        (Ending("here"), "Ending: here"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (ValueError("half a sign \ud800 \x00\x1b[31m"), r"ValueError: half a sign \ud800 \x00\x1b[31m"),
        (ValueError("two\nlines [/red]"), "ValueError: two lines [/red]"),
        (SystemExit("bye\ud800"), r"sys.exit(bye\ud800)"),
        (SystemExit(), "sys.exit(None)"),
        (RecursionError(), "RecursionError: RecursionError"),
    ],
)
def test_whatever_is_raised_can_be_kept(error: BaseException, says: str) -> None:
    failure = explain(error, batch=5)
    assert says in failure.message and failure.message.isprintable()
    assert Failure.model_validate_json(failure.model_dump_json()) == failure


def test_memory_is_told_from_the_rest() -> None:
    assert explain(RuntimeError("CUDA out of memory. Tried"), batch=5).kind == "oom"
    assert explain(MemoryError(), batch=5).kind == "oom"
    assert explain(Mute("out of memory"), batch=5).kind == "error"
