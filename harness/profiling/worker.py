"""The process that measures: `python -m harness.profiling.worker TASK.json OUTPUT.json`.

It loads what it needs, prints `ready`, and then does what each line of its standard input asks, printing
`done` after it: `prepare` all that comes before the rounds, `round` takes a round, `finalize` all that comes
after the last one. `end`, or the end of the input, ends it. A phase without rounds touches no device before
`prepare`, so that another measurement may run until then. After every step the output file holds the result
so far. What begins is printed as `phase: <name>`. Exit codes: 0 done (the result says if it
failed), 2 bad input, 1 any other error, 130 stopped by Ctrl-C.
"""

import sys
from pathlib import Path

from harness.profiling.process import BAD_INPUT, FAILED, FINISHED, STOPPED
from harness.profiling.work import DONE, FINALIZE, PHASE, PREPARE, READY, ROUND, Task
from harness.records.measurement import TIMED
from harness.system.errors import UserError
from harness.system.files import write_atomically


def main(task_file: str, output_file: str) -> int:
    """Carry out the task in the first file, leave the result in the second."""
    from architectures import ArchitectureError
    from harness.profiling.bench import Bench
    from harness.profiling.phases import Measuring

    def say(what: str) -> None:
        print(what, flush=True)

    def begun() -> Measuring:
        try:
            bench = Bench(task)
        except ArchitectureError as error:  # later ones are the network's own, and a failed measurement
            raise UserError(str(error)) from error
        return Measuring(bench, on_phase=lambda what: say(f"{PHASE}{what}"))

    steps = {PREPARE: Measuring.prepare, ROUND: Measuring.round, FINALIZE: Measuring.finalize}
    task = Task.model_validate_json(Path(task_file).read_bytes())
    try:
        measuring = begun() if task.key.phase in TIMED else None
        if measuring is not None:
            measuring.load()
        say(READY)
        for line in sys.stdin:
            if (step := steps.get(line.strip())) is None:
                break
            measuring = measuring or begun()
            step(measuring)
            write_atomically(Path(output_file), measuring.result().model_dump_json().encode())
            say(DONE)
    except UserError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return STOPPED
    except SystemExit as error:
        print(f"SystemExit: the code of the network called sys.exit({error.code!r})", file=sys.stderr)
        return FAILED
    return FINISHED


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
