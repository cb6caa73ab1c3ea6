"""What the fuzzing of all readers shares: how long, what happens to a file, what an error must be."""

from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

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


def one_line(error: Exception) -> bool:
    return "\n" not in str(error) and bool(str(error))
