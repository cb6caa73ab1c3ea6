"""What NVML says of a GPU: memory in use, clocks, temperature, power, energy. Every failure is a reason.

Cards are told apart by UUID alone: NVML's order of them differs from CUDA's. "Used" is that of
nvmlDeviceGetMemoryInfo version 2, which leaves out what the driver keeps for itself; it is the whole card's,
so only the difference to an idle baseline says anything of this process, and only if nobody else uses the
card. Clocks, power and energy are the whole card's too: there are none for a MIG slice.
"""

import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from harness.system.quantities import NotMeasured, Quantity

BUSY_PERCENT = 5  # of the card's time, from which it counts as used by others

# nvmlClocksEventReasons: bits of a mask
CLOCK_REASONS = {
    0x001: "idle",
    0x002: "application clocks",
    0x004: "power cap",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "thermal slowdown by software",
    0x040: "thermal slowdown by hardware",
    0x080: "power brake",
    0x100: "display clocks",
}
# Reasons that make a time doubtful; a power cap is part of the card.
SLOWDOWNS = frozenset(CLOCK_REASONS[bit] for bit in (0x008, 0x020, 0x040, 0x080))

_SLICE = "MIG is on: NVML gives the whole card's {what}, not the slice's"


class Unavailable(Exception):
    """NVML can't say; the text is the reason."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Memory in use, and others' use, of every card by UUID before this process makes a CUDA context."""

    used_bytes: Mapping[str, int] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Look:
    """A card at one moment.

    busy: whether it was at work in the driver's last sampling period (up to 1 s); None if NVML can't tell.
    """

    sm_clock_mhz: Quantity
    memory_clock_mhz: Quantity
    temperature_c: Quantity
    power_w: Quantity
    clock_reasons: tuple[str, ...] | NotMeasured
    busy: bool | None


@dataclass(frozen=True, kw_only=True)
class Card:
    """One card while NVML is open; what it can't say is a reason in the answer."""

    library: Any
    handle: Any

    def look(self) -> Look:
        """All that changes while it works."""
        library, handle = self.library, self.handle
        reasons: tuple[str, ...] | NotMeasured
        try:
            mask = library.nvmlDeviceGetCurrentClocksEventReasons(handle)
            reasons = tuple(name for bit, name in CLOCK_REASONS.items() if mask & bit)
        except library.NVMLError as error:
            reasons = NotMeasured(reason=f"NVML: {error}")
        busy: bool | None
        try:
            busy = bool(library.nvmlDeviceGetUtilizationRates(handle).gpu > 0)
        except library.NVMLError:
            busy = None if isinstance(reasons, NotMeasured) else "idle" not in reasons
        return Look(
            sm_clock_mhz=self._ask(lambda: library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_SM)),
            memory_clock_mhz=self._ask(lambda: library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_MEM)),
            temperature_c=self.temperature_c(),
            power_w=self._ask(lambda: library.nvmlDeviceGetPowerUsage(handle) / 1000),  # of milliwatts
            clock_reasons=reasons,
            busy=busy,
        )

    def temperature_c(self) -> Quantity:
        """Of the chip."""
        sensor = self.library.NVML_TEMPERATURE_GPU
        return self._ask(lambda: self.library.nvmlDeviceGetTemperature(self.handle, sensor))

    def energy_mj(self) -> int:
        """Millijoules since the driver was loaded; Unavailable where this card has no such counter."""
        try:
            return int(self.library.nvmlDeviceGetTotalEnergyConsumption(self.handle))
        except self.library.NVMLError as error:
            raise Unavailable(f"NVML gives no energy of this GPU (only from Volta on): {error}") from error

    def _ask(self, question: Callable[[], float]) -> Quantity:
        try:
            return Quantity(value=question())
        except self.library.NVMLError as error:
            return Quantity(reason=f"NVML: {error}")


