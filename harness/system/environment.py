"""What a run or a measurement was made on: the manifest that stands in every record, and the device's name.

No host name, no user name and no path goes into it. Importing this module does not import torch.
"""

import os
import platform
import re
import subprocess
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from harness.system.errors import UserError
from harness.system.nvml import driver_version, is_wsl
from harness.system.quantities import Quantity
from harness.system.surroundings import ROOT

Device = Literal["cpu", "cuda"]

# What changes speed, memory, the choice of the card or what networks there are.
VARIABLES = (
    "CUDA_DEVICE_ORDER",
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_MODULE_LOADING",
    "CUDA_VISIBLE_DEVICES",
    "GLIBC_TUNABLES",
    "MALLOC_MMAP_MAX_",
    "MALLOC_TRIM_THRESHOLD_",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "SEGNET_PLUGINS",
)
COMMIT = "SEGNET_COMMIT"  # the code's, for copies of it without their repository, as in a container image
_CODE = ("architectures", "datasets", "harness")
_CONTAINER_GROUPS = re.compile(r"docker|kubepods|containerd|libpod|lxc")


def environment() -> dict[str, Any]:
    """The manifest: software versions, machine, settings of the surroundings, and the code's commit.

    What does not exist here (a GPU, a driver, a repository) is None. Values are plain JSON.
    """
    commit, dirty = _git_state()
    return {
        "python": platform.python_version(),
        **_torch_state(),
        "torchvision": package_version("torchvision"),
        "segmentation_models_pytorch": package_version("segmentation_models_pytorch"),
        "timm": package_version("timm"),
        "driver": driver_version(),
        "cpu_model": cpu_model(),
        "cpu_cores": available_cores(),
        "ram_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "system": platform.system(),
        "kernel": platform.release(),
        "processor": platform.machine(),
        "container": in_container(),
        "wsl": is_wsl(),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "git_commit": commit,
        "git_dirty": dirty,
    }


def device_name(device: Device) -> str:
    """The device for readers: "NVIDIA H200", "AMD EPYC 7763 (2 cores)"; UserError for "cuda" where torch finds none."""
    if device == "cpu":
        cores = available_cores()
        return f"{cpu_model()} ({cores} core{'s' if cores > 1 else ''})"
    import torch

    if not torch.cuda.is_available():
        raise UserError("device cuda: torch finds no CUDA device here; choose the device cpu")
    return str(torch.cuda.get_device_name(0))


def may_have_gpu() -> bool:
    """Whether the driver of some GPU that torch may use is loaded."""
    marks = ("/dev/nvidiactl", "/dev/nvhost-ctrl", "/dev/nvmap", "/dev/dxg", "/dev/kfd")
    return any(Path(mark).exists() for mark in marks)


def device_slug(device: Device) -> str:
    """The device as a folder's name, such as "cuda-nvidia-h200" or "cpu-amd-epyc-7763-2c"; errors of `device_name`."""
    name = f"{cpu_model()} {available_cores()}c" if device == "cpu" else device_name(device)
    return f"{device}-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}"


def gpu_uuid(index: int = 0) -> str:
    """UUID of one of torch's CUDA devices as NVML writes it, "GPU-..."; the device must be there."""
    import torch

    uuid = str(torch.cuda.get_device_properties(index).uuid)
    return uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"


@cache
def cpu_model() -> str:
    """The processor's name without marks, clock rate and number of cores.

    A virtual machine may hide which one it is and say "AMD EPYC" of very different generations: a name
    without any number gets the processor's family and model.
    """
    found = _read("/proc/cpuinfo")
    name = _cpu_field(found, "model name") or platform.processor() or platform.machine()
    name = re.sub(r"\((R|TM|r|tm)\)|@.*$|\b\d+-Core\b|\bCPU\b|\bProcessor\b", " ", name)
    family, model = _cpu_field(found, "cpu family"), _cpu_field(found, "model")
    if family and model and not re.search(r"\d", name):
        name += f" family {family} model {model}"
    return " ".join(name.split())


def available_cores() -> int:
    """Cores that this process may run on, by affinity and by the container's share; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _read("/sys/fs/cgroup/cpu.max").split()
    if len(quota) == 2 and quota[0].isdigit() and quota[1].isdigit():
        cores = min(cores, int(quota[0]) // int(quota[1]))
    return max(1, cores)


def emulates_bfloat16() -> bool:
    """Whether this CPU has no instructions for bfloat16, as far as Linux tells: products then take long."""
    flags = _read("/proc/cpuinfo")
    return bool(flags) and "avx512_bf16" not in flags and "amx_bf16" not in flags


def reset_resident_peak() -> None:
    """Let `resident_bytes("VmHWM")` rise anew from what is resident now; where that can't be, it stays as it was."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")


def resident_bytes(field: str) -> Quantity:
    """This process's resident memory, now ("VmRSS") or at its highest ("VmHWM").

    Not getrusage's ru_maxrss: a child process starts with its parent's.
    """
    status = _read("/proc/self/status")
    if found := re.search(rf"^{field}:\s*(\d+) kB$", status, re.MULTILINE):
        return Quantity(value=int(found[1]) * 1024)
    return Quantity(reason=f"/proc/self/status has no {field}" if status else "needs Linux's /proc/self/status")


def package_version(package: str) -> str | None:
    """The version of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


@cache
def in_container() -> bool:
    """Whether this process runs in a container, as far as its marks show it."""
    marked = Path("/.dockerenv").exists() or Path("/run/.containerenv").exists() or "container" in os.environ
    return marked or bool(_CONTAINER_GROUPS.search(_read("/proc/1/cgroup")))


def _torch_state() -> dict[str, Any]:
    import torch

    cudnn = torch.backends.cudnn
    card = torch.cuda.get_device_properties(0) if torch.cuda.is_available() else None
    return {
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "cuda": torch.version.cuda,
        "cudnn": cudnn.version() if cudnn.is_available() else None,  # type: ignore[no-untyped-call]
        "gpu_name": card.name if card else None,
        "gpu_uuid": gpu_uuid() if card else None,
        "gpu_memory_bytes": card.total_memory if card else None,
        "gpu_capability": f"{card.major}.{card.minor}" if card else None,
    }


@cache
def _git_state() -> tuple[str | None, bool | None]:
    """The commit, and whether the three packages differ from it.

    Outside a repository the commit is what the environment says, if it does, and the other is None.
    """
    top = _git("rev-parse", "--show-toplevel")
    # an installed copy may lie inside somebody else's repository
    if top is None or Path(top).resolve() != ROOT:
        return os.environ.get(COMMIT) or None, None
    changes = _git("status", "--porcelain", "--", *_CODE)
    return _git("rev-parse", "--verify", "HEAD"), None if changes is None else bool(changes)


def _git(*arguments: str) -> str | None:
    # a hook, or a shell inside of another repository, may have set variables that name that one
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, env=own, capture_output=True, encoding="utf-8", errors="replace", timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _cpu_field(text: str, name: str) -> str | None:
    """A line's value in what /proc/cpuinfo holds of the first core."""
    found = re.search(rf"^{name}[ \t]*:[ \t]*(.+)$", text, re.MULTILINE)
    return found[1] if found else None


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", errors="replace")
    except OSError:
        return ""
