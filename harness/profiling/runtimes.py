"""Models in other runtimes and precisions: times in turns in one process, memory of a process each, mIoU on val."""

from __future__ import annotations

import copy
import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from architectures.base import Architecture
from harness.data.split import DeviceDataset
from harness.deploy import runtimes
from harness.deploy.export import WithCodes, exported_program, has_codes, save_as
from harness.deploy.parity import equal_labels, equal_share, largest_difference, miou, noise, sample_images
from harness.deploy.quantization import calibration_images, quantize, without_codes
from harness.deploy.runtimes import Arrays, Call, RuntimeTask
from harness.deploy.weights import Source
from harness.profiling.timing import Timed, time_callables
from harness.records.measurement import Preset
from harness.records.runtimes import BASELINE, RuntimeName, RuntimePrecision, RuntimeRecord
from harness.system.environment import device_name, device_slug, environment, package_version
from harness.system.quantities import Quantity
from harness.system.supervisor import child_environment, command
from harness.training.amp import convert_weights
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

    The model is the source's, on the CPU, with torch's threads set. on_step is called with each step as it begins.
    """
    session = datetime.now(UTC).isoformat(timespec="seconds")
    keys = list(dict.fromkeys([BASELINE, *product(request.runtimes, request.precisions)]))
    with tempfile.TemporaryDirectory() as temporary:
        workshop = _Workshop(request, model, Path(temporary))
        prepared = {}
        for key in keys:
            on_step(f"{_name(key)}: preparing")
            prepared[key] = workshop.prepare(key)
        image = noise(1, request.source.config.image_size)
        runs = {_name(key): partial(one.call, image) for key, one in prepared.items() if one.call is not None}
        times = time_callables(runs, request.preset, on_step=lambda name: on_step(f"{name}: timing"))
        found = _Findings(request=request, prepared=prepared, times=times, on_step=on_step)
        return [found.record(key, session) for key in keys]


def _name(key: Key) -> str:
    return " ".join(key)


class _Workshop:
    """Makes the files of all runtimes in one folder; a graph that several need is exported once."""

    def __init__(self, request: RuntimeRequest, model: Architecture, folder: Path) -> None:
        self._request = request
        self._config = request.source.config
        self._model = model
        self._has_codes = has_codes(model)
        self._folder = folder

    def prepare(self, key: Key) -> _Prepared:
        """The model in a runtime and precision, run once, or why it can't be."""
        runtime, precision = key
        failure = runtimes.why_not(runtime, precision)
        if not failure and precision == "int8" and self._config.run_id and self._request.train is None:
            # ranges of noise would lower its scores
            why = self._request.why_no_data
            failure = f"int8 needs images of train; name their folder with --data-root ({why})"
        if failure:
            return _Prepared(failure=failure)
        try:
            made = self._made(runtime, precision)
            assert made.call is not None
            made.call(noise(1, self._config.image_size))
        except runtimes.FAILURES as error:
            return _Prepared(failure=runtimes.reason_of(error))
        return made

    def _made(self, runtime: RuntimeName, precision: RuntimePrecision) -> _Prepared:
        in_torch = runtime.startswith("torch")
        file = None if in_torch else self._file(runtime, precision, codes=False)
        task = RuntimeTask(
            runtime=runtime,
            precision=precision,
            config=self._config,
            weights=self._request.source.weights,
            file=file,
            threads=self._request.threads,
        )

        def opened(codes: bool) -> Call:
            if in_torch:
                model = WithCodes(self._model) if codes else self._model
                return runtimes.torch_call(model, precision, runtime == "torch-compile")
            return runtimes.opened(task.model_copy(update={"file": self._file(runtime, precision, codes)}))

        files = file.parent.iterdir() if file else [self._torch_weights(precision)]
        return _Prepared(
            call=opened(codes=False),
            file_bytes=sum(path.stat().st_size for path in files),
            with_codes=partial(opened, codes=True) if self._has_codes else None,
            task=task,
        )

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
                quantize(runtime, plain, path, self._images)
            return path
        folder.mkdir()
        model = WithCodes(self._model) if codes else self._model
        program = exported_program(model, self._config.image_size, dynamic=False)
        save_as(program, "onnx" if runtime == "onnxruntime" else "openvino", path)
        return path

    @cached_property
    def _images(self) -> Arrays:
        return calibration_images(self._config, self._request.train)

    def _torch_weights(self, precision: RuntimePrecision) -> Path:
        """The weights as safetensors; in bf16 all of 2 bytes but norms', as they are converted for inference."""
        model = copy.deepcopy(self._model)
        convert_weights(model, "bf16" if precision == "bf16" else "fp32")
        path = self._folder / f"torch-{precision}.safetensors"
        save_weights(path, model)
        return path


