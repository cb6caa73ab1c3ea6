"""2x2 max-pooling with codes on the CPU, built from torch's own kernels, a piece of the maps at a time.

torch's pooling gives int64 positions, and its scatter and gather take them. Whole maps of positions would be
eight bytes a value and the time to move them through memory; those of a piece stay in the cache and are gone
when the piece is done. Results are those of `pooling_plain`, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from architectures.pooling.plain import empty_pooled, layout_of

# Pooled values that each thread works on at a time: 1 MiB of positions. Much smaller pieces are slower, since
# torch splits elementwise work among threads only from 32,768 values on.
PIECE = 131_072


def pool(x: Tensor) -> tuple[Tensor, Tensor]:
    """As `pooling_plain.pool`."""
    layout = layout_of(x)
    x = x.contiguous(memory_format=layout)
    values, codes = empty_pooled(x, layout)
    for part, values_part, codes_part in _parts(layout, x, values, codes):
        found, positions = torch.ops.aten.max_pool2d_with_indices(part, [2, 2], [2, 2], [0, 0], [1, 1], True)
        positions -= _corners(positions, x.shape[-1])  # leaves 0, 1, width or width + 1
        positions -= (positions >= x.shape[-1]) * (x.shape[-1] - 2)
        values_part.copy_(found)
        codes_part.copy_(positions)
    return values, codes


def spread(values: Tensor, codes: Tensor, size: tuple[int, int]) -> Tensor:
    """As `pooling_plain.spread`."""
    layout = layout_of(values)
    values, codes = values.contiguous(memory_format=layout), codes.contiguous(memory_format=layout)
    shape = (*values.shape[:2], *size)
    maps = torch.empty(shape, dtype=values.dtype, device=values.device, memory_format=layout).zero_()
    for part, values_part, codes_part in _parts(layout, maps, values, codes):
        positions = _positions(codes_part, size[1])
        axis = _axis(layout)
        _flat(part, layout).scatter_(axis, _flat(positions, layout), _flat(values_part, layout))
    return maps


def pick(maps: Tensor, codes: Tensor) -> Tensor:
    """As `pooling_plain.pick`."""
    layout = layout_of(maps)
    maps, codes = maps.contiguous(memory_format=layout), codes.contiguous(memory_format=layout)
    values = torch.empty(codes.shape, dtype=maps.dtype, device=maps.device, memory_format=layout)
    for part, values_part, codes_part in _parts(layout, maps, values, codes):
        positions = _positions(codes_part, maps.shape[-1])
        picked = _flat(part, layout).gather(_axis(layout), _flat(positions, layout))
        _flat(values_part, layout).copy_(picked)
    return values


def _parts(
    layout: torch.memory_format, maps: Tensor, values: Tensor, codes: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Views of (N, C, H, W) maps and their pooled values and codes, each whole in memory.

    Contiguous: some of the N * C maps, as (maps, H, W). Channels-last: some rows of one image, as
    (1, C, rows, W), since torch's pooling knows that layout of batches only and would copy others.
    """
    count, channels, height, width = values.shape
    piece = PIECE * torch.get_num_threads()
    if layout is torch.contiguous_format:
        step = max(1, piece // (height * width))
        flat = [tensor.flatten(0, 1) for tensor in (maps, values, codes)]
        for start in range(0, count * channels, step):
            stop = start + step
            yield flat[0][start:stop], flat[1][start:stop], flat[2][start:stop]
        return
    step = max(1, piece // (channels * width))
    for image in range(count):
        for start in range(0, height, step):
            stop = start + step
            one = slice(image, image + 1)
            rows = values[one, :, start:stop], codes[one, :, start:stop]
            yield maps[one, :, 2 * start : 2 * stop], *rows


def _corners(pooled: Tensor, width: int) -> Tensor:
    """Flat position in a map of that width of the top left cell of each window, (h, w) int64."""
    rows, columns = pooled.shape[-2:]
    device = pooled.device
    return torch.arange(rows, device=device)[:, None] * (2 * width) + torch.arange(columns, device=device) * 2


def _positions(codes: Tensor, width: int) -> Tensor:
    """Flat position of each window's chosen cell in a map of that width, int64, shaped as the codes."""
    positions = codes.to(torch.int64)
    positions += (codes >= 2) * (width - 2)
    positions += _corners(codes, width)
    return positions


def _axis(layout: torch.memory_format) -> int:
    """The axis of `_flat` views along which positions count."""
    return 1 if layout is torch.contiguous_format else 0


def _flat(part: Tensor, layout: torch.memory_format) -> Tensor:
    """A view of a part with one axis for height and width: (maps, H * W) or, channels-last, (rows * W, C)."""
    if layout is torch.contiguous_format:
        return part.flatten(1)
    return part[0].permute(1, 2, 0).flatten(0, 1)
