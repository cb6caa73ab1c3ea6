"""What NVML says of a GPU: memory in use, clocks, temperature, power. Every failure is a reason, nothing
raises.

Cards are told apart by UUID alone: NVML's order of them differs from CUDA's. "Used" is that of
nvmlDeviceGetMemoryInfo version 2, which leaves out what the driver keeps for itself; it is the whole card's,
so only the difference to an idle baseline says anything of this process, and only if nobody else uses the
card.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from harness.machine import is_wsl
from harness.measure.record import DeviceState, Missing, Quantity, blank_state

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


class _Unavailable(Exception):
    """NVML can't say; the text is the reason."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Memory in use, and others' use, of every card by UUID before this process makes a CUDA context."""

    used_bytes: Mapping[str, int] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None


def baseline() -> Baseline:
    """Look at every card. To be called before CUDA is touched, while this process is no user of one."""
    used: dict[str, int] = {}
    others: dict[str, str] = {}
    try:
        with _session() as library:
            for index in range(library.nvmlDeviceGetCount()):
                handle = library.nvmlDeviceGetHandleByIndex(index)
                uuid = library.nvmlDeviceGetUUID(handle)
                with suppress(_Unavailable, library.NVMLError):
                    used[uuid] = _used_bytes(library, handle)
                with suppress(library.NVMLError):
                    if found := _other_use(library, handle):
                        others[uuid] = found
    except _Unavailable as error:
        return Baseline(reason=str(error))
    return Baseline(used_bytes=used, others=others)


def used_minus_idle(uuid: str, idle: Baseline) -> Quantity:
    """Bytes in use on the card now, minus the baseline.

    Args:
        uuid: the card's, as NVML writes it ("GPU-...").
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
    except _Unavailable as error:
        return Quantity(reason=str(error))


def device_state(uuid: str) -> DeviceState:
    """Clocks, temperature, power and what holds the clocks back, at this moment."""
    try:
        with _session() as library:
            handle = library.nvmlDeviceGetHandleByUUID(uuid)
            return DeviceState(
                sm_clock_mhz=_ask(
                    library, lambda: library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_SM)
                ),
                memory_clock_mhz=_ask(
                    library, lambda: library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_MEM)
                ),
                temperature_c=_ask(
                    library, lambda: library.nvmlDeviceGetTemperature(handle, library.NVML_TEMPERATURE_GPU)
                ),
                power_w=_ask(library, lambda: library.nvmlDeviceGetPowerUsage(handle) / 1000),
                throttle_reasons=_clock_reasons(library, handle),
            )
    except _Unavailable as error:
        return blank_state(str(error))


def driver_version() -> str | None:
    """The NVIDIA driver's version, None where there is none."""
    try:
        with _session() as library:
            return str(library.nvmlSystemGetDriverVersion())
    except _Unavailable:
        return None


@contextmanager
def _session() -> Iterator[Any]:
    """The initialised library; what it raises inside the block becomes _Unavailable."""
    if is_wsl():
        raise _Unavailable("WSL: NVML does not see what Windows takes and spills of the GPU's memory")
    try:
        import pynvml
    except ImportError:
        raise _Unavailable("the package nvidia-ml-py is not installed") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise _Unavailable(f"NVML: {error}") from error
    try:
        yield pynvml
    except pynvml.NVMLError as error:
        raise _Unavailable(f"NVML: {error}") from error
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _used_bytes(library: Any, handle: Any) -> int:
    if _is_split(library, handle):
        raise _Unavailable("MIG is on: NVML gives the whole card's memory, not the slice's")
    memory = library.nvmlDeviceGetMemoryInfo(handle, version=library.nvmlMemory_v2)
    if memory.used > memory.total:  # NVML's "not available" is the largest number there is
        raise _Unavailable("NVML gives no used memory for this card")
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


def _ask(library: Any, question: Callable[[], float]) -> Quantity:
    try:
        return Quantity(value=question())
    except library.NVMLError as error:
        return Quantity(reason=f"NVML: {error}")


def _clock_reasons(library: Any, handle: Any) -> tuple[str, ...] | Missing:
    try:
        mask = library.nvmlDeviceGetCurrentClocksEventReasons(handle)
    except library.NVMLError as error:
        return Missing(reason=f"NVML: {error}")
    return tuple(name for bit, name in CLOCK_REASONS.items() if mask & bit)
