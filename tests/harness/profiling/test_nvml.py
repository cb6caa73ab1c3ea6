"""NVML against the stand-in of the library in conftest.py."""

import sys
from typing import Any

import pytest

from harness.system import nvml
from harness.system.nvml import Unavailable, card
from harness.system.quantities import NotMeasured

MIB = 2**20
UUID, OTHER = "GPU-1111", "GPU-2222"


def test_used_minus_idle_is_of_the_card_with_that_uuid(library: Any) -> None:
    idle = nvml.baseline()
    library.used[UUID] += 300 * MIB
    library.used[OTHER] += 7 * MIB
    assert nvml.used_minus_idle(UUID, idle).value == 300 * MIB
    assert nvml.used_minus_idle(OTHER, idle).value == 7 * MIB
    assert library.open == 0  # each session was closed


@pytest.mark.parametrize("call", ["nvmlDeviceGetMemoryInfo", "nvmlDeviceGetHandleByUUID"])
def test_a_refusal_is_a_reason(library: Any, call: str) -> None:
    idle = nvml.baseline()
    library.refused[call] = "Insufficient Permissions"
    figure = nvml.used_minus_idle(UUID, idle)
    assert (figure.value, figure.reason) == (None, "NVML: Insufficient Permissions")
    assert library.open == 0


def test_a_card_without_idle_memory_has_a_reason(library: Any) -> None:
    library.refused["nvmlDeviceGetMemoryInfo"] = "Insufficient Permissions"
    idle = nvml.baseline()
    library.refused.clear()
    assert idle.reason is None
    assert f"no idle memory for {UUID}" in str(nvml.used_minus_idle(UUID, idle).reason)


def test_mig_is_a_reason(library: Any) -> None:
    idle = nvml.baseline()
    library.mig[UUID] = 1
    assert "MIG is on" in str(nvml.used_minus_idle(UUID, idle).reason)
    library.mig[UUID] = 0
    assert nvml.used_minus_idle(UUID, idle).value == 0


def test_nvmls_mark_for_not_available_is_no_figure(library: Any) -> None:
    idle = nvml.baseline()
    library.used[UUID] = 2**64 - 1
    assert nvml.used_minus_idle(UUID, idle).value is None


def test_without_a_driver_everything_is_a_reason(library: Any) -> None:
    library.refused["nvmlInit"] = "NVML Shared Library Not Found"
    reason = "NVML: NVML Shared Library Not Found"
    assert nvml.baseline().reason == reason
    assert nvml.used_minus_idle(UUID, nvml.baseline()).reason == reason
    with pytest.raises(Unavailable, match=reason), card(UUID):
        pass
    assert nvml.driver_version() is None


def test_without_the_package_everything_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "is_wsl", lambda: False)
    monkeypatch.setitem(sys.modules, "pynvml", None)  # makes the import fail
    assert nvml.baseline().reason == "the package nvidia-ml-py is not installed"
    assert nvml.driver_version() is None


def test_under_wsl_nothing_is_asked(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "is_wsl", lambda: True)
    assert str(nvml.baseline().reason).startswith("WSL")
    with pytest.raises(Unavailable, match="WSL"), card(UUID):
        pass


def test_other_users_are_seen(library: Any) -> None:
    library.processes[OTHER] = 2
    assert nvml.baseline().others == {OTHER: "2 other compute processes on the GPU"}
    library.processes.clear()
    library.busy_percent = 5
    assert nvml.baseline().others[UUID] == "the GPU was 5 % busy before the measurement"
    library.busy_percent = 4
    assert nvml.baseline().others == {}


def test_one_look_at_the_card(library: Any) -> None:
    library.mask = 0x04 | 0x40
    library.busy_percent = 1
    library.refused["nvmlDeviceGetPowerUsage"] = "Not Supported"
    with card(UUID) as found:
        look = found.look()
        assert (look.sm_clock_mhz.value, look.memory_clock_mhz.value) == (1980, 3201)
        assert look.temperature_c.value == 41
        assert look.power_w.reason == "NVML: Not Supported"
        assert look.clock_reasons == ("power cap", "thermal slowdown by hardware")
        assert look.busy is True
        library.refused = {"nvmlDeviceGetCurrentClocksEventReasons": "Function Not Found"}
        library.busy_percent = 0
        look = found.look()
        assert look.power_w.value == 123.4
        assert look.clock_reasons == NotMeasured(reason="NVML: Function Not Found")
        assert look.busy is False
    assert library.open == 0


@pytest.mark.parametrize(("mask", "busy"), [(0x01, False), (0x04, True), (0, True)])
def test_without_utilisation_idleness_tells_what_is_busy(library: Any, mask: int, busy: bool) -> None:
    library.refused["nvmlDeviceGetUtilizationRates"] = "Not Supported"
    library.mask = mask
    with card(UUID) as found:
        assert found.look().busy is busy
        library.refused["nvmlDeviceGetCurrentClocksEventReasons"] = "Not Supported"
        assert found.look().busy is None


def test_energy_is_the_counters_or_a_reason(library: Any) -> None:
    library.energy_mj = lambda: 123_456
    with card(UUID) as found:
        assert found.energy_mj() == 123_456
    library.refused["nvmlDeviceGetTotalEnergyConsumption"] = "Not Supported"
    with pytest.raises(Unavailable, match="from Volta on"), card(UUID) as found:
        found.energy_mj()


@pytest.mark.parametrize(
    ("uuid", "message"), [("MIG-4444", "MIG is on"), ("GPU-3333", "finds no GPU-3333"), (OTHER, "MIG is on")]
)
def test_a_slice_has_no_card(library: Any, uuid: str, message: str) -> None:
    library.mig[OTHER] = 1
    with pytest.raises(Unavailable, match=message), card(uuid):
        pass
    assert library.open == 0


def test_others_errors_pass_through_an_open_card(library: Any) -> None:
    with pytest.raises(RuntimeError, match="out of memory"), card(UUID):
        raise RuntimeError("out of memory")
    assert library.open == 0


def test_the_names_used_are_those_of_the_real_library(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pynvml")
    pynvml = pytest.importorskip("pynvml")
    used = [name for name in vars(type(library)) if name.startswith(("nvml", "NVML"))]
    assert [name for name in used if not hasattr(pynvml, name)] == []
    assert {pynvml.nvmlClocksEventReasonHwSlowdown, pynvml.nvmlClocksEventReasonSwThermalSlowdown} <= set(
        nvml.CLOCK_REASONS
    )
    assert nvml.CLOCK_REASONS[pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown] in nvml.SLOWDOWNS
    assert nvml.CLOCK_REASONS[pynvml.nvmlClocksEventReasonSwPowerCap] == "power cap"
