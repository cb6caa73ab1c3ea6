from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Small(nn.Module):
    """What architectures are made of: work in place, pooling, unpooling, a branch, dropout, deconvolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(8)
        self.conv3 = nn.Conv2d(8, 4, 3, padding=1)
        self.up = nn.ConvTranspose2d(4, 4, 2, 2)
        self.up.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        first = torch.relu_(self.norm1(self.conv1(images)))
        pooled, indices = F.max_pool2d(first, 2, return_indices=True)
        second = F.relu(self.norm2(self.conv2(pooled))) + pooled
        second = F.dropout(second, 0.5, self.training)
        unpooled = F.max_unpool2d(second, indices, [2, 2], output_size=list(first.shape[2:]))
        scores: Tensor = self.conv3(unpooled) + self.up(self.conv3(pooled))
        return scores


@pytest.fixture
def small() -> Callable[[], nn.Module]:
    """Makes a small network with 4 classes, output stride 1, for even sizes."""
    return Small
