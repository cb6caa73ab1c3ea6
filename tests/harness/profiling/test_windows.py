from harness.profiling.windows import joined_windows
from harness.records.measurement_values import DeviceWindow, Range
from harness.system.quantities import NotMeasured

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
    both = joined_windows([make_window(10, 20, "idle", power=power), make_window(14, 26, "power cap", "idle")])
    assert isinstance(both, DeviceWindow)
    assert (both.samples, both.busy_samples) == (60, 40)
    assert both.sm_clock_mhz == Range(low=10, median=17.5, high=26)
    assert both.throttle_reasons == ("idle", "power cap")
    assert both.power_w == NONE  # a range of one window is none of both


def test_an_idle_window_says_nothing_of_the_clocks() -> None:
    both = joined_windows([make_window(10, 20), make_window(1, 2, busy=0)])
    assert isinstance(both, DeviceWindow)
    assert both.sm_clock_mhz == Range(low=10, median=15, high=20)
    assert both.temperature_c == Range(low=1, median=8.25, high=20)


def test_one_that_is_missing_makes_all_missing() -> None:
    assert joined_windows([make_window(1, 2), NONE]) == NONE
    assert joined_windows([]) == NotMeasured(reason="measured on a CPU")
