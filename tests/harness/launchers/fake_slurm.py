"""sbatch, squeue, sacct, scancel and srun of a cluster of one machine that lets jobs wait in a queue.

`python fake_slurm.py NAME ARGUMENTS`, as the scripts that `install` writes do. State lies in $FAKE_SLURM: a
folder a job, with its script, its process and its state.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

QUEUED_S = 2.0


def install(folder: Path) -> dict[str, str]:
    """Scripts of those names in the folder; the variables that put them on PATH."""
    folder.mkdir(parents=True)
    for name in ("sbatch", "sacct", "scancel", "srun", "squeue"):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).resolve()} {name} "$@"\n')
        script.chmod(0o755)
    (folder / "jobs").mkdir()
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "FAKE_SLURM": str(folder / "jobs")}


def jobs() -> Path:
    return Path(os.environ["FAKE_SLURM"])


def sbatch(script: str) -> None:
    """Queue a script; it begins after a while."""
    number = str(len(list(jobs().iterdir())) + 1)
    folder = jobs() / number
    folder.mkdir()
    (folder / "script").write_text(Path(script).read_text())
    (folder / "state").write_text("PENDING")
    runner = [sys.executable, __file__, "runner", number]
    subprocess.Popen(runner, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    print(f"Submitted batch job {number}")


def runner(number: str) -> None:
    """What the cluster does with a job: let it wait, run it, note how it ended."""
    folder = jobs() / number
    time.sleep(QUEUED_S)
    if (folder / "state").read_text() != "PENDING":
        return
    variables = {
        "SLURM_JOB_ID": number,
        "SLURM_NTASKS": "1",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_NODEID": "0",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_JOB_NODELIST": "localhost",
    }
    with subprocess.Popen(["bash", folder / "script"], env={**os.environ, **variables}) as process:
        (folder / "state").write_text("RUNNING")
        code = process.wait()
    if (folder / "state").read_text() == "RUNNING":
        (folder / "state").write_text("COMPLETED" if code == 0 else "FAILED")


def srun(*arguments: str) -> None:
    """Run a job's command; its process is the one that signals go to."""
    given = list(arguments)
    while given[0].startswith("--"):
        option = given.pop(0)
        if option in ("--output", "--error"):
            given.pop(0)
    (jobs() / os.environ["SLURM_JOB_ID"] / "pid").write_text(str(os.getpid()))
    os.execvp(given[0], given)


def signaled(number: str, what: int) -> None:
    pid = jobs() / number / "pid"
    if pid.exists():
        try:
            os.kill(int(pid.read_text()), what)
        except ProcessLookupError:
            return


def scancel(number: str) -> None:
    (jobs() / number / "state").write_text("CANCELLED")
    signaled(number, signal.SIGTERM)


def sacct(*arguments: str) -> None:
    print("JobID|State|NodeList")
    for folder in sorted(jobs().iterdir()):
        print(f"{folder.name}|{(folder / 'state').read_text()}|localhost")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
