"""Energy against the stand-in of NVML, with a clock that moves only as passes run and pauses are made."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.profiling import energy as energy_module
from harness.profiling.energy import BaselinePower, Timer, baseline_power, idle_power, measure_energy
from harness.profiling.presets import PLANS
from harness.records.measurement_values import Energy
from harness.system import nvml
from harness.system.quantities import NotMeasured, Quantity
from tests.harness.profiling.test_record import make_spec

UUID = "GPU-1111"
IDLE_W = Quantity(value=100.0)
PLAN_FIELDS = ("energy_windows", "energy_window_s", "cool_down_s", "idle_s")
SETTLING_S = [1.0, 3.0]  # a pause, and idle power with a context


class World:
    """A GPU that draws 130 W at rest with a context and 400 W at work, of which a pass takes 0.5 s."""

    def __init__(self, library: Any) -> None:
        self.now_s = 0.0
        self.spent_mj = 5_000_000.0
        self.pauses_s: list[float] = []
        self.passes = 0
        self.idle_w = 130.0
        self.synchronized_at: list[float] = []
        library.energy_mj = lambda: int(self.spent_mj)
        library.power_mw = 400_000
        self.timer = Timer(now=lambda: self.now_s, sleep=self.sleep, offset_s=lambda: 0.05)

    def pass_time(self, seconds: float, watts: float) -> None:
        self.now_s += seconds
        self.spent_mj += seconds * watts * 1000

    def sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)
        self.pass_time(seconds, self.idle_w)

    def run(self) -> None:
        self.passes += 1
        self.pass_time(0.5, 400.0)

    def synchronize(self) -> None:
        self.synchronized_at.append(self.now_s)

    def measure(self, **changes: Any) -> tuple[Energy | NotMeasured, list[str]]:
        plan = replace(PLANS["lease"], **{name: changes.pop(name) for name in PLAN_FIELDS if name in changes})
        arguments = {"uuid": UUID, "idle_w": IDLE_W, "plan": plan, "timer": self.timer, "run": self.run}
        return measure_energy(synchronize=self.synchronize, **{**arguments, **changes})


@pytest.fixture
def world(library: Any) -> World:
    return World(library)


def figures(found: tuple[Energy | NotMeasured, list[str]]) -> Energy:
    assert isinstance(found[0], Energy), found[0].reason
    return found[0]


def test_energy_of_a_pass_by_hand(world: World) -> None:
    energy, flags = world.measure()
    assert isinstance(energy, Energy)
    assert (energy.window_s, energy.passes) == ((10.0,), (20,))
    assert energy.raw_mj == 200_000  # 400 W for 0.5 s
    assert energy.above_idle_mj.value == 150_000  # 300 W of it
    assert energy.integrated_mj.value == 200_000
    assert energy.idle_w == IDLE_W
    assert energy.context_idle_w.value == 130.0  # the clocks stay up
    assert energy.above_context_idle_mj.value == 135_000  # 270 W of 400 W
    assert flags == []
    assert world.passes == 20 + 3  # 1.05 s of work before
    assert world.pauses_s == SETTLING_S


def test_windows_end_when_the_work_is_done(world: World) -> None:
    """Passes begun within the window count, and so does their time after it."""
    energy = figures(world.measure(energy_window_s=9.8))
    assert (energy.window_s, energy.passes) == ((10.0,), (20,))
    assert world.synchronized_at == [0.0, 5.5, 15.5]


def test_one_pass_longer_than_a_window_counts(world: World) -> None:
    assert figures(world.measure(energy_window_s=0.1)).passes == (1,)


def test_the_median_of_windows(world: World, library: Any) -> None:
    watts = iter([400.0] * 3 + [400.0] * 20 + [400.0] * 3 + [500.0] * 20 + [400.0] * 3 + [420.0] * 20)

    def run() -> None:
        world.pass_time(0.5, next(watts))

    energy = figures(world.measure(run=run, energy_windows=3))
    assert energy.window_s == (10.0, 10.0, 10.0)
    assert energy.raw_mj == 210_000
    assert energy.above_idle_mj.value == 160_000


def test_a_card_that_stays_warm_pauses_for_the_whole_cool_down(world: World, library: Any) -> None:
    library.temperatures_c = [40] + [60] * 1000
    assert figures(world.measure(energy_windows=3, cool_down_s=2.5)).window_s == (10.0, 10.0, 10.0)
    assert world.pauses_s == [*SETTLING_S, *[1.0, 1.0, 0.5] * 2]


def test_a_card_that_is_cool_again_pauses_no_longer(world: World, library: Any) -> None:
    library.temperatures_c = [40, 42]  # within 2 degrees
    assert figures(world.measure(energy_windows=3, cool_down_s=2.5)).window_s == (10.0, 10.0, 10.0)
    assert world.pauses_s == SETTLING_S


def test_warnings(world: World, library: Any) -> None:
    library.power_mw = 450_000
    energy, flags = world.measure(energy_window_s=4.0)
    assert isinstance(energy, Energy)
    assert energy.integrated_mj.value == 225_000
    assert flags == [
        "energy: a window of 4.0 s (at least 5 s wanted)",
        "energy: sampled power differs from the counter by 12% (limit 10%)",
    ]


def test_what_is_not_known_has_its_reason(world: World, library: Any) -> None:
    library.refused["nvmlDeviceGetPowerUsage"] = "Not Supported"
    energy, flags = world.measure(idle_w=Quantity(reason="no idle power"))
    assert isinstance(energy, Energy)
    assert energy.raw_mj == 200_000
    assert energy.above_idle_mj.reason == energy.idle_w.reason == "no idle power"
    assert energy.integrated_mj.reason == "NVML: Not Supported"
    assert flags == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"uuid": "MIG-4444"}, "MIG is on"),
        ({"uuid": "GPU-3333"}, "finds no GPU-3333"),
        ({"others": "2 other compute processes on the GPU"}, "2 other compute processes"),
    ],
)
def test_where_there_is_no_energy_nothing_runs(world: World, changes: dict[str, str], reason: str) -> None:
    energy, flags = world.measure(**changes)
    assert isinstance(energy, NotMeasured)
    assert reason in energy.reason
    assert (world.passes, flags) == (0, [])


def test_a_card_without_the_counter(world: World, library: Any) -> None:
    library.refused["nvmlDeviceGetTotalEnergyConsumption"] = "Not Supported"
    energy, _ = world.measure()
    assert isinstance(energy, NotMeasured) and "from Volta on" in energy.reason
    assert world.passes == 0
    assert "from Volta on" in str(idle_power(UUID, 3.0, world.timer).reason)


def test_a_counter_that_stands_still_gives_no_figure(world: World, library: Any) -> None:
    library.energy_mj = lambda: 7
    energy, _ = world.measure()
    assert energy == NotMeasured(reason="NVML's energy counter did not move in 10.0 s")
    assert idle_power(UUID, 2.0, world.timer).reason == "NVML's energy counter did not move in 2.0 s"


def test_a_refusal_in_the_middle_is_a_reason(world: World, library: Any) -> None:
    def run() -> None:
        world.run()
        library.refused["nvmlDeviceGetTotalEnergyConsumption"] = "GPU is lost"

    found = world.measure(run=run)
    assert isinstance(found[0], NotMeasured) and "GPU is lost" in found[0].reason
    assert library.open == 0


def test_an_error_of_the_pass_is_not_swallowed(world: World, library: Any) -> None:
    def run() -> None:
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        world.measure(run=run)
    assert library.open == 0


def test_idle_power_is_the_counters(world: World) -> None:
    assert idle_power(UUID, 3.0, world.timer).value == 130.0
    assert world.pauses_s == [3.0]


def test_offsets_lie_within_a_period_of_the_counter() -> None:
    draw: Callable[[], float] = Timer().offset_s
    drawn = [draw() for _ in range(100)]
    assert 0 <= min(drawn) < max(drawn) <= 0.1


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """What idle power was asked for, on a machine with two GPUs of which others use one."""
    asked: list[tuple[str, float]] = []

    def watch(uuid: str, seconds: float) -> Quantity:
        asked.append((uuid, seconds))
        return Quantity(value=70.0 + len(asked))

    found = nvml.Baseline(used_bytes={"GPU-1": 0, "GPU-2": 5}, others={"GPU-2": "busy"})
    monkeypatch.setattr(energy_module, "baseline", lambda: found)
    monkeypatch.setattr(energy_module, "idle_power", watch)
    return asked


def test_a_cpu_has_nothing_to_look_at(watched: list[tuple[str, float]]) -> None:
    assert baseline_power(make_spec(device="cpu", preset="full")) == BaselinePower()
    assert watched == []


def test_every_gpu_is_watched_as_long_as_the_preset_says(watched: list[tuple[str, float]]) -> None:
    found = baseline_power(make_spec(device="cuda", preset="lease"))
    assert watched == [("GPU-1", 3.0), ("GPU-2", 3.0)]
    assert found.idle_w == {"GPU-1": Quantity(value=71.0), "GPU-2": Quantity(value=72.0)}
    assert found.others == {"GPU-2": "busy"}


def test_presets_without_energy_need_no_idle_power(watched: list[tuple[str, float]]) -> None:
    assert baseline_power(make_spec(device="cuda", preset="quick")).idle_w == {}
    assert watched == []
