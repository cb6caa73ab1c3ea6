"""Carries out comparisons and keeps the record, which is written after each of them."""

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture

from harness.launchers.process import KEEP_MEMORY
from harness.profiling.sampling import load_average, load_warnings
from harness.records.speed import (
    EMULATED,
    PERFORMANCE,
    Entry,
    PerformanceRecord,
    Target,
    joined,
    spread,
)
from harness.system.environment import Device, available_cores, device_name, device_slug, emulates_bfloat16, environment
from tests.benchmarks.comparisons import FULL_SIZE, OURS, PLAIN, SMALL_SIZE, Comparison, Scale, on
from tests.benchmarks.sides import Samples, Settings, Side, SideError, harness_variables, interleave


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a session was asked for.

    records: the committed ones, of which reports are timed. results: where the record goes.
    device: that networks run on.
    weights: of a SegNet trained at `weights_size`; none: predictions are made up.
    """

    small: bool
    device: Device
    data_root: Path
    records: Path
    results: Path
    work: Path
    weights: Path | None
    weights_size: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Input height and width."""
        return SMALL_SIZE if self.small else FULL_SIZE


@dataclass(kw_only=True)
class Outcome:
    """What a comparison came to."""

    samples: Samples = field(default_factory=Samples)
    notes: list[str] = field(default_factory=list)
    failure: str | None = None


class Recorder:
    """One session's comparisons."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._emulated = options.device == "cpu" and emulates_bfloat16()
        self._threads = available_cores()
        self._environment = environment()

    def measure(self, comparison: Comparison, benchmark: BenchmarkFixture) -> Entry:
        """Carry out one comparison and put its entry into the record, a failed one too."""
        scale = comparison.scale(self.options.small, self._emulated)
        moment, started = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
        before = load_average()
        found = self._carry_out(comparison, scale, benchmark)
        after = load_average()
        if comparison.precision == "bf16" and self._emulated:
            found.notes.append(EMULATED)
        entry = Entry(
            name=comparison.name,
            title=comparison.title,
            what=self._what(comparison, scale),
            opponent=comparison.opponent,
            precision=comparison.precision,
            images=comparison.sample_images(scale),
            opponent_workers=int(comparison.changes.get("workers", 0)),
            ours_s=tuple(round(value, 6) for value in found.samples.ours_s),
            opponent_s=tuple(round(value, 6) for value in found.samples.opponent_s),
            target=self._target(comparison),
            notes=tuple(found.notes),
            flags=tuple(load_warnings(after, self._threads + int(comparison.changes.get("workers", 0)))),
            failure=found.failure,
            measured_at=moment,
            wall_s=round(time.perf_counter() - started, 1),
            load_average_before=before.value,
            load_average_after=after.value,
        )
        self._keep(entry)
        _tell(entry, benchmark)
        return entry

    def _target(self, comparison: Comparison) -> Target | None:
        """Of networks compared on both kinds of device, targets hold for a CPU; others hold wherever."""
        elsewhere = self.options.device == "cuda" and "cpu" in comparison.devices
        if (self.options.small and not comparison.small_target) or (elsewhere and comparison.precision):
            return None
        return comparison.target

    def _carry_out(self, comparison: Comparison, scale: Scale, benchmark: BenchmarkFixture) -> Outcome:
        """Prepare both sides, interleave their steps, hear their explanations."""
        settings = self._settings(comparison, scale)
        try:
            with ExitStack() as stack:
                if comparison.sample == "predictions":
                    self._predict(settings)
                own = settings.model_copy(update=dict(comparison.ours))
                variables = harness_variables() if comparison.module == OURS else {}
                sides = [stack.enter_context(Side(comparison.module, comparison.job, own, variables))]
                if comparison.opponent and not comparison.own_opponent:
                    sides.append(stack.enter_context(Side(PLAIN, comparison.job, settings, {})))
                other = sides[1] if len(sides) > 1 else None
                samples = interleave(benchmark, sides[0], other, rounds=scale.rounds, warmup=scale.warmup)
                # what the plain side says of float32 explains nothing of bfloat16
                speakers = sides[:1] if comparison.precision == "bf16" else sides
                said = dict.fromkeys(note for side in speakers for note in side.explain())
        except SideError as error:
            return Outcome(failure=str(error))
        return Outcome(samples=samples, notes=list(said))

    def _settings(self, comparison: Comparison, scale: Scale) -> Settings:
        options = self.options
        shared = Settings(
            size=options.size,
            device=options.device,
            threads=self._threads,
            batch=scale.batch,
            images=scale.images,
            data_root=options.data_root,
            work=options.work,
            predictions=options.work / "predictions.npz",
            results=options.records,
        )
        return shared.model_copy(update=dict(comparison.changes))

    def _predict(self, settings: Settings) -> None:
        """Make the predictions that both sides score; SideError where the weights don't fit."""
        changes: dict[str, Any] = {"weights": self.options.weights, "batch": 1}
        if self.options.weights is not None:
            changes["size"] = self.options.weights_size
        with Side(OURS, "predict", settings.model_copy(update=changes), harness_variables()) as side:
            side.step()

    def _what(self, comparison: Comparison, scale: Scale) -> str:
        height, width = self.options.size
        weights, (trained_height, trained_width) = self.options.weights, self.options.weights_size
        predictions = (
            "made-up predictions: the labels moved by 3 pixels down and right"
            if weights is None
            else f"of a SegNet trained at {trained_height} x {trained_width} (`{weights.parent.name}`)"
        )
        return comparison.what.format(
            batch=scale.batch, images=scale.images, size=f"{height} x {width}", predictions=predictions
        )

    def _keep(self, entry: Entry) -> None:
        """Write the record with this entry; entries that are no longer compared leave it."""
        new = PerformanceRecord(
            device=self.options.device,
            device_name=device_name(self.options.device),
            device_slug=device_slug(self.options.device),
            threads=self._threads,
            size=self.options.size,
            reduced=self.options.small,
            entries=(entry,),
            environments=(self._environment,),
            settings=settings_of_sides(),
        )
        earlier = PERFORMANCE.load(self.options.results)
        old = next((record for record in earlier if record.file_name == new.file_name), None)
        whole = joined(old, new)
        known = [found for one in on(self.options.device) if (found := whole.entry(one.name)) is not None]
        PERFORMANCE.save(self.options.results, whole.model_copy(update={"entries": tuple(known)}))


def settings_of_sides() -> dict[str, Any]:
    """How the sides were run, for the record."""
    return {
        "turns": "a process a side, one computing at a time; the order is swapped each round",
        "plain side": "default environment",
        "our side": {
            "environment of harness.launchers.process": dict(KEEP_MEMORY),
            "protocol": "camvid@2, with another size and batch where it says so",
        },
        "commands": "default environment",
    }


def _tell(entry: Entry, benchmark: BenchmarkFixture) -> None:
    """The other side's seconds and the ratios, beside ours in pytest-benchmark's own file."""
    benchmark.extra_info["ours_s"] = list(entry.ours_s)
    benchmark.extra_info["opponent_s"] = list(entry.opponent_s)
    if entry.ratios:
        ratio = spread(entry.ratios)
        benchmark.extra_info["ratio"] = {"low": ratio.low, "median": ratio.median, "high": ratio.high}
