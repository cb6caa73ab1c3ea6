"""SegNet from torch's own layers: VGG16's convolutions with batch norm, and their mirror image."""

from torch import Tensor, nn


def conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)
    )


class SegNet(nn.Module):
    """Images (N, 3, H, W) -> logits (N, K, H, W). Dropout follows the three deepest blocks of either half."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(
            [
                nn.Sequential(conv(3, 64), conv(64, 64)),
                nn.Sequential(conv(64, 128), conv(128, 128)),
                nn.Sequential(conv(128, 256), conv(256, 256), conv(256, 256)),
                nn.Sequential(conv(256, 512), conv(512, 512), conv(512, 512)),
                nn.Sequential(conv(512, 512), conv(512, 512), conv(512, 512)),
            ]
        )
        self.decoder = nn.ModuleList(
            [
                nn.Sequential(conv(512, 512), conv(512, 512), conv(512, 512), nn.Dropout(0.5)),
                nn.Sequential(conv(512, 512), conv(512, 512), conv(512, 256), nn.Dropout(0.5)),
                nn.Sequential(conv(256, 256), conv(256, 256), conv(256, 128), nn.Dropout(0.5)),
                nn.Sequential(conv(128, 128), conv(128, 64)),
                nn.Sequential(conv(64, 64), nn.Conv2d(64, num_classes, 3, padding=1)),
            ]
        )
        self.pool = nn.MaxPool2d(2, 2, return_indices=True, ceil_mode=True)
        self.unpool = nn.MaxUnpool2d(2, 2)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for number, block in enumerate(self.encoder):
            x = block(x)
            size = x.shape
            x, indices = self.pool(x)
            kept.append((indices, size))
            if number >= 2:
                x = self.dropout(x)
        for block in self.decoder:
            indices, size = kept.pop()
            x = block(self.unpool(x, indices, output_size=size))
        return x
