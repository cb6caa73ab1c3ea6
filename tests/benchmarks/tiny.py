"""Jobs that cost nothing, for the tests of the turns."""

from tests.benchmarks.player import JobTable, Settings, WorkerJob, timed


def noted(settings: Settings) -> WorkerJob:
    """A job that notes its turns in a file that both sides write."""

    def turn() -> None:
        with (settings.work / "turns").open("a") as file:
            file.write("P" if settings.workers else "o")

    return timed(turn, lambda: ["it was noted"])


def failing(settings: Settings) -> WorkerJob:
    """A job whose second turn fails."""
    turns = iter([1.0])
    print("this is no answer")
    return WorkerJob(turn=lambda: (next(turns),))


JOBS: JobTable = {"noted": noted, "failing": failing}
