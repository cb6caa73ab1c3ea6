"""One measurement, a phase at a batch, made in this process: the body of the worker."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any

import torch

import architectures
from harness.profiling.bench import Bench
from harness.profiling.energy import measure_energy
from harness.profiling.flops import shapes
from harness.profiling.kernels import share_outside_kernels
from harness.profiling.live_memory import live_inference, live_training
from harness.profiling.memory import CudaMemory, ProcessMemory
from harness.profiling.presets import PLANS
from harness.profiling.roofline import measure_peaks, moved_bytes, roofline
from harness.profiling.sampling import (
    Sampler,
    joined_windows,
    load_average,
    load_warnings,
    window_warnings,
)
from harness.profiling.timing import Clock, Pass, summarize, synchronize, take_round, warm_up
from harness.profiling.work import RoundSamples, WorkerResult
from harness.profiling.workload import TrainingStep, for_inference, infer
from harness.records.measurement import TIMED, Failure
from harness.records.measurement_values import DeviceWindow, Live
from harness.system.corruption import is_out_of_memory
from harness.system.environment import available_cores, device_name, device_slug, environment
from harness.system.nvml import is_wsl
from harness.system.quantities import NotMeasured, Quantity

_FURTHER = ("forward", "training-step")  # phases with a roofline and a share outside kernels
# torch's refusal, as of batch norm behind global pooling
_ONE_VALUE = "Expected more than 1 value per channel when training"


class Measuring:
    """Carries a task out, step by step; on_phase is called with what begins.

    Out of memory in any step makes it a failed measurement; no batch is ever made smaller.
    """

    def __init__(self, bench: Bench, on_phase: Callable[[str], None] = lambda what: None) -> None:
        self._bench = bench
        self._on_phase = on_phase
        self._plan = PLANS[bench.spec.preset]
        self._began = time.perf_counter()
        self._rounds: list[RoundSamples] = []
        self._windows: list[DeviceWindow | NotMeasured] = []
        self._fields: dict[str, Any] = {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "load_average_before": load_average(),
        }
        self._warnings = _gpu_warnings(bench)
        self._failure: Failure | None = None

    def load(self) -> None:
        """Bring a timed phase's network to the device, where nothing runs yet; nothing for other phases.

        What needs the device alone comes with `prepare`: others may load beside us.
        """
        if self._bench.key.phase in TIMED:
            self._guarded(self._load)

    def _load(self) -> None:
        self._on_phase("loading")
        _ = self._timed
        if self._bench.key.phase in _FURTHER:
            _ = self._work

    def prepare(self) -> None:
        """Everything before the rounds; for phases without rounds, all there is to do."""
        work = {
            "shapes": self._shapes,
            "inference-memory": self._memory,
            "training-memory": self._memory,
        }
        self._guarded(work.get(self._bench.key.phase, self._warm_up))

    def round(self) -> None:
        """Take one round."""
        self._guarded(self._round)

    def finalize(self) -> None:
        """After the last round: energy, roofline, share outside kernels."""
        if self._rounds:
            self._guarded(self._further)

    def result(self) -> WorkerResult:
        """What there is so far."""
        spec, load = self._bench.spec, load_average()
        ours, cores = (spec.threads, 1) if spec.device == "cpu" else (1, available_cores())
        steady = self._bench.key.phase not in TIMED  # others on the machine change neither counts nor peaks
        return WorkerResult.model_validate(
            {
                **self._fields,
                "device_name": device_name(spec.device),
                "device_slug": device_slug(spec.device),
                "environment": environment(),
                "wall_s": round(time.perf_counter() - self._began, 1),
                "load_average_after": load,
                "flags": (*self._warnings, *(() if steady else load_warnings(load, ours, cores))),
                "failure": self._failure,
                "rounds": tuple(self._rounds),
                "window": joined_windows(self._windows),
            }
        )

    def _guarded(self, work: Callable[[], None]) -> None:
        if self._failure is not None:
            return
        try:
            work()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self._failure = Failure(kind="oom", message=f"OOM at batch {self._bench.key.batch_size}")
        except ValueError as error:
            if _ONE_VALUE not in str(error):
                raise
            batch = self._bench.key.batch_size
            message = f"batch norm of a single value a channel: it can't be trained at batch {batch}"
            self._failure = Failure(kind="impossible", message=message)
        except architectures.ArchitectureError as error:  # a network that can't be folded
            self._failure = Failure(kind="error", message=str(error))
        # for those who wait beside us; after the handler, since an error's traceback holds tensors
        if self._bench.device.type == "cuda":
            torch.cuda.empty_cache()

    # -- phases without rounds -----------------------------------------------------------------------------

    def _shapes(self) -> None:
        spec = self._bench.spec
        self._on_phase("counting on shapes")
        build = self._bench.build
        self._fields["shapes"] = shapes(build, spec.size, spec.num_classes, spec.precision, spec.optimizer)

    def _memory(self) -> None:
        bench, spec, batch = self._bench, self._bench.spec, self._bench.key.batch_size
        torch.backends.cudnn.benchmark = False  # its search would take memory of its own
        probe = ProcessMemory() if bench.idle is None or bench.uuid is None else CudaMemory(bench.uuid, bench.idle)
        network, [images] = bench.network(), bench.images(1)
        step: Callable[[], None]
        live: Callable[[], Live]
        if bench.key.phase == "training-memory":
            training_step = TrainingStep(bench.called(network.train()), spec.precision, spec.optimizer)
            step = partial(training_step, images, bench.labels())
            live = partial(
                live_training,
                bench.arranged,
                batch=batch,
                size=spec.size,
                label_size=bench.logits_size,
                num_classes=spec.num_classes,
                precision=spec.precision,
                optimizer=spec.optimizer,
            )
        else:
            called = bench.called(for_inference(network, spec.precision))
            step = partial(infer, called, images, spec.precision)
            live = partial(live_inference, bench.arranged, batch=batch, size=spec.size, precision=spec.precision)
        self._on_phase("measuring memory")
        compiled = "compiled" in spec.options  # which fuses operators: what is alive is not known
        self._fields["memory"], warnings = probe.measure(step, None if compiled else live)
        self._warnings += warnings

    # -- phases with rounds --------------------------------------------------------------------------------

    @cached_property
    def _timed(self) -> tuple[Pass, Clock]:
        return self._bench.timed(self._bench.network())

    def _warm_up(self) -> None:
        bench = self._bench
        torch.backends.cudnn.benchmark = True
        self._on_phase("warming up")
        first_s = self._first() if "compiled" in bench.spec.options else None
        warmed = warm_up(*self._timed, self._plan)
        self._fields |= {
            "warmup_n": warmed.samples,
            "warmup_s": warmed.seconds,
            "steady": warmed.steady,
        }
        if first_s is not None:
            later_s = self._first()
            self._fields["compile_s"] = Quantity(value=round(max(0.0, first_s - later_s), 3))

    def _first(self) -> float:
        began = time.perf_counter()
        self._run_once()
        synchronize(self._bench.device)
        return time.perf_counter() - began

    def _round(self) -> None:
        self._on_phase(f"round {len(self._rounds) + 1}")
        if self._bench.uuid is None:
            self._rounds.append(take_round(*self._timed, self._plan))
            return
        with Sampler(self._bench.uuid) as sampler:
            self._rounds.append(take_round(*self._timed, self._plan))
        self._windows.append(sampler.window)

    def _further(self) -> None:
        bench = self._bench
        window = joined_windows(self._windows)
        if not isinstance(window, NotMeasured):
            self._warnings += window_warnings(window)
        if bench.key.phase == "backward":
            self._fields["energy"] = NotMeasured(reason="taken in all timed phases but backward")
        else:
            self._energy()
        if bench.key.phase not in _FURTHER:
            none = "taken in the phases forward and training-step"
            self._fields |= {"roofline": NotMeasured(reason=none), "outside_kernels": Quantity(reason=none)}
            return
        self._on_phase("roofline")
        (flop, moved), peaks = self._work, measure_peaks(bench.device, bench.spec.precision)
        time_ms = summarize([one.samples_ms for one in self._rounds], warmup_n=0, warmup_s=0).median_ms
        self._fields["roofline"] = roofline(peaks, flop=flop, moved=moved, time_ms=time_ms)
        self._on_phase("share outside kernels")
        self._fields["outside_kernels"] = share_outside_kernels(self._run_once, bench.device)

    def _run_once(self) -> None:
        timed, _ = self._timed
        timed.prepare()
        timed.run()

    def _energy(self) -> None:
        bench, plan = self._bench, self._plan
        if bench.uuid is None:
            return
        if not plan.energy_windows:
            self._fields["energy"] = NotMeasured(reason=f"preset {bench.spec.preset} measures no energy")
            return
        self._on_phase("energy")
        idle = bench.task.idle_w.get(bench.uuid, Quantity(reason="NVML gave no idle power for this GPU"))
        self._fields["energy"], warnings = measure_energy(
            self._run_once,
            partial(synchronize, bench.device),
            uuid=bench.uuid,
            idle_w=idle,
            plan=plan,
            others=bench.task.others.get(bench.uuid),
        )
        self._warnings += warnings

    @cached_property
    def _work(self) -> tuple[int, int]:
        bench, spec = self._bench, self._bench.spec
        return moved_bytes(
            bench.arranged,
            spec.size,
            batch=bench.key.batch_size,
            training=bench.key.phase == "training-step",
            num_classes=spec.num_classes,
            precision=spec.precision,
            optimizer=spec.optimizer,
        )


def _gpu_warnings(bench: Bench) -> list[str]:
    if bench.uuid is None:
        return []
    # of the whole group before it began: beside us its other processes wait, which are no others
    warnings = [bench.task.others[bench.uuid]] if bench.uuid in bench.task.others else []
    if is_wsl():
        warnings.append("WSL: GPU memory may have spilled into the host's; neither memory nor times compare")
    return warnings
