"""Jobs that cost nothing, for the tests of the sides."""

from tests.benchmarks.sides import Job, JobTable, Settings, timed


def noted(settings: Settings) -> Job:
    """A job that notes its steps in a file that both sides write."""

    def step() -> None:
        with (settings.work / "steps").open("a") as file:
            file.write("P" if settings.workers else "o")

    return timed(step, lambda: ["it was noted"])


def failing(settings: Settings) -> Job:
    """A job whose second step fails, and which brings its opponent."""
    samples = iter([(1.0, 2.0)])
    print("this is no answer")
    return Job(step=lambda: samples.__next__())


JOBS: JobTable = {"noted": noted, "failing": failing}
