"""Networks that are too large for the memory there is: a row each, and the others run."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.processes import NETWORK, Place, harness, tiny

pytestmark = pytest.mark.slow

LARGE = "fcn8s"  # 134 million weights; with gradients and AdamW's moments 2.2 GB
# Enough for the small network, its data and torch itself; of one process, and of all together.
PROCESS_BYTES, GROUP_BYTES = 1_200_000_000, 1_800_000_000


def large_and_small(place: Place, prefix: list[str]) -> str:
    """Run both, the large one first; gives what was said."""
    arguments = tiny(size="32x40")
    arguments.insert(1, LARGE)
    done = harness(*arguments, cwd=place.folder, prefix=prefix)
    assert done.returncode == 1 and len(place.records()) == 2, done
    return done.said


def by_architecture(place: Place) -> dict[str, dict[str, object]]:
    return {record["spec"]["architecture"]: record for record in place.records()}


def test_a_network_that_can_not_be_allocated_is_a_row(place: Place) -> None:
    prefix = ["sh", "-c", f'ulimit -d {PROCESS_BYTES // 1024} && exec "$@"', "sh"]
    said = large_and_small(place, prefix)
    assert f"{LARGE}: FAILED: OOM at batch 2" in said
    found = by_architecture(place)
    assert found[LARGE]["failure"] == {"kind": "oom", "message": "OOM at batch 2", "iteration": None}
    assert found[NETWORK]["status"] == "finished"


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group of processes that may have so much memory, and no swap."""
    group = _group()
    try:
        group.mkdir()
        _limit(group)
    except OSError as error:
        if group.is_dir():
            group.rmdir()
        pytest.skip(f"needs a control group for memory, which can't be made here: {error}")
    yield group
    until = time.monotonic() + 20
    while group.is_dir():
        try:
            group.rmdir()
        except OSError:  # killed processes are still on their way out
            assert time.monotonic() < until
            time.sleep(0.1)


def test_a_network_that_the_kernel_kills_is_a_row(place: Place, small_group: Path) -> None:
    prefix = ["sh", "-c", f'echo $$ > {small_group}/cgroup.procs && exec "$@"', "sh"]
    said = large_and_small(place, prefix)
    assert f"{LARGE}: FAILED: OOM at batch 2: the process was killed by the kernel's OOM killer" in said
    found = by_architecture(place)
    assert found[LARGE]["failure"]["kind"] == "oom"  # type: ignore[index]
    assert found[NETWORK]["status"] == "finished"


def _group() -> Path:
    """A new group's folder: below this process's own in the first version, at the top in the second."""
    name = f"segnet-test-{os.getpid()}"
    for line in Path("/proc/self/cgroup").read_text("utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return Path(f"/sys/fs/cgroup/memory{path}") / name
    return Path("/sys/fs/cgroup") / name


def _limit(group: Path) -> None:
    first = (group / "memory.limit_in_bytes").exists()
    (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(GROUP_BYTES))
    for name, value in (("memory.memsw.limit_in_bytes", GROUP_BYTES), ("memory.swap.max", 0)):
        if (group / name).exists():
            (group / name).write_text(str(value))
