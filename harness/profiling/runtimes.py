"""Models in other runtimes and precisions: times in turns in one process, memory of a process each, mIoU on val."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from architectures.base import Architecture
from harness.data.split import DeviceDataset
from harness.deploy import export, runtimes
from harness.deploy.export import WithCodes, equal_share, exported_program, has_codes, miou, save_as
from harness.deploy.quantization import calibration_images, quantize, without_codes
from harness.deploy.runtimes import Arrays, Call, RuntimeTask
from harness.deploy.weights import Source
from harness.profiling.timing import Timed, time_callables
from harness.records.measurement import Preset
from harness.records.runtimes import BASELINE, RuntimeName, RuntimePrecision, RuntimeRecord
from harness.system.environment import device_name, device_slug, environment, package_version
from harness.system.quantities import Quantity
from harness.system.supervisor import child_environment, command
from harness.training.checkpoint import save_weights

Key = tuple[RuntimeName, RuntimePrecision]
_PACKAGES = ("torch", "onnx", "onnxruntime", "openvino", "nncf")
CODE_IMAGES = 4  # whose pooling codes are compared


@dataclass(frozen=True, kw_only=True)
class RuntimeRequest:
    """What to measure of one model.

    data, train: splits that mIoU and calibration take; none for drawn weights or without data, with the reason.
    """

    source: Source
    runtimes: Sequence[RuntimeName]
    precisions: Sequence[RuntimePrecision]
    preset: Preset
    threads: int
    data: DeviceDataset | None
    train: DeviceDataset | None
    why_no_data: str


@dataclass(kw_only=True)
class _Prepared:
    """A model in one runtime and precision. with_codes: the same giving its pooling codes, made when asked for."""

    call: Call | None = None
    file_bytes: int | None = None
    with_codes: Callable[[], Call] | None = None
    failure: str = ""
    task: RuntimeTask | None = None


def measure_runtimes(
    request: RuntimeRequest, model: Architecture, on_step: Callable[[str], None] = lambda what: None
) -> list[RuntimeRecord]:
    """Measure a model in all runtimes and precisions asked for, and in torch's float32, against which they are read.

    Args:
        request: what to measure.
        model: the source's, on the CPU, with torch's threads set.
        on_step: called with the name of each step as it begins.
    """
    session = datetime.now(UTC).isoformat(timespec="seconds")
    keys = list(dict.fromkeys([BASELINE, *product(request.runtimes, request.precisions)]))
    with tempfile.TemporaryDirectory() as temporary:
        workshop = _Workshop(request, model, Path(temporary))
        prepared = {}
        for key in keys:
            on_step(f"{_name(key)}: preparing")
            prepared[key] = workshop.prepare(key)
        image = export.noise(1, request.source.config.image_size)
        runs = {_name(key): partial(one.call, image) for key, one in prepared.items() if one.call is not None}
        times = time_callables(runs, request.preset, on_step=lambda name: on_step(f"{name}: timing"))
        found = _Findings(request, prepared, times, on_step)
        return [found.record(key, session) for key in keys]


def _name(key: Key) -> str:
    return " ".join(key)


class _Workshop:
    """Makes the files of all runtimes in one folder; a graph that several need is exported once."""

    def __init__(self, request: RuntimeRequest, model: Architecture, folder: Path) -> None:
        self._request = request
        self._model = model
        self._has_codes = has_codes(model)
        self._folder = folder
        self._calibration: Arrays | None = None

    def prepare(self, key: Key) -> _Prepared:
        """The model in a runtime and precision, run once, or why it can't be."""
        runtime, precision = key
        made = _Prepared(failure=runtimes.why_not(runtime, precision))
        source = self._request.source
        if not made.failure and precision == "int8" and source.config.run_id and self._request.train is None:
            # ranges of noise would lower its scores
            why = self._request.why_no_data
            made.failure = f"int8 needs images of train; name their folder with --data-root ({why})"
        if made.failure:
            return made
        task = RuntimeTask(
            runtime=runtime,
            precision=precision,
            config=source.config,
            weights=source.weights,
            file=None,
            threads=self._request.threads,
        )
        try:
            if runtime.startswith("torch"):
                compiled = runtime == "torch-compile"
                made.call = runtimes.torch_call(self._model, precision, compiled)
                made.file_bytes = self._weights_bytes(precision)
                made.with_codes = lambda: runtimes.torch_call(WithCodes(self._model), precision, compiled)
            else:
                file = self._file(runtime, precision, codes=False)
                task = task.model_copy(update={"file": file})
                made.file_bytes = sum(path.stat().st_size for path in file.parent.iterdir())
                made.call = runtimes.opened(task)
                made.with_codes = lambda: runtimes.opened(
                    task.model_copy(update={"file": self._file(runtime, precision, codes=True)})
                )
            made.call(export.noise(1, source.config.image_size))
        except runtimes.FAILURES as error:
            return _Prepared(failure=runtimes.reason_of(error))
        if not self._has_codes:
            made.with_codes = None
        made.task = task
        return made

    def _file(self, runtime: RuntimeName, precision: RuntimePrecision, codes: bool) -> Path:
        """The file that a runtime runs, alone in a folder. bf16 in OpenVINO computes from the float32 file."""
        own = "int8" if precision == "int8" else "fp32"
        folder = self._folder / f"{runtime}-{own}{'-codes' if codes else ''}"
        path = folder / ("model.onnx" if runtime == "onnxruntime" else "model.xml")
        if path.exists():
            return path
        if own == "int8":
            # quantized once, with codes where there are some, so that those compared are the timed model's
            with_codes = self._has_codes
            plain = self._file(runtime, precision if with_codes and not codes else "fp32", with_codes)
            folder.mkdir()
            if with_codes and not codes:
                without_codes(runtime, plain, path)
            else:
                quantize(runtime, plain, path, self._images())
            return path
        folder.mkdir()
        model = WithCodes(self._model) if codes else self._model
        program = exported_program(model, self._request.source.config.image_size, dynamic=False)
        save_as(program, "onnx" if runtime == "onnxruntime" else "openvino", path)
        return path

    def _images(self) -> Arrays:
        if self._calibration is None:
            self._calibration = calibration_images(self._request.source.config, self._request.train)
        return self._calibration

    def _weights_bytes(self, precision: RuntimePrecision) -> int:
        """Of the weights as safetensors; in bf16 all of 2 bytes but norms', as they are converted for inference."""
        import copy

        from harness.training.amp import convert_weights

        model = copy.deepcopy(self._model)
        convert_weights(model, "bf16" if precision == "bf16" else "fp32")
        path = self._folder / f"torch-{precision}.safetensors"
        save_weights(path, model)
        return path.stat().st_size


