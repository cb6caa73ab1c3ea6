"""The process that carries out one measurement: `python -m harness.measure.worker SPEC.json OUTPUT.json`.

Before each phase it writes the record as it would stand if the process ended there, so that what was measured
outlives it, and prints `phase: <name>`. Exit codes: 0 measured (a failed record says why), 2 bad input, 1 any
other error, 130 stopped by Ctrl-C.
"""

import sys
from pathlib import Path

from harness.errors import UserError
from harness.measure.process import BAD_INPUT, DONE, PHASE, STOPPED
from harness.measure.record import MeasureSpec, write_record


def main(spec_file: str, output_file: str) -> int:
    """Measure what the first file asks for, leave the record in the second."""
    from architectures import ArchitectureError
    from harness.measure.cell import measure

    spec = MeasureSpec.model_validate_json(Path(spec_file).read_bytes())
    output = Path(output_file)
    try:
        record = measure(
            spec,
            on_phase=lambda phase: print(f"{PHASE}{phase}", flush=True),
            on_record=lambda record: write_record(output, record),
        )
    except (UserError, ArchitectureError) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return STOPPED
    write_record(output, record)
    return DONE


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
