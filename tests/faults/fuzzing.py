"""What the fuzzing of all readers shares: how long, what happens to a file, what an error must be."""

from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

Result = TypeVar("Result")

# A minute at most for them all, and no example that hangs.
bounded = settings(
    max_examples=120,
    deadline=5000,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@st.composite
def changes(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """What happens to a file: bytes set anywhere, then perhaps cut off, cut out or put in."""
    place = st.floats(0, 1, exclude_max=True)
    set_bytes = draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=6))
    how = draw(st.sampled_from(["set", "set", "set", "cut off", "cut out", "put in"]))
    start, length = draw(place), draw(st.integers(1, 40))
    extra = draw(st.binary(min_size=1, max_size=40)) if how == "put in" else b""

    def change(data: bytes) -> bytes:
        changed = bytearray(data)
        for share, value in set_bytes:
            changed[int(share * len(changed))] = value
        at = int(start * len(changed))
        if how == "cut off":
            del changed[at:]
        elif how == "cut out":
            del changed[at : at + length]
        changed[at:at] = extra
        return bytes(changed)

    return change


def result_of(read: Callable[[], Result], error: type[Exception], names: object = "") -> Result | None:
    """What a reader gives; none where it refuses by one line of an error of its own, which names the file."""
    try:
        return read()
    except error as refusal:
        line = str(refusal)
        assert type(refusal) is error or error is not ValueError  # of which there are libraries' own kinds
        assert line and "\n" not in line and str(names) in line
        return None