class _Findings:
    """What is found of each runtime beside its times."""

    def __init__(
        self,
        request: RuntimeRequest,
        prepared: dict[Key, _Prepared],
        times: dict[str, Timed],
        on_step: Callable[[str], None],
    ) -> None:
        self._request = request
        self._prepared = prepared
        self._times = times
        self._on_step = on_step
        self._images = export.sample_images(request.source.config, request.data)
        baseline = prepared[BASELINE]
        assert baseline.call is not None, "torch runs what torch has trained"
        self._reference = self._logits(baseline.call)
        self._codes = self._code_arrays(baseline)
        self._mious: dict[Key, Quantity] = {}
        self._environment = environment()

    def record(self, key: Key, session: str) -> RuntimeRecord:
        """The record of a runtime and precision."""
        request, one = self._request, self._prepared[key]
        config, timed = request.source.config, self._times.get(_name(key))
        if one.call is None:
            reason = Quantity(reason=one.failure)
            values = dict.fromkeys(("miou", "equal_labels", "largest_difference", "codes_changed"), reason)
            memory = size = reason
        else:
            values, memory = self._accuracy(key), self._memory(key)
            size = Quantity(value=one.file_bytes)
        quantized = key[1] == "int8" and one.call is not None
        return RuntimeRecord(
            name=request.source.name,
            architecture=config.architecture,
            run_id=config.run_id,
            dataset=config.dataset,
            num_classes=config.num_classes,
            size=config.image_size,
            runtime=key[0],
            precision=key[1],
            threads=request.threads,
            preset=request.preset,
            device_name=device_name("cpu"),
            device_slug=device_slug("cpu"),
            session=session,
            failure=one.failure or None,
            time=timed.time if timed else None,
            peak_rss_bytes=memory,
            file_bytes=size,
            **values,
            baseline_ms=Quantity(value=self._times[_name(BASELINE)].time.median_ms),
            baseline_miou=self._miou(BASELINE),
            calibration_images=len(calibration_images(config, request.train)) if quantized else None,
            versions={name: found for name in _PACKAGES if (found := package_version(name))},
            environment=self._environment,
            warnings=timed.warnings if timed else (),
        )

    def _accuracy(self, key: Key) -> dict[str, Quantity]:
        call = self._prepared[key].call
        assert call is not None
        self._on_step(f"{_name(key)}: agreement with torch")
        pairs = list(zip(self._reference, self._logits(call), strict=True))
        labels = [(ours.argmax(1), theirs.argmax(1)) for ours, theirs in pairs]
        return {
            "miou": self._miou(key),
            "equal_labels": Quantity(value=equal_share(labels)),
            "largest_difference": Quantity(value=max(float(np.abs(ours - theirs).max()) for ours, theirs in pairs)),
            "codes_changed": self._codes_changed(key),
        }

    def _miou(self, key: Key) -> Quantity:
        if self._request.data is None:
            return Quantity(reason=self._request.why_no_data)
        if key not in self._mious:
            call = self._prepared[key].call
            assert call is not None
            self._on_step(f"{_name(key)}: scoring val")
            self._mious[key] = Quantity(value=miou(call, self._request.source.config, self._request.data))
        return self._mious[key]

    def _logits(self, call: Call) -> list[Arrays]:
        return [call(image)[0] for image in np.split(self._images, len(self._images))]

    def _code_arrays(self, one: _Prepared) -> list[Any] | None:
        """Pooling codes of a few images; none where the model has none, or they can't be had."""
        if one.with_codes is None:
            return None
        call = one.with_codes()
        images = self._images[:CODE_IMAGES]
        return [codes for image in np.split(images, len(images)) for codes in call(image)[1:]]

    def _codes_changed(self, key: Key) -> Quantity:
        if not self._codes:
            return Quantity(reason="has no pooling codes")
        try:
            with runtimes.quiet():
                found = self._code_arrays(self._prepared[key])
        except runtimes.FAILURES as error:
            return Quantity(reason=runtimes.reason_of(error))
        assert found is not None
        return Quantity(value=1 - equal_share(list(zip(self._codes, found, strict=True))))

    def _memory(self, key: Key) -> Quantity:
        task = self._prepared[key].task
        assert task is not None
        self._on_step(f"{_name(key)}: memory")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "task.json"
            path.write_text(task.model_dump_json(), "utf-8")
            words = command("harness.deploy.runtimes", path)
            ended = subprocess.run(words, env=child_environment(), capture_output=True, text=True, check=False)
        try:
            said = json.loads(ended.stdout.strip().splitlines()[-1])
        except (ValueError, IndexError):
            return Quantity(reason=f"the process ended with exit code {ended.returncode}")
        if said.get("peak_rss_bytes") is None:
            return Quantity(reason=said.get("reason", "needs Linux's /proc/self/status"))
        return Quantity(value=said["peak_rss_bytes"])
