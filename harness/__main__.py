"""`python -m harness`: run a command; errors the user can mend are one line and exit code 2."""

import signal
import sys


def command() -> None:
    """Run the command line and end this process with its code."""
    from harness.system.surroundings import leave

    try:
        main()
    except SystemExit as error:
        leave(error.code if isinstance(error.code, int) else 0 if error.code is None else 1)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        leave(1)
    leave(0)


def main() -> None:
    """Run the command line and exit with its code."""
    from harness.system.errors import UserError, storage_error
    from harness.system.signals import STOPPED, handle_stops
    from harness.system.surroundings import guard_exit, refuse_another_datasets, refuse_torchrun, settle

    try:
        refuse_another_datasets()
        refuse_torchrun()
        settle()
        guard_exit()
        handle_stops(signal.default_int_handler)
        from harness.cli.app import app

        app()
    except UserError as error:
        _fail(str(error))
    except ValueError as error:
        # DatasetError and ArchitectureError are the typed errors of packages that know nothing of this one.
        if type(error).__module__.partition(".")[0] not in ("datasets", "architectures"):
            raise
        _fail(str(error))
    except OSError as error:
        line = storage_error(error)
        if line is None:
            raise
        _fail(line)
    except KeyboardInterrupt:
        sys.exit(STOPPED)


def _fail(line: str) -> None:
    from harness.system.errors import printable

    if line:
        print(f"error: {printable(line)}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    command()
