import time
from typing import Any

import pytest

from harness.profiling.sampling import Sampler, joined_windows, load_warnings, window_of, window_warnings
from harness.records.measurement_values import DeviceWindow, Range
from harness.system.nvml import Look
from harness.system.quantities import NotMeasured, Quantity

UUID = "GPU-1111"


def look(clock_mhz: float, *, busy: bool | None = True, reasons: tuple[str, ...] = ()) -> Look:
    return Look(
        sm_clock_mhz=Quantity(value=clock_mhz),
        memory_clock_mhz=Quantity(value=3201),
        temperature_c=Quantity(value=40),
        power_w=Quantity(reason="NVML: Not Supported"),
        clock_reasons=reasons,
        busy=busy,
    )


def sampled(seconds: float) -> Sampler:
    with Sampler(UUID, interval_s=0.01) as sampler:
        time.sleep(seconds)
    return sampler


def test_a_window_is_sampled_while_it_is_entered(library: Any) -> None:
    library.busy_percent, library.mask = 97, 0x04
    library.sm_clocks_mhz = [1500, 1980]
    sampler = sampled(0.2)
    window = sampler.window
    assert isinstance(window, DeviceWindow)
    assert 3 <= window.samples <= 25  # 20, if this machine is not busy
    assert window.busy_samples == window.samples
    assert window.sm_clock_mhz == Range(low=1500, median=1980, high=1980)
    assert window.memory_clock_mhz == Range(low=3201, median=3201, high=3201)
    assert window.power_w == Range(low=123.4, median=123.4, high=123.4)
    assert window.throttle_reasons == ("power cap",)
    assert sampler.mean_power_w.value == pytest.approx(123.4)
    assert library.open == 0
    time.sleep(0.05)
    assert sampler.window == window  # the thread has ended


def test_even_the_shortest_window_has_a_sample(library: Any) -> None:
    assert isinstance(sampled(0.0).window, DeviceWindow)


def test_what_nvml_refuses_is_missing_alone(library: Any) -> None:
    library.refused["nvmlDeviceGetPowerUsage"] = "Insufficient Permissions"
    library.refused["nvmlDeviceGetCurrentClocksEventReasons"] = "Function Not Found"
    sampler = sampled(0.0)
    window = sampler.window
    assert isinstance(window, DeviceWindow)
    assert window.power_w == NotMeasured(reason="NVML: Insufficient Permissions")
    assert window.throttle_reasons == NotMeasured(reason="NVML: Function Not Found")
    assert isinstance(window.sm_clock_mhz, Range)
    assert sampler.mean_power_w.reason == "NVML: Insufficient Permissions"


def test_clocks_are_those_of_busy_samples() -> None:
    window = window_of([look(210, busy=False, reasons=("idle",)), look(1900), look(1980, reasons=("idle",))])
    assert (window.samples, window.busy_samples) == (3, 2)
    assert window.sm_clock_mhz == Range(low=1900, median=1940, high=1980)
    assert window.temperature_c == Range(low=40, median=40, high=40)
    assert window.power_w == NotMeasured(reason="NVML: Not Supported")
    assert window.throttle_reasons == ("idle",)


def test_reasons_are_the_union_in_nvmls_order() -> None:
    window = window_of([look(1, reasons=("power brake",)), look(1), look(1, reasons=("power cap", "idle"))])
    assert window.throttle_reasons == ("idle", "power cap", "power brake")


def test_a_steady_window_raises_no_doubt() -> None:
    looks = [look(1900), look(1980)] * 15 + [look(210, busy=False)]  # 80 MHz of 1940 are 4.1 %
    assert window_warnings(window_of(looks)) == []


def test_doubts() -> None:
    """102 MHz of 1980 are 5.15 %."""
    looks = [look(1980)] * 28 + [look(1878, reasons=("thermal slowdown by hardware", "power cap"))]
    assert window_warnings(window_of(looks)) == [
        "the GPU's clocks were sampled 29 times at work (30 wanted)",
        "the SM clock spread by 5.2 % (limit 5 %)",
        "the GPU's clocks were held back: thermal slowdown by hardware",
    ]


@pytest.mark.parametrize("busy", [False, None])
def test_idle_clocks_are_not_judged(busy: bool | None) -> None:
    looks = [look(clock, busy=busy) for clock in (210, 1980)] * 30
    assert window_warnings(window_of(looks)) == ["the GPU's clocks were sampled 0 times at work (30 wanted)"]


NONE = NotMeasured(reason="NVML: Not Supported")


def make_window(
    low: float, high: float, *reasons: str, power: Range | NotMeasured = NONE, busy: int = 20
) -> DeviceWindow:
    clock = Range(low=low, median=(low + high) / 2, high=high)
    return DeviceWindow(
        samples=30,
        busy_samples=busy,
        sm_clock_mhz=clock,
        memory_clock_mhz=clock,
        temperature_c=clock,
        power_w=power,
        throttle_reasons=reasons,
    )


def test_two_windows_by_hand() -> None:
    power = Range(low=1.0, median=2.0, high=3.0)
    both = joined_windows([make_window(10, 20, "power cap", power=power), make_window(14, 26, "idle", power=power)])
    assert isinstance(both, DeviceWindow)
    assert (both.samples, both.busy_samples) == (60, 40)
    assert both.sm_clock_mhz == Range(low=10, median=17.5, high=26)
    assert both.throttle_reasons == ("idle", "power cap")
    assert both.power_w == power


def test_what_one_window_lacks_all_lack() -> None:
    """Else the power or the throttling of one process would pass for that of all."""
    power = Range(low=1.0, median=2.0, high=3.0)
    unknown = make_window(14, 26).model_copy(update={"throttle_reasons": NONE})
    both = joined_windows([make_window(10, 20, power=power), unknown])
    assert isinstance(both, DeviceWindow)
    assert both.power_w == both.throttle_reasons == NONE
    assert both.sm_clock_mhz == Range(low=10, median=17.5, high=26)


def test_an_idle_window_says_nothing_of_the_clocks() -> None:
    both = joined_windows([make_window(10, 20), make_window(1, 2, busy=0)])
    assert isinstance(both, DeviceWindow)
    assert both.sm_clock_mhz == Range(low=10, median=15, high=20)
    assert both.temperature_c == Range(low=1, median=8.25, high=20)


def test_one_that_is_missing_makes_all_missing() -> None:
    assert joined_windows([make_window(1, 2), NONE]) == NONE
    assert joined_windows([]) == NotMeasured(reason="measured on a CPU")


@pytest.mark.parametrize(
    ("load", "ours", "cores", "flagged"),
    [
        (2.4, 2, 1, False),
        (2.6, 2, 1, True),
        (0.0, 2, 1, False),
        (1.6, 1, 1, True),
        (1.6, 1, 2, True),
        (4.9, 1, 16, False),
        (5.1, 1, 16, True),
    ],
)
def test_load_of_others(load: float, ours: int, cores: int, flagged: bool) -> None:
    assert bool(load_warnings(Quantity(value=load), ours, cores)) is flagged
