"""DeconvNet: one size, a single value a map in its middle."""

import pytest
import torch
from torch.nn import functional

import architectures


@pytest.mark.parametrize(("size", "kernel"), [((360, 480), (12, 15)), ((33, 97), (2, 4)), ((224, 224), (7, 7))])
def test_fully_connected_part_covers_the_whole_of_pool5(size: tuple[int, int], kernel: tuple[int, int]) -> None:
    with torch.device("meta"):
        network = architectures.build("deconvnet", 3, size).eval()
        assert network(torch.zeros(1, 3, *size)).shape == (1, 3, *size)
    assert network.get_parameter("fully_connected.fc6.weight").shape == (1024, 512, *kernel)
    assert network.get_parameter("fully_connected.fc7.weight").shape == (1024, 1024, 1, 1)
    assert network.get_parameter("fully_connected.fc6_deconv.weight").shape == (1024, 512, *kernel)


def test_training_step_with_batch_1_and_odd_size() -> None:
    torch.manual_seed(0)
    network = architectures.build("deconvnet", 3, (37, 53))
    logits = network(torch.randn(1, 3, 37, 53))
    assert logits.shape == (1, 3, 37, 53)
    torch.autograd.backward(functional.cross_entropy(logits, torch.randint(3, (1, 37, 53))))
    gradients = {key: p.grad for key, p in network.named_parameters() if p.grad is not None}
    assert gradients.keys() == dict(network.named_parameters()).keys()
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    # nothing gets through batch norm over a single value, as in Caffe; what lies behind it still learns
    assert not gradients["fully_connected.fc7.weight"].any()
    assert gradients["fully_connected.fc7_bn.bias"].any()
    assert gradients["fully_connected.fc6_deconv.weight"].any()
    assert gradients["decoder5.deconv5_1.weight"].any()
