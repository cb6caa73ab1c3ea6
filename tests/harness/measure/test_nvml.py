"""NVML against a stand-in of the library, for no GPU is needed to see what is made of its answers."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from harness.measure import nvml
from harness.measure.record import Missing

MIB = 2**20
UUID, OTHER = "GPU-1111", "GPU-2222"


class NVMLError(Exception):
    """Base of the library's errors."""


class Library:
    """Two cards in an order of the library's own; a call named in `refused` raises its error."""

    NVMLError = NVMLError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0
    nvmlMemory_v2 = 0x02000028

    def __init__(self) -> None:
        self.refused: dict[str, str] = {}
        self.used = {OTHER: 500 * MIB, UUID: 8 * MIB}
        self.processes: dict[str, int] = {}
        self.busy_percent = 0
        self.mig: dict[str, int] = {}
        self.mask = 0
        self.open = 0

    def _called(self, name: str) -> None:
        if name in self.refused:
            raise NVMLError(self.refused[name])

    def nvmlInit(self) -> None:
        self._called("nvmlInit")
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.used)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        return list(self.used)[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        self._called("nvmlDeviceGetHandleByUUID")
        if uuid not in self.used:
            raise NVMLError("Not Found")
        return uuid

    def nvmlDeviceGetUUID(self, handle: str) -> str:
        return handle

    def nvmlDeviceGetMemoryInfo(self, handle: str, version: int) -> Any:
        self._called("nvmlDeviceGetMemoryInfo")
        assert version == self.nvmlMemory_v2
        return SimpleNamespace(used=self.used[handle], total=16_000 * MIB, reserved=300 * MIB)

    def nvmlDeviceGetMigMode(self, handle: str) -> tuple[int, int]:
        if handle not in self.mig:
            raise NVMLError("Not Supported")
        return self.mig[handle], self.mig[handle]

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> list[int]:
        return list(range(self.processes.get(handle, 0)))

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> Any:
        return SimpleNamespace(gpu=self.busy_percent)

    def nvmlDeviceGetClockInfo(self, handle: str, kind: int) -> int:
        return {1: 1980, 2: 3201}[kind]

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:
        return 41

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:
        self._called("nvmlDeviceGetPowerUsage")
        return 123_400

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: str) -> int:
        self._called("nvmlDeviceGetCurrentClocksEventReasons")
        return self.mask

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.1"


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    stand_in = Library()
    monkeypatch.setitem(sys.modules, "pynvml", stand_in)
    monkeypatch.setattr(nvml, "is_wsl", lambda: False)
    return stand_in


def test_used_minus_idle_is_of_the_card_with_that_uuid(library: Library) -> None:
    idle = nvml.baseline()
    library.used[UUID] += 300 * MIB
    library.used[OTHER] += 7 * MIB
    assert nvml.used_minus_idle(UUID, idle).value == 300 * MIB
    assert nvml.used_minus_idle(OTHER, idle).value == 7 * MIB
    assert library.open == 0  # each session was closed


@pytest.mark.parametrize("call", ["nvmlDeviceGetMemoryInfo", "nvmlDeviceGetHandleByUUID"])
def test_a_refusal_is_a_reason(library: Library, call: str) -> None:
    idle = nvml.baseline()
    library.refused[call] = "Insufficient Permissions"
    figure = nvml.used_minus_idle(UUID, idle)
    assert (figure.value, figure.reason) == (None, "NVML: Insufficient Permissions")
    assert library.open == 0


def test_a_card_without_idle_memory_has_a_reason(library: Library) -> None:
    library.refused["nvmlDeviceGetMemoryInfo"] = "Insufficient Permissions"
    idle = nvml.baseline()
    library.refused.clear()
    assert idle.reason is None
    assert f"no idle memory for {UUID}" in str(nvml.used_minus_idle(UUID, idle).reason)


def test_mig_is_a_reason(library: Library) -> None:
    idle = nvml.baseline()
    library.mig[UUID] = 1
    assert "MIG is on" in str(nvml.used_minus_idle(UUID, idle).reason)
    library.mig[UUID] = 0
    assert nvml.used_minus_idle(UUID, idle).value == 0


def test_a_slice_of_a_card_is_none_of_them(library: Library) -> None:
    assert "MIG slice" in str(nvml.used_minus_idle("GPU-3333", nvml.baseline()).reason)


def test_nvmls_mark_for_not_available_is_no_figure(library: Library) -> None:
    idle = nvml.baseline()
    library.used[UUID] = 2**64 - 1
    assert nvml.used_minus_idle(UUID, idle).value is None


def test_without_a_driver_everything_is_a_reason(library: Library) -> None:
    library.refused["nvmlInit"] = "NVML Shared Library Not Found"
    reason = "NVML: NVML Shared Library Not Found"
    assert nvml.baseline().reason == reason
    assert nvml.used_minus_idle(UUID, nvml.baseline()).reason == reason
    assert nvml.device_state(UUID).power_w.reason == reason
    assert nvml.driver_version() is None


def test_without_the_package_everything_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "is_wsl", lambda: False)
    monkeypatch.setitem(sys.modules, "pynvml", None)  # makes the import fail
    assert nvml.baseline().reason == "the package nvidia-ml-py is not installed"
    assert nvml.driver_version() is None


def test_under_wsl_nothing_is_asked(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "is_wsl", lambda: True)
    assert str(nvml.baseline().reason).startswith("WSL")
    assert isinstance(nvml.device_state(UUID).throttle_reasons, Missing)


def test_other_users_are_seen(library: Library) -> None:
    library.processes[OTHER] = 2
    assert nvml.baseline().others == {OTHER: "2 other compute processes on the GPU"}
    library.processes.clear()
    library.busy_percent = 5
    assert nvml.baseline().others[UUID] == "the GPU was 5 % busy before the measurement"
    library.busy_percent = 4
    assert nvml.baseline().others == {}


def test_one_look_at_the_card(library: Library) -> None:
    library.mask = 0x04 | 0x40
    library.refused["nvmlDeviceGetPowerUsage"] = "Not Supported"
    state = nvml.device_state(UUID)
    assert (state.sm_clock_mhz.value, state.memory_clock_mhz.value, state.temperature_c.value) == (
        1980,
        3201,
        41,
    )
    assert state.power_w.reason == "NVML: Not Supported"
    assert state.throttle_reasons == ("power cap", "thermal slowdown by hardware")
    library.refused = {"nvmlDeviceGetCurrentClocksEventReasons": "Function Not Found"}
    state = nvml.device_state(UUID)
    assert state.power_w.value == 123.4
    assert state.throttle_reasons == Missing(reason="NVML: Function Not Found")


def test_the_names_used_are_those_of_the_real_library() -> None:
    pynvml = pytest.importorskip("pynvml")
    used = [name for name in vars(Library) if name.startswith(("nvml", "NVML"))]
    assert [name for name in used if not hasattr(pynvml, name)] == []
    assert {pynvml.nvmlClocksEventReasonHwSlowdown, pynvml.nvmlClocksEventReasonSwThermalSlowdown} <= set(
        nvml.CLOCK_REASONS
    )
    assert nvml.CLOCK_REASONS[pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown] in nvml.SLOWDOWNS
    assert nvml.CLOCK_REASONS[pynvml.nvmlClocksEventReasonSwPowerCap] == "power cap"
