"""Models in other runtimes, behind one call: float32 images (B, 3, H, W) in, float32 logits (and more) out.

Importing this module imports neither torch nor another runtime: a process that runs an exported file alone holds
no more than it needs. `python -m harness.deploy.runtimes TASK.json` is such a process; it prints its peak memory.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.deploy.weights import ModelConfig, Source, build
from harness.records.runtimes import RuntimeName, RuntimePrecision
from harness.system.environment import emulates_bfloat16, resident_bytes
from harness.system.errors import UserError, how_to_install
from harness.system.quantities import Frozen

if TYPE_CHECKING:
    from torch import nn

    from harness.config.run_spec import Precision

Arrays = NDArray[np.float32]
Call = Callable[[Arrays], list[NDArray[Any]]]  # images -> logits first
# What a format, runtime or precision needs beside torch; one that isn't named needs nothing.
_EXPORTER = ("onnx", "onnxscript")
_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "onnx": (*_EXPORTER, "onnxruntime"),
    "onnxruntime": (*_EXPORTER, "onnxruntime"),
    "openvino": (*_EXPORTER, "openvino"),
    "int8": ("nncf",),
}
WARM_UP = 3  # passes of the process whose memory is taken
PROFILED = 5  # passes, after these
MOST_OPERATORS, LEAST_SHARE = 4, 0.05  # that are named, and of the time
# What exporters, quantizers and runtimes of others raise for a model that they can't take
FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


class RuntimeTask(Frozen):
    """What a process of its own runs to have its memory taken."""

    runtime: RuntimeName
    precision: RuntimePrecision
    config: ModelConfig
    weights: Path | None
    file: Path | None
    threads: int


def why_not(runtime: RuntimeName, precision: RuntimePrecision) -> str:
    """Why a runtime is not tried in a precision on this processor; empty where it is."""
    if precision == "bf16" and emulates_bfloat16():
        return "this processor has no bfloat16 instructions"
    if (runtime, precision) == ("onnxruntime", "bf16"):
        return "onnxruntime's CPU provider has no convolutions in bfloat16"
    if precision == "int8" and runtime.startswith("torch"):
        return "torch has no quantizer of its own for these models; onnxruntime and openvino have int8"
    return ""


def check_installed(kinds: Iterable[str]) -> None:
    """Refuse formats, runtimes or precisions that a package is missing for, before a model is built; imports none.

    Raises:
        UserError: a package is not installed.
    """
    needed = {package: kind for kind in kinds for package in _PACKAGES.get(kind, ())}
    if missing := next((package for package in needed if find_spec(package) is None), ""):
        raise UserError(f"{needed[missing]}: {missing} is not installed; {how_to_install('deploy')}")


def reason_of(error: BaseException) -> str:
    """An error of someone else's code in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings, log lines and progress of exporters, which speak of their own insides."""
    import io
    import logging
    import warnings
    from contextlib import redirect_stdout

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


# -- calls -----------------------------------------------------------------------------------------------------


def own_errors(module: ModuleType) -> tuple[type[Exception], ...]:
    """The classes of errors that a library has in a module."""
    return tuple(one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Exception))


@contextmanager
def as_runtime_error(kinds: tuple[type[Exception], ...]) -> Iterator[None]:
    """Errors of these classes, which have nothing in common, as RuntimeError."""
    try:
        yield
    except kinds as error:
        raise RuntimeError(str(error)) from error


def torch_call(model: nn.Module, precision: RuntimePrecision = "fp32", compiled: bool = False) -> Call:
    """torch's own, eager or by torch.compile. bf16: weights are converted here, once, not at every pass."""
    import copy

    import torch

    from harness.training.amp import autocast, convert_weights, memory_layout

    as_trained: Precision = "bf16" if precision == "bf16" else "fp32"
    layout = memory_layout(as_trained, "cpu")
    ready = copy.deepcopy(model).to(memory_format=layout) if as_trained == "bf16" else model
    convert_weights(ready, as_trained)
    run = torch.compile(ready) if compiled else ready

    def call(images: Arrays) -> list[NDArray[Any]]:
        with torch.inference_mode(), autocast(as_trained, torch.device("cpu")):
            found = run(torch.from_numpy(images).contiguous(memory_format=layout))
        outputs = found if isinstance(found, tuple | list) else (found,)
        return [one.float().numpy() if one.is_floating_point() else one.numpy() for one in outputs]

    return call


