"""Starts a cluster of two machines and a matrix of two runs on it, and cuts the power of one in the middle.

Arguments: those of `python -m harness`. Its exit code is that of the command.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
from ray.cluster_utils import Cluster


def main() -> int:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    machines = [cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1)]
    command = [sys.executable, "-m", "harness", *sys.argv[1:], "--ray-address", cluster.address]
    with subprocess.Popen(command) as driver:
        while len(list(Path("work/runs").glob("*/checkpoint.pt"))) < 2:
            assert driver.poll() is None, "the command ended before both runs had a checkpoint"
            time.sleep(0.1)
        first = psutil.Process(machines[0].all_processes["raylet"][0].process.pid)
        lost = [first, *first.children(recursive=True)]
        training = ["harness.launchers.worker" in process.cmdline() for process in lost]
        assert sum(training) == 1, "each machine carries out one run"
        for process in lost:
            process.kill()
        print(f"LOST a machine of {len(lost)} processes", flush=True)
        code = driver.wait()
    cluster.shutdown()
    return code


if __name__ == "__main__":
    sys.exit(main())
