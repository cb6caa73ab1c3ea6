"""The contract of an architecture: images in, logits out, and nothing of how it is trained or measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from architectures.architecture_info import ArchitectureError, ArchitectureInfo


class Architecture(nn.Module, ABC):
    """(N, 3, H, W) float images -> (N, K, ceil(H/s), ceil(W/s)) logits, s = `info.output_stride`.

    Any H and W of at least `info.min_size` are taken, odd ones too, unless `info.fixed_size` is set: then
    only `image_size`. Holds no loss, optimizer, batch size, seed or backend flag. Subclasses write `logits`
    and `encoder_layers`; one with a decoder calls its encoder as the module `encoder`.

    info         the registry's entry that it was built from
    num_classes  K
    image_size   (H, W) that it was built for
    """

    def __init__(self, info: ArchitectureInfo, num_classes: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        if num_classes < 2:
            raise ArchitectureError(f"{info.name}: num_classes is {num_classes}, but at least 2 are needed")
        self.info = info
        self.num_classes = num_classes
        self.image_size = (image_size[0], image_size[1])
        self._check_size("image_size is", *self.image_size)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images. Raises ArchitectureError for a batch that breaks the contract."""
        self._check(images)
        return self.logits(images)

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """`forward` of a batch that has been checked."""

    @abstractmethod
    def encoder_layers(self) -> Mapping[str, nn.Conv2d]:
        """Layers that can start from VGG16's weights, by VGG16's names (conv1_1 .. conv5_3, fc6, fc7).

        Each of them is followed by batch norm.
        """

    def kept_for_decoder(self, images: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        """What the encoder leaves for the decoder beside its last maps: tensors of each pooling, in order.

        Pooling indices, or encoder maps; empty by default, for an architecture without a decoder. Runs the
        encoder for it.
        """
        return ()

    def kept_of(self, encoded: Any) -> tuple[tuple[Tensor, ...], ...]:
        """The same, of what `encoder` has returned, so that a hook on it can tell a pass's own tensors."""
        return ()

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the logits of an image of this size."""
        return self.info.output_size(height, width)

    def _check(self, images: Tensor) -> None:
        name = self.info.name
        shape = tuple(images.shape)
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise ArchitectureError(f"{name}: images must be a float tensor (N, 3, H, W), not {images.dtype} {shape}")
        height, width = images.shape[-2:]
        self.check_images(height, width)

    def check_images(self, height: int, width: int) -> None:
        """Raises ArchitectureError for images of a size that this network does not take."""
        name = self.info.name
        self._check_size("images are", height, width)
        if self.info.fixed_size and (height, width) != self.image_size:
            built = f"{self.image_size[0]}x{self.image_size[1]}"
            raise ArchitectureError(
                f"{name}: images are {height}x{width}, but it was built for {built} and takes no other size; "
                f"build it with image_size=({height}, {width})"
            )

    def _check_size(self, what: str, height: int, width: int) -> None:
        least = self.info.min_size
        if height < least or width < least:
            raise ArchitectureError(
                f"{self.info.name}: {what} {height}x{width}, but at least {least}x{least} is needed"
            )
