"""int8 by nncf's quantization after training: ranges of activations from a few training images, no training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.data.split import DeviceDataset
from harness.deploy.parity import noise, sample_images
from harness.deploy.runtimes import Arrays, as_runtime_error, own_errors, quiet
from harness.deploy.weights import ModelConfig
from harness.records.runtimes import RuntimeName

CALIBRATION_IMAGES = 100
# The comparisons and choices that pooling codes are made of, by each format's names. Left to nncf, both sides of a
# comparison get scales of their own, and most codes of a trained SegNet tip over. They cost no time in float32.
_COMPARISONS = {
    "openvino": ["Greater", "Select", "IsNaN", "LogicalOr"],
    "onnxruntime": ["Greater", "Where", "IsNaN", "Or"],
}


def calibration_images(config: ModelConfig, train: DeviceDataset | None, count: int = CALIBRATION_IMAGES) -> Arrays:
    """Images (N, 3, H, W) of the training split, evenly spread; noise for drawn weights, which have no data."""
    return noise(min(count, 8), config.image_size) if train is None else sample_images(config, train, count)


def quantize(runtime: RuntimeName, source: Path, target: Path, images: Arrays) -> None:
    """Write an int8 model of a float32 file in the runtime's own format, ONNX or OpenVINO's .xml.

    Ranges of activations are those of the images (N, 3, H, W).

    Raises:
        runtimes.FAILURES: what nncf says of a model that it can't quantize.
    """
    with quiet():
        import nncf
        from nncf import errors

    items = np.split(images, len(images))
    scope = nncf.IgnoredScope(types=_COMPARISONS[runtime], validate=False)  # there are none in most networks
    with quiet(), as_runtime_error(own_errors(errors)):
        if runtime == "openvino":
            import openvino

            model = openvino.Core().read_model(str(source))
            result = nncf.quantize(model, nncf.Dataset(items), subset_size=len(images), ignored_scope=scope)
            openvino.save_model(result, target, compress_to_fp16=False)
            return
        import onnx

        graph = onnx.load(source)
        name = graph.graph.input[0].name
        data = nncf.Dataset(items, lambda image: {name: image})
        onnx.save(nncf.quantize(graph, data, subset_size=len(images), ignored_scope=scope), target)


def without_codes(runtime: RuntimeName, source: Path, target: Path) -> None:
    """Write a file's model with its first output alone, the logits."""
    if runtime == "openvino":
        import openvino

        model = openvino.Core().read_model(str(source))
        logits = openvino.Model([model.outputs[0].get_node()], model.get_parameters())
        openvino.save_model(logits, target, compress_to_fp16=False)
        return
    import onnx

    graph = onnx.load(source)
    del graph.graph.output[1:]
    onnx.save(graph, target)
