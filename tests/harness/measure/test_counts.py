from collections.abc import Callable

import pytest
from torch import Tensor, nn

from harness.measure.counts import count


class Two(nn.Module):
    """A strided convolution and a transposed one."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(8, 5, 4, stride=2, padding=1, bias=False)
        self.up.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.up(self.norm(self.down(images)).relu_())
        return logits


def test_counts_by_hand() -> None:
    counts = count(Two, (16, 20))
    convolution, norm, deconvolution = 3 * 8 * 9 + 8, 16, 8 * 5 * 16
    assert counts.parameters == convolution + norm + deconvolution
    assert counts.trainable == convolution + norm
    assert counts.model_size_mb == pytest.approx(4 * counts.parameters / 1e6)
    # each output pixel of the convolution, each input pixel of the deconvolution, is 8 x 10
    assert counts.gmacs * 1e9 == pytest.approx(80 * (3 * 8 * 9) + 80 * (8 * 5 * 16))
    assert counts.logits_size == (16, 20)


def test_operators_without_a_formula_are_named() -> None:
    assert count(Two, (16, 20)).not_counted == ("_native_batch_norm_legit_no_training", "relu")


def test_views_and_convolutions_are_not_among_them(small: Callable[[], nn.Module]) -> None:
    named = count(small, (36, 48)).not_counted
    assert {"add", "max_pool2d_with_indices", "max_unpool2d"} < set(named)
    assert not {"view", "detach", "convolution", "empty"} & set(named)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "megabytes"),
    [("segnet", 117.797), ("fcn8s", 537.495), ("deeplab-largefov", 82.031), ("deconvnet", 877.123)],
)
def test_model_sizes_of_table_6(name: str, megabytes: float) -> None:
    """The paper's 117, 539, 83 and 877 MB, at 11 classes."""
    import architectures

    counts = count(lambda: architectures.build(name, 11, (360, 480)), (360, 480))
    assert counts.model_size_mb == pytest.approx(megabytes, abs=0.001)
