"""The comparison with the PyTorch baseline as a command: `python -m tests.benchmarks.performance`.

measure  carries out all comparisons and writes their record; `--small` for input 90x120
check    the small ones against the committed record; exit code 1 where a ratio is worse by more than 25 %
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.records.speed import PERFORMANCE, PerformanceRecord, spread
from harness.system.environment import available_cores
from harness.system.errors import UserError
from tests.benchmarks.comparisons import SMALL_SIZE
from tests.benchmarks.speed_gate import Regression, baseline_for, comparable, regressions

ROOT = Path(__file__).resolve().parent.parent.parent
BENCHMARK = ROOT / "tests" / "benchmarks" / "bench_performance.py"


def compare(words: Sequence[str]) -> int:
    """Run the comparisons under pytest-benchmark; its exit code, 1 where one failed."""
    figures = ROOT / "work" / "performance" / "benchmarks.json"
    figures.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(BENCHMARK)]
    options = ["--benchmark-only", f"--benchmark-json={figures}", "--benchmark-columns=median,iqr,rounds"]
    return subprocess.run([*command, *options, *words], cwd=ROOT, check=False).returncode


def measure(arguments: argparse.Namespace) -> int:
    """`measure`."""
    words = ["--performance", "small" if arguments.small else "full", *_shared(arguments)]
    if arguments.only:
        words += ["--performance-only", ",".join(arguments.only)]
    return compare(words)


def check(arguments: argparse.Namespace) -> int:
    """`check`. An entry that is worse is measured once more before it counts: something else may have run."""
    committed, threads = PERFORMANCE.load(ROOT / "results"), available_cores()
    if not comparable(committed, device=arguments.device, threads=threads, size=SMALL_SIZE):
        height, width = SMALL_SIZE
        print(
            f"nothing to judge by: no committed record at {height}x{width} of a {arguments.device} with "
            f"{threads} threads; `make performance-baseline` makes one"
        )
        return 0
    with tempfile.TemporaryDirectory(prefix="segnet-harness-") as folder:
        place = Path(folder)
        words = ["--performance", "small", f"--performance-results={place}", *_shared(arguments)]
        compare(words)
        new = _only(place)
        baseline = baseline_for(new, committed)
        assert baseline is not None, "there is a comparable one"
        worse = regressions(baseline, new)
        if worse:
            _say("worse, measured once more", worse)
            compare([*words, "--performance-only", ",".join(one.name for one in worse)])
            worse = regressions(baseline, new := _only(place))
        _show(baseline, new)
    _say("REGRESSION", worse)
    return 1 if worse else 0


def _only(place: Path) -> PerformanceRecord:
    """The one record of a folder; UserError where nothing could be compared."""
    records = PERFORMANCE.load(place)
    if not records:
        raise UserError("no comparison could be carried out: see above")
    return records[0]


def _show(baseline: PerformanceRecord, new: PerformanceRecord) -> None:
    print(f"ratios against the committed ones of {baseline.device_name}, {baseline.file_name}")
    for entry in new.entries:
        committed = baseline.entry(entry.name)
        if entry.ratios and committed is not None and committed.ratios:
            before, now = spread(committed.ratios).median, spread(entry.ratios).median
            print(f"  {entry.name:40} {now:8.3f}  committed {before:8.3f}")


def _say(mark: str, found: Sequence[Regression]) -> None:
    for one in found:
        print(f"{mark}: {one.message}")


def _shared(arguments: argparse.Namespace) -> list[str]:
    names = {"device": "device", "data_root": "data-root", "weights": "weights", "weights_size": "weights-size"}
    given = {option: getattr(arguments, name) for name, option in names.items()}
    return [f"--performance-{option}={value}" for option, value in given.items() if value]


def main(words: Sequence[str]) -> int:
    """Parse and carry out; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.performance", description=__doc__)
    parser.add_argument("task", choices=("measure", "check"))
    parser.add_argument("--small", action="store_true", help="measure at 90x120")
    parser.add_argument("--only", nargs="+", help="names of entries to measure")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="that networks run on")
    parser.add_argument("--data-root", help="folder that holds CamVid; default: SEGNET_DATA_ROOT")
    parser.add_argument("--weights", help="safetensors of a trained SegNet, whose predictions are scored")
    parser.add_argument("--weights-size", help="input size that it was trained at; default: 360x480")
    arguments = parser.parse_args(words)
    try:
        return measure(arguments) if arguments.task == "measure" else check(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