@contextmanager
def card(uuid: str) -> Iterator[Card]:
    """The whole card of that UUID, for its clocks, power and energy.

    Raises:
        Unavailable: no NVML, no such card, or a slice of one; also for what NVML refuses inside the block.
    """
    if uuid.startswith("MIG-"):
        raise Unavailable(_SLICE.format(what="clocks and power"))
    with _session() as library:
        try:
            handle = library.nvmlDeviceGetHandleByUUID(uuid)
        except library.NVMLError as error:
            raise Unavailable(f"NVML finds no {uuid} (a MIG slice, or hidden from here): {error}") from error
        if _is_split(library, handle):
            raise Unavailable(_SLICE.format(what="clocks and power"))
        yield Card(library=library, handle=handle)


def baseline() -> Baseline:
    """Look at every card. To be called before CUDA is touched, while this process is no user of one."""
    used: dict[str, int] = {}
    others: dict[str, str] = {}
    try:
        with _session() as library:
            for index in range(library.nvmlDeviceGetCount()):
                handle = library.nvmlDeviceGetHandleByIndex(index)
                uuid = library.nvmlDeviceGetUUID(handle)
                with suppress(Unavailable, library.NVMLError):
                    used[uuid] = _used_bytes(library, handle)
                with suppress(library.NVMLError):
                    if found := _other_use(library, handle):
                        others[uuid] = found
    except Unavailable as error:
        return Baseline(reason=str(error))
    return Baseline(used_bytes=used, others=others)


def used_minus_idle(uuid: str, idle: Baseline) -> Quantity:
    """Bytes in use on the card now, minus the baseline.

    Args:
        uuid: the card's, as NVML writes it ("GPU-..."); a slice's ("MIG-...") has none.
        idle: taken before CUDA was touched.
    """
    if idle.reason is not None:
        return Quantity(reason=idle.reason)
    if uuid not in idle.used_bytes:
        return Quantity(reason=f"NVML gave no idle memory for {uuid} (a MIG slice, or no permission)")
    try:
        with _session() as library:
            handle = library.nvmlDeviceGetHandleByUUID(uuid)
            return Quantity(value=_used_bytes(library, handle) - idle.used_bytes[uuid])
    except Unavailable as error:
        return Quantity(reason=str(error))


def driver_version() -> str | None:
    """The NVIDIA driver's version, None where there is none."""
    try:
        with _session() as library:
            return str(library.nvmlSystemGetDriverVersion())
    except Unavailable:
        return None


@contextmanager
def _session() -> Iterator[Any]:
    """The initialized library; what it raises inside the block becomes Unavailable."""
    if is_wsl():
        raise Unavailable("WSL: NVML does not see what Windows takes and spills of the GPU's memory")
    try:
        import pynvml
    except ImportError:
        raise Unavailable("the package nvidia-ml-py is not installed") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise Unavailable(f"NVML: {error}") from error
    try:
        yield pynvml
    except pynvml.NVMLError as error:
        raise Unavailable(f"NVML: {error}") from error
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _used_bytes(library: Any, handle: Any) -> int:
    if _is_split(library, handle):
        raise Unavailable(_SLICE.format(what="memory"))
    memory = library.nvmlDeviceGetMemoryInfo(handle, version=library.nvmlMemory_v2)
    if memory.used > memory.total:  # NVML's "not available" is the largest number there is
        raise Unavailable("NVML gives no used memory for this card")
    return int(memory.used)


def _is_split(library: Any, handle: Any) -> bool:
    try:
        current, _ = library.nvmlDeviceGetMigMode(handle)
    except library.NVMLError:  # a card that knows no MIG says so by an error
        return False
    return bool(current)


def _other_use(library: Any, handle: Any) -> str | None:
    processes = len(library.nvmlDeviceGetComputeRunningProcesses(handle))
    if processes:
        return f"{processes} other compute process{'es' if processes > 1 else ''} on the GPU"
    percent = library.nvmlDeviceGetUtilizationRates(handle).gpu
    return f"the GPU was {percent} % busy before the measurement" if percent >= BUSY_PERCENT else None


@cache
def is_wsl() -> bool:
    """Whether this is Linux under Windows, where the GPU's memory may spill into the host's."""
    return "microsoft" in platform.release().lower()
