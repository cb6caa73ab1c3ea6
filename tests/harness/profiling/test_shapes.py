from collections.abc import Callable

import pytest
from torch import nn

import architectures
from harness.profiling.flops import count
from harness.profiling.live_memory import live_inference, live_training
from harness.profiling.shapes import shapes

SIZE = (32, 48)


def segnet_basic() -> nn.Module:
    return architectures.build("segnet-basic", 5, SIZE)


def test_shapes_hold_what_the_parts_give() -> None:
    found, counts = shapes(segnet_basic, SIZE, 5, "fp32"), count(segnet_basic, SIZE)
    assert found.parameters == found.trainable_parameters == counts.parameters
    assert found.model_size_mb == 4 * counts.parameters / 1e6
    assert (found.gmacs, found.training_gmacs) == (counts.gmacs, counts.training_gmacs)
    assert found.gmacs_not_counted == counts.not_counted
    assert found.inference_live == live_inference(segnet_basic, batch=1, size=SIZE, precision="fp32")
    assert found.training_live == live_training(
        segnet_basic, batch=4, size=SIZE, label_size=SIZE, num_classes=5, precision="fp32"
    )


def test_decoder_storage_by_hand() -> None:
    """Four poolings of 64 maps: 16 x 24, 8 x 12, 4 x 6, 2 x 3 values each."""
    storage = shapes(segnet_basic, SIZE, 5, "fp32").decoder_storage
    values = [64 * cells for cells in (384, 96, 24, 6)]
    assert storage.int64_bytes == tuple(8 * number for number in values)
    assert storage.uint8_bytes == tuple(values)
    assert storage.two_bit_bytes == tuple(number // 4 for number in values)


def test_a_network_of_somebody_elses(small: Callable[[], nn.Module]) -> None:
    found = shapes(small, (36, 48), 4, "bf16")
    assert found.decoder_storage.uint8_bytes == ()
    assert (found.inference_live.batch_size, found.training_live.batch_size) == (1, 4)
    assert found.trainable_parameters < found.parameters
    assert found.training_gmacs == pytest.approx(3 * found.gmacs, rel=0.2)
