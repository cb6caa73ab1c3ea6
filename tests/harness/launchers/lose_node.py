"""Starts a cluster of two machines and a matrix of two runs on it, and cuts the power of one in the middle.

Arguments: those of `python -m harness`. Its exit code is that of the command.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ray.cluster_utils import Cluster


def parents() -> dict[int, int]:
    """Every process's parent."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status = (folder / "stat").read_text()
            except OSError:
                continue  # it has ended meanwhile
            found[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
    return found


def below(root: int) -> list[int]:
    """A process and all that it started, and what they did."""
    links, found = parents(), [root]
    for one in found:
        found += [child for child, parent in links.items() if parent == one]
    return found


def trains(pid: int) -> bool:
    """Whether a process carries out a run."""
    try:
        return b"harness.launchers.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def main() -> int:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    machines = [cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1)]
    command = [sys.executable, "-m", "harness", *sys.argv[1:], "--ray-address", cluster.address]
    with subprocess.Popen(command) as driver:
        while len(list(Path("work/runs").glob("*/checkpoint.pt"))) < 2:
            assert driver.poll() is None, "the command ended before both runs had a checkpoint"
            time.sleep(0.1)
        first = machines[0].all_processes["raylet"][0].process.pid
        lost = below(first)
        assert sum(map(trains, lost)) == 1, "each machine carries out one run"
        for pid in lost:
            os.kill(pid, signal.SIGKILL)
        print(f"LOST a machine of {len(lost)} processes", flush=True)
        code = driver.wait()
    cluster.shutdown()
    return code


if __name__ == "__main__":
    sys.exit(main())