def onnxruntime_call(path: Path, threads: int) -> Call:
    """An ONNX file in onnxruntime on the CPU."""
    return _session_call(_session(path, threads))


def _session(path: Path, threads: int, profile: str = "") -> Any:
    """onnxruntime's session of a file; profile: how the name of the file begins that operators' times go to."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # its errors are raised as well
    options.enable_profiling, options.profile_file_prefix = bool(profile), profile
    with as_runtime_error(own_errors(onnxruntime_pybind11_state)):
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _session_call(session: Any) -> Call:
    from onnxruntime.capi import onnxruntime_pybind11_state

    kinds = own_errors(onnxruntime_pybind11_state)
    name = session.get_inputs()[0].name

    def call(images: Arrays) -> list[NDArray[Any]]:
        with as_runtime_error(kinds):
            found: list[NDArray[Any]] = session.run(None, {name: images})
        return found

    return call


def openvino_call(path: Path, threads: int, precision: RuntimePrecision = "fp32") -> Call:
    """An OpenVINO file (.xml) or ONNX file in OpenVINO on the CPU.

    bf16 lets it compute in bfloat16; fp32 and int8 forbid it what it would do by itself.
    """
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
    }
    compiled = core.compile_model(str(path), "CPU", settings)

    def call(images: Arrays) -> list[NDArray[Any]]:
        found = compiled(images)
        return [np.array(found[n]) for n in range(len(compiled.outputs))]

    return call


def opened(task: RuntimeTask) -> Call:
    """The call of a task; what can't be run raises one of `FAILURES`."""
    if task.runtime == "onnxruntime":
        assert task.file is not None
        return onnxruntime_call(task.file, task.threads)
    if task.runtime == "openvino":
        assert task.file is not None
        return openvino_call(task.file, task.threads, task.precision)
    import torch

    torch.set_num_threads(task.threads)
    model = build(Source(name=task.config.architecture, config=task.config, weights=task.weights))
    return torch_call(model, task.precision, task.runtime == "torch-compile")


# -- where the time goes ---------------------------------------------------------------------------------------


def operator_shares(task: RuntimeTask, call: Call, images: Arrays) -> dict[str, float]:
    """The operators that take most of a pass, largest first, with their shares of the time of all.

    As the runtime names them. Empty for OpenVINO and torch.compile, which make operators of their own.
    """
    times = Counter[str]()
    if task.runtime == "onnxruntime":
        assert task.file is not None
        times = _times_in_onnxruntime(task.file, task.threads, images)
    elif task.runtime == "torch":
        from torch.profiler import ProfilerActivity, profile

        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            for _ in range(PROFILED):
                call(images)
        for event in profiler.key_averages():
            times[event.key.removeprefix("aten::")] += event.self_cpu_time_total
    whole = sum(times.values())
    shares = {name: time / whole for name, time in times.most_common(MOST_OPERATORS)}
    return {name: share for name, share in shares.items() if share >= LEAST_SHARE}


def _times_in_onnxruntime(path: Path, threads: int, images: Arrays) -> Counter[str]:
    """Operator -> microseconds."""
    times = Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        session = _session(path, threads, str(Path(folder) / "profile"))
        call = _session_call(session)
        for _ in range(PROFILED):
            call(images)
        events = json.loads(Path(session.end_profiling()).read_bytes())
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            times[event["args"]["op_name"]] += event["dur"]
    return times


# -- a process of its own ----------------------------------------------------------------------------------------


def main(task_file: str) -> int:
    """Run the task's model on one image a few times; prints {"peak_rss_bytes": ..., "operators": {name: share}}."""
    task = RuntimeTask.model_validate_json(Path(task_file).read_bytes())
    images = np.random.default_rng(0).standard_normal((1, 3, *task.config.image_size)).astype(np.float32)
    try:
        with quiet():
            call = opened(task)
            for _ in range(WARM_UP):
                call(images)
            said: dict[str, Any] = {"peak_rss_bytes": resident_bytes("VmHWM").value}
            said["operators"] = operator_shares(task, call, images)  # after that, since it takes memory
    except (*FAILURES, UserError) as error:
        print(json.dumps({"reason": reason_of(error)}))
        return 1
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
