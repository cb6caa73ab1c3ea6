"""The harness against the PyTorch baseline, interleaved: `make performance`, `make performance-check`.

Each test is one comparison: `benchmark` times our side's steps, the other side's are its setup or teardown.
The figures that count are those that the sides take themselves; they go into `results/performance/`.
"""

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.launchers.process import KEEP_MEMORY
from harness.profiling.sampling import load_average, load_warnings
from harness.records.measurement import PAPER_SIZE
from harness.records.speed import PERFORMANCE, Entry, PerformanceRecord, joined, spread
from harness.system.environment import available_cores, device_name, device_slug, emulates_bfloat16, environment
from harness.system.errors import UserError
from tests.benchmarks.comparisons import BATCH, COMPARISONS, PYTORCH_BASELINE, SAMPLES, SMALL_SIZE, Comparison, Scale
from tests.benchmarks.sides import Settings, side

ROOT = Path(__file__).resolve().parent.parent.parent
OURS, PLAIN = "tests.benchmarks.ours", "tests.benchmarks.plain.side"
ALLOWANCE = 0.25  # by which share a ratio may be worse than the committed one
Samples = tuple[list[float], list[float]]  # seconds of ours and of the opponent, by round
SIDES = {
    "turns": "a process a side, one computing at a time; the order is swapped each round",
    "environment": {"plain side and commands": "default", "our side": dict(KEEP_MEMORY)},
    "protocol of our side": "camvid@2, with another size and batch where it says so",
}


@dataclass(frozen=True, kw_only=True)
class Session:
    """What is asked for: where records lie, settings of all jobs, whether ratios are judged instead of recorded."""

    results: Path
    settings: Settings
    check: bool


@pytest.fixture(scope="module")
def session(pytestconfig: pytest.Config) -> Session:
    """Of pytest's option, with CamVid in SEGNET_DATA_ROOT, else in `../shared/data` or `data`."""
    mode, named = pytestconfig.getoption("--performance"), os.environ.get("SEGNET_DATA_ROOT")
    folders = [Path(named)] if named else [ROOT.parent / "shared" / "data", ROOT / "data"]
    data_root = next((folder.resolve() for folder in folders if (folder / "CamVid").is_dir()), None)
    if data_root is None:
        pytest.fail("no CamVid found: name the folder that holds it with SEGNET_DATA_ROOT", pytrace=False)
    work = ROOT / "work" / "performance"
    work.mkdir(parents=True, exist_ok=True)
    size = PAPER_SIZE if mode == "full" else SMALL_SIZE
    settings = Settings(size=size, threads=available_cores(), data_root=data_root, work=work)
    results = ROOT / "results"
    try:
        PERFORMANCE.load(results)  # before anything is measured
    except UserError as error:
        pytest.fail(f"error: {error}", pytrace=False)
    return Session(results=results, settings=settings, check=mode == "check")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    # unknown where pytest was started further up, for then the option came too late
    mode = metafunc.config.getoption("--performance", default=None)
    chosen = [one for one in COMPARISONS if mode == "full" or (mode and one.small)]
    metafunc.parametrize("comparison", chosen, ids=lambda one: one.name)


def test_performance(comparison: Comparison, session: Session, benchmark: BenchmarkFixture) -> None:
    highest = allowed(comparison, session) if session.check else None
    if session.check and highest is None:
        pytest.skip("no committed record to judge it by; `make performance-baseline` makes one")
    if comparison.changes.get("precision") == "bf16" and emulates_bfloat16():
        pytest.skip("this CPU emulates bfloat16: a step takes minutes")
    entry = measure(comparison, session.settings, benchmark)
    if not session.check:
        keep(entry, session)
    if entry.failure is not None:
        pytest.fail(entry.failure, pytrace=False)
    if entry.ratios:
        now = spread(entry.ratios)
        text = f"{now.median:.3f} [{now.low:.3f}, {now.high:.3f}] of {entry.opponent}'s time"
        print(text, "" if highest is None else f"at most {highest:.3f}")
        if highest is not None and now.median > highest:
            pytest.fail(f"slower than committed: {text}, at most {highest:.3f}", pytrace=False)


