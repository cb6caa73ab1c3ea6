"""Memory of inference and training on the device: allocator and NVML on a GPU, resident memory on a CPU."""

from collections.abc import Callable, Mapping

import torch

from harness.records.measurement_values import DeviceMemory, Live
from harness.system.environment import reset_resident_peak, resident_bytes
from harness.system.nvml import Baseline, used_minus_idle
from harness.system.quantities import Quantity

WARMUPS = 3  # before the allocator's peaks are reset; the optimizer's state exists from the first on
MEASURED = 3
CPU_RUNS = 2  # the second training step holds the optimizer's state
WORKSPACE_SHARE = 0.05  # of the live tensors, from which a training step's workspace is doubtful


class CudaMemory:
    """A GPU's memory. To be made before anything lies on the device: it measures the empty context first.

    Args:
        uuid: the card's, as NVML writes it.
        idle: NVML's baseline, taken before CUDA was touched.
    """

    def __init__(self, uuid: str, idle: Baseline) -> None:
        self._uuid = uuid
        self._idle = idle
        torch.zeros(1, device="cuda")  # makes the context
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        self._context = used_minus_idle(uuid, idle)

    def measure(self, step: Callable[[], None], live: Callable[[], Live] | None) -> tuple[DeviceMemory, list[str]]:
        """Warm up, reset the peaks, repeat; the memory, and what is doubtful about it.

        What the allocator had cached is given back before each half. cuDNN's benchmark mode is to be off: its search
        takes memory of its own.

        Args:
            step: what is run.
            live: gives the peak live memory of the same step, and is asked after measuring, since counting takes
                memory of the process; none where it can't be known.

        Raises:
            RuntimeError: less was allocated than is live, which can't be.
        """
        warmup_allocated, warmup_reserved = self._peaks(step, WARMUPS)
        allocated, reserved = self._peaks(step, MEASURED)
        used = used_minus_idle(self._uuid, self._idle)
        counted = live() if live is not None else None
        workspace = Quantity(reason="compiled: its live memory is not known")
        if counted is not None:
            if allocated < counted.peak_bytes:
                raise RuntimeError(
                    f"the allocator's peak of {allocated} bytes is below the {counted.peak_bytes} bytes of live "
                    "tensors: one of the two is counted wrongly; report this as an error of the harness"
                )
            workspace = Quantity(value=allocated - counted.peak_bytes)
        measured = {
            "allocated_peak_bytes": Quantity(value=allocated),
            "reserved_peak_bytes": Quantity(value=reserved),
            "warmup_allocated_peak_bytes": Quantity(value=warmup_allocated),
            "warmup_reserved_peak_bytes": Quantity(value=warmup_reserved),
            "workspace_bytes": workspace,
            # the allocator keeps what it reserved until it is emptied, so that this is the peak of the phase
            "nvml_used_minus_idle_bytes": used,
            "context_bytes": self._context,
        }
        figures = _with_the_rest(measured, "measured on a GPU, where the device's memory counts")
        return figures, _warnings(allocated, max(reserved, warmup_reserved), counted)

    @staticmethod
    def _peaks(step: Callable[[], None], times: int) -> tuple[int, int]:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        for _ in range(times):
            step()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()


class ProcessMemory:
    """A CPU's: resident memory of the whole process, Python and torch's libraries included.

    The kernel's peak is set back before what is measured: converting weights to bf16 takes more than a pass does.
    To be made before the network.
    """

    def __init__(self) -> None:
        self._idle = resident_bytes("VmRSS")

    def measure(self, step: Callable[[], None], live: Callable[[], Live] | None) -> tuple[DeviceMemory, list[str]]:
        """Run the step twice and read the peak; there is no allocator to hold against what is live."""
        reset_resident_peak()
        for _ in range(CPU_RUNS):
            step()
        measured = {
            "process_rss_peak_bytes": resident_bytes("VmHWM"),
            "process_rss_idle_bytes": self._idle,
        }
        return _with_the_rest(measured, "measured on a CPU"), []


def _with_the_rest(measured: Mapping[str, Quantity], reason: str) -> DeviceMemory:
    """These quantities, and all others for that reason not measured."""
    none = dict.fromkeys(DeviceMemory.model_fields, Quantity(reason=reason))
    return DeviceMemory.model_validate({**none, **measured})


def _warnings(allocated: int, reserved: int, live: Live | None) -> list[str]:
    warnings = []
    retries = torch.cuda.memory_stats().get("num_alloc_retries", 0)
    if retries:
        warnings.append(f"the allocator had to free its cache {retries} times: memory is short")
    if torch.backends.cudnn.benchmark:
        warnings.append("cuDNN's benchmark mode was on: its search takes memory of its own")
    _, physical = torch.cuda.mem_get_info()
    if reserved > physical:  # Windows lets it spill, under WSL too, where others fail
        warnings.append(f"{reserved} bytes were reserved of a GPU with {physical}: some lie in the host's memory")
    share = (allocated - live.peak_bytes) / live.peak_bytes if live is not None else 0.0
    if live is not None and live.optimizer_state_bytes and share > WORKSPACE_SHARE:  # a training step
        warnings.append(
            f"workspaces are {share:.1%} of the live memory (limit {WORKSPACE_SHARE:.0%}): "
            "kernels' own, or another code path than the CPU's"
        )
    return warnings