@dataclass(kw_only=True)
class _Findings:
    """What is found of each runtime beside its times."""

    request: RuntimeRequest
    prepared: Mapping[Key, _Prepared]
    times: Mapping[str, Timed]
    on_step: Callable[[str], None]

    def __post_init__(self) -> None:
        self._images = sample_images(self.request.source.config, self.request.data)
        self._reference = self._logits(BASELINE)
        self._codes = self._code_arrays(BASELINE)
        self._environment = environment()
        self._baseline_miou = self._miou(BASELINE)

    def record(self, key: Key, session: str) -> RuntimeRecord:
        """The record of a runtime and precision."""
        request, one = self.request, self.prepared[key]
        config, timed = request.source.config, self.times.get(_name(key))
        if one.call is None:
            reason = Quantity(reason=one.failure)
            values = dict.fromkeys(("miou", "equal_labels", "largest_difference", "codes_changed"), reason)
            values |= {"peak_rss_bytes": reason, "file_bytes": reason}
            operators = dict[str, float]()
        else:
            values = {"file_bytes": Quantity(value=one.file_bytes), **self._accuracy(key)}
            values["peak_rss_bytes"], operators = self._alone(key)
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
            **values,
            operators=operators,
            baseline_ms=Quantity(value=self.times[_name(BASELINE)].time.median_ms),
            baseline_miou=self._baseline_miou,
            calibration_images=len(calibration_images(config, request.train)) if quantized else None,
            versions={name: found for name in _PACKAGES if (found := package_version(name))},
            environment=self._environment,
            warnings=timed.warnings if timed else (),
        )

    def _call(self, key: Key) -> Call:
        call = self.prepared[key].call
        assert call is not None, "torch runs what torch has trained, and of others it was looked at before"
        return call

    def _accuracy(self, key: Key) -> dict[str, Quantity]:
        self.on_step(f"{_name(key)}: agreement with torch")
        pairs = list(zip(self._reference, self._logits(key), strict=True))
        return {
            "miou": self._baseline_miou if key == BASELINE else self._miou(key),
            "equal_labels": Quantity(value=equal_labels(pairs)),
            "largest_difference": Quantity(value=largest_difference(pairs)),
            "codes_changed": self._codes_changed(key),
        }

    def _miou(self, key: Key) -> Quantity:
        if self.request.data is None:
            return Quantity(reason=self.request.why_no_data)
        self.on_step(f"{_name(key)}: scoring val")
        return Quantity(value=miou(self._call(key), self.request.source.config, self.request.data))

    def _logits(self, key: Key) -> list[Arrays]:
        call = self._call(key)
        return [call(image)[0] for image in np.split(self._images, len(self._images))]

    def _code_arrays(self, key: Key) -> list[Any]:
        """Pooling codes of a few images; empty where the model has none."""
        with_codes = self.prepared[key].with_codes
        if with_codes is None:
            return []
        call, images = with_codes(), self._images[:CODE_IMAGES]
        return [codes for image in np.split(images, len(images)) for codes in call(image)[1:]]

    def _codes_changed(self, key: Key) -> Quantity:
        if not self._codes:
            return Quantity(reason="has no pooling codes")
        try:
            with runtimes.quiet():
                found = self._code_arrays(key)
        except runtimes.FAILURES as error:
            return Quantity(reason=runtimes.reason_of(error))
        return Quantity(value=1 - equal_share(list(zip(self._codes, found, strict=True))))

    def _alone(self, key: Key) -> tuple[Quantity, dict[str, float]]:
        """Memory of a process of its own, and where its time goes."""
        task = self.prepared[key].task
        assert task is not None
        self.on_step(f"{_name(key)}: memory and operators")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "task.json"
            path.write_text(task.model_dump_json(), "utf-8")
            words = command("harness.deploy.runtimes", path)
            ended = subprocess.run(words, env=child_environment(), capture_output=True, text=True, check=False)
        try:
            said = json.loads(ended.stdout.strip().splitlines()[-1])
        except (ValueError, IndexError):
            return Quantity(reason=f"the process ended with exit code {ended.returncode}"), {}
        if said.get("peak_rss_bytes") is None:
            return Quantity(reason=said.get("reason", "needs Linux's /proc/self/status")), said.get("operators", {})
        return Quantity(value=said["peak_rss_bytes"]), said["operators"]
