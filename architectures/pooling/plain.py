"""2x2 max-pooling with codes in plain elementwise torch: the reference, and what is compiled or exported.

A code says which cell of its window holds the maximum: 0 top left, 1 top right, 2 bottom left, 3 bottom
right. Windows do not overlap; of an odd height or width the last row or column is a window of its own
(ceil mode). The rules are those of torch's `max_pool2d`: of equal values the first in scan order wins, of
several NaN the last one, and a window of -inf alone has code 0.

Only operators that ONNX has, and none whose result depends on the order in which threads run.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def pool(x: Tensor) -> tuple[Tensor, Tensor]:
    """(N, C, H, W) -> values and uint8 codes, both (N, C, ceil(H/2), ceil(W/2))."""
    values, *others = _cells(x, float("-inf"))
    codes = torch.zeros_like(values, dtype=torch.uint8)
    for code, cell in enumerate(others, start=1):
        wins = (cell > values) | torch.isnan(cell)
        values = torch.where(wins, cell, values)
        codes = torch.where(wins, code, codes)
    return values, codes


def spread(values: Tensor, codes: Tensor, size: tuple[int, int]) -> Tensor:
    """Values and uint8 codes (N, C, h, w) -> maps (N, C, *size): each value where its code says, else 0."""
    count, channels, height, width = values.shape
    cells = torch.arange(4, dtype=codes.dtype, device=codes.device).view(2, 1, 2)
    chosen = codes.unsqueeze(3).unsqueeze(5) == cells  # (N, C, h, 2, w, 2)
    maps = torch.where(chosen, values.unsqueeze(3).unsqueeze(5), 0.0)
    maps = maps.reshape(count, channels, 2 * height, 2 * width)
    if exporting := torch.compiler.is_exporting():
        for wanted, there in zip(size, (2 * height, 2 * width), strict=True):
            torch._check(wanted <= there)  # else a size that is a symbol becomes the lesser of both, and grows so
    maps = maps[:, :, : size[0], : size[1]]
    # a look at strides would bind an exported network to its example's size
    return maps if exporting else maps.contiguous(memory_format=layout_of(values))


def pick(maps: Tensor, codes: Tensor) -> Tensor:
    """Maps (N, C, H, W) and uint8 codes (N, C, h, w) -> (N, C, h, w): of each window the cell its code names.

    The transpose of `spread`.
    """
    values, *others = _cells(maps, 0.0)
    for code, cell in enumerate(others, start=1):
        values = torch.where(codes == code, cell, values)
    return values


def _cells(x: Tensor, fill: float) -> list[Tensor]:
    """The four cells of all windows, each (N, C, ceil(H/2), ceil(W/2)); those outside the map hold `fill`."""
    count, channels, height, width = x.shape
    rows, columns = (height + 1) // 2, (width + 1) // 2
    padded = functional.pad(x, (0, 2 * columns - width, 0, 2 * rows - height), value=fill)
    # split, not sliced in steps of two: the sizes stay simple where they are symbols, as in a dynamic export
    windows = padded.reshape(count, channels, rows, 2, columns, 2)
    return [windows[:, :, :, row, :, column] for row in (0, 1) for column in (0, 1)]


def layout_of(x: Tensor) -> torch.memory_format:
    """Channels-last for a tensor that lies so in memory, else contiguous, which holds where both do."""
    channels_last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if channels_last else torch.contiguous_format


def empty_pooled(x: Tensor, layout: torch.memory_format) -> tuple[Tensor, Tensor]:
    """Room for the values and codes of (N, C, H, W) maps, lying so in memory."""
    count, channels, height, width = x.shape
    shape = (count, channels, -(-height // 2), -(-width // 2))
    values = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)
    return values, torch.empty(shape, dtype=torch.uint8, device=x.device, memory_format=layout)
