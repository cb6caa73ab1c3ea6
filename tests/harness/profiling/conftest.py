import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.system import nvml

MIB = 2**20


class Small(nn.Module):
    """What architectures are made of: work in place, pooling, unpooling, a branch, dropout, deconvolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(8)
        self.conv3 = nn.Conv2d(8, 4, 3, padding=1)
        self.up = nn.ConvTranspose2d(4, 4, 2, 2)
        self.up.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        first = torch.relu_(self.norm1(self.conv1(images)))
        pooled, indices = F.max_pool2d(first, 2, return_indices=True)
        second = F.relu(self.norm2(self.conv2(pooled))) + pooled
        second = F.dropout(second, 0.5, self.training)
        unpooled = F.max_unpool2d(second, indices, [2, 2], output_size=list(first.shape[2:]))
        scores: Tensor = self.conv3(unpooled) + self.up(self.conv3(pooled))
        return scores


@pytest.fixture
def small() -> Callable[[], nn.Module]:
    """Makes a small network with 4 classes, output stride 1, for even sizes."""
    return Small


class NVMLError(Exception):
    """Base of the library's errors."""


class Library:
    """NVML with two cards in an order of its own; a call named in `refused` raises its error."""

    UUID, OTHER = "GPU-1111", "GPU-2222"
    NVMLError = NVMLError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0
    nvmlMemory_v2 = 0x02000028

    def __init__(self) -> None:
        self.refused: dict[str, str] = {}
        self.used = {self.OTHER: 500 * MIB, self.UUID: 8 * MIB}
        self.processes: dict[str, int] = {}
        self.busy_percent = 0
        self.mig: dict[str, int] = {}
        self.mask = 0
        self.open = 0
        self.sm_clocks_mhz = [1980]  # one a look; the last one stays
        self.temperatures_c = [41]
        self.power_mw = 123_400
        self.energy_mj: Callable[[], int] = lambda: 0

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
        self._called("nvmlDeviceGetUtilizationRates")
        return SimpleNamespace(gpu=self.busy_percent)

    def nvmlDeviceGetClockInfo(self, handle: str, kind: int) -> int:
        return _next(self.sm_clocks_mhz) if kind == self.NVML_CLOCK_SM else 3201

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:
        return _next(self.temperatures_c)

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:
        self._called("nvmlDeviceGetPowerUsage")
        return self.power_mw

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
        self._called("nvmlDeviceGetTotalEnergyConsumption")
        return self.energy_mj()

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: str) -> int:
        self._called("nvmlDeviceGetCurrentClocksEventReasons")
        return self.mask

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.1"


def _next(values: list[int]) -> int:
    return values.pop(0) if len(values) > 1 else values[0]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    """NVML as a stand-in, for no GPU is needed to see what is made of its answers."""
    stand_in = Library()
    monkeypatch.setitem(sys.modules, "pynvml", stand_in)
    monkeypatch.setattr(nvml, "is_wsl", lambda: False)
    return stand_in
