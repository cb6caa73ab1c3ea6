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
