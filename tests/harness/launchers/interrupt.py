"""Starts a command, sends it Ctrl-C once a run trains, and says which workers are left when it has ended.

Arguments: those of `python -m harness`. Its exit code is that of the command.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    with subprocess.Popen([sys.executable, "-m", "harness", *sys.argv[1:]]) as driver:
        while not list(Path("work/runs").glob("*/position.json")):
            assert driver.poll() is None, "the command ended before a run trained"
            time.sleep(0.1)
        driver.send_signal(signal.SIGINT)
        code = driver.wait()
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    print(f"WORKERS LEFT: {sum(b'harness.launchers.worker' in line for line in lines)}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