def measure(comparison: Comparison, shared: Settings, benchmark: BenchmarkFixture) -> Entry:
    """Carry out one comparison; a failed one is an entry with the reason."""
    small = shared.size != PAPER_SIZE
    scale = comparison.small if small else comparison.full
    assert scale is not None, f"{comparison.name} is not compared at the small size"
    moment, started, before = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter(), load_average()
    samples: Samples = [], []
    notes: list[str] = []
    failure = None
    try:
        samples, notes = carry_out(comparison, scale, shared, benchmark)
    except Exception as error:  # of whatever kind: it is the reason
        failure = f"{type(error).__name__}: {error}".splitlines()[0]
    after, workers = load_average(), int(comparison.changes.get("workers", 0))
    return Entry(
        name=comparison.name,
        title=comparison.title,
        what=SAMPLES[comparison.job].format(images=scale.images, size="{} x {}".format(*shared.size)),
        opponent=comparison.opponent,
        precision=comparison.changes.get("precision"),
        images=scale.images,
        opponent_workers=workers,
        ours_s=tuple(round(value, 6) for value in samples[0]),
        opponent_s=tuple(round(value, 6) for value in samples[1]),
        target=None if small else comparison.target,
        notes=tuple(notes),
        flags=tuple(load_warnings(after, shared.threads + workers)),
        failure=failure,
        measured_at=moment,
        wall_s=round(time.perf_counter() - started, 1),
        load_average_before=before.value,
        load_average_after=after.value,
    )


def carry_out(
    comparison: Comparison, scale: Scale, shared: Settings, benchmark: BenchmarkFixture
) -> tuple[Samples, list[str]]:
    """Interleave the steps of both sides; in every other round the second goes first. What they say about them."""
    images = scale.images or 1
    settings = replace(shared, images=images, batch=min(images, BATCH), **comparison.changes)
    ours_s: list[float] = []
    opponent_s: list[float] = []
    with ExitStack() as stack:
        ours = stack.enter_context(side(OURS, comparison.job, settings, KEEP_MEMORY if comparison.opponent else {}))
        plain = None
        if comparison.opponent == PYTORCH_BASELINE:
            plain = stack.enter_context(side(PLAIN, comparison.job, settings, {}))

        def step() -> None:
            own, *opponent = ours("step")
            ours_s.append(own)
            opponent_s.extend(opponent)

        def plain_step(due: bool) -> None:
            if plain is not None and due:
                opponent_s.extend(plain("step"))

        benchmark.pedantic(  # type: ignore[no-untyped-call]
            step,
            setup=lambda: plain_step(len(ours_s) % 2 == 0),
            teardown=lambda: plain_step(len(opponent_s) < len(ours_s)),
            rounds=scale.rounds,
            warmup_rounds=scale.warmup,
        )
        notes = ours("explain")
        if plain is not None and settings.precision != "bf16":  # what it says of float32 explains nothing of bfloat16
            notes += plain("explain")
    return (ours_s[scale.warmup :], opponent_s[scale.warmup :]), notes


def keep(entry: Entry, session: Session) -> None:
    """Put an entry into the record of this device and size; what is no longer compared goes."""
    settings = session.settings
    new = PerformanceRecord(
        device="cpu",
        device_name=device_name("cpu"),
        device_slug=device_slug("cpu"),
        threads=settings.threads,
        size=settings.size,
        reduced=settings.size != PAPER_SIZE,
        entries=(entry,),
        environments=(environment(),),
        settings=SIDES,
    )
    path = PERFORMANCE.folder(session.results) / new.file_name
    whole = joined(PERFORMANCE.read(path) if path.exists() else None, new)
    compared = {one.name for one in COMPARISONS if one.small or not new.reduced} | {entry.name}
    left = tuple(one for one in whole.entries if one.name in compared)
    PERFORMANCE.save(session.results, whole.model_copy(update={"entries": left}))


def allowed(comparison: Comparison, session: Session) -> float | None:
    """The highest median ratio that is no regression; none: there is nothing to judge it by.

    Judged by the committed record of this device, else by another's with as many threads, since most of the machine
    is divided out of a ratio. On another device bfloat16 is not judged: CPUs with and without instructions for it
    differ by a factor of twenty. And what takes less than the opponent's time there is no regression: how much less
    is the device's, by a factor of two.
    """
    slug, wanted = device_slug("cpu"), ("cpu", session.settings.threads, session.settings.size)
    same = [one for one in PERFORMANCE.load(session.results) if (one.device, one.threads, one.size) == wanted]
    record = min(same, key=lambda one: one.device_slug != slug, default=None)
    entry = None if record is None else record.entry(comparison.name)
    if record is None or entry is None or not entry.ratios:
        return None
    elsewhere = record.device_slug != slug
    if elsewhere and comparison.changes.get("precision") == "bf16":
        return None
    return max(spread(entry.ratios).median * (1 + ALLOWANCE), 1.0 if elsewhere else 0.0)
