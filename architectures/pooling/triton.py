"""2x2 max-pooling with codes on CUDA devices: Triton kernels that read and write each value once.

Results are those of `pooling_plain`, bit for bit: values are moved as integers of their size and taken for
floats only to compare them. Without Triton this module still imports, and `available` says no.

Maps, values and codes lie alike in memory, contiguous or channels-last, and consecutive lanes take values
that lie one after the other. The kernels see one layout: an image is a number of planes, one below the other,
of windows which each are a run of values. Contiguous, each channel is a plane and a run is a single value;
channels-last, the image is one plane and a run has a value of each channel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from architectures.pooling.plain import empty_pooled, layout_of

try:
    import triton  # type: ignore[import-untyped]
    from triton import language as tl
except ImportError:  # Windows, builds of torch for the CPU
    triton = tl = None

WARPS = 4
THREAD_BYTES = 16  # of values a thread: as much as it can load at once
NARROW = 2**30  # images of more values than this take 64-bit positions, whose divisions are slow

_FLOATS = {getattr(torch, name): name for name in ("float16", "bfloat16", "float32", "float64")}
_BITS = {2: torch.uint16, 4: torch.uint32, 8: torch.uint64}
_PAIRS = {2: "uint32", 4: "uint64"}


def available(x: Tensor) -> bool:
    """Whether x is of floats on a CUDA device that Triton compiles for, or on any while Triton interprets."""
    if triton is None or x.dtype not in _FLOATS:
        return False
    if triton.knobs.runtime.interpret:
        return True
    return x.is_cuda and torch.cuda.get_device_capability(x.device) >= (7, 0)


def pool(x: Tensor) -> tuple[Tensor, Tensor]:
    """As `pooling_plain.pool`: (N, C, H, W) -> values and uint8 codes, (N, C, ceil(H/2), ceil(W/2))."""
    layout = layout_of(x)
    x = x.contiguous(memory_format=layout)
    values, codes = empty_pooled(x, layout)
    _launch(_pool_kernel, x, values, codes, layout, FLOAT=getattr(tl, _FLOATS[x.dtype]), PAIR=_pair(x, layout))
    return values, codes


def spread(values: Tensor, codes: Tensor, size: tuple[int, int]) -> Tensor:
    """As `pooling_plain.spread`: (N, C, h, w) values and uint8 codes -> (N, C, *size)."""
    layout = layout_of(values)
    values, codes = values.contiguous(memory_format=layout), codes.contiguous(memory_format=layout)
    shape = (*values.shape[:2], *size)
    maps = torch.empty(shape, dtype=values.dtype, device=values.device, memory_format=layout)
    _launch(_spread_kernel, maps, values, codes, layout, PAIR=_pair(maps, layout))
    return maps


def pick(maps: Tensor, codes: Tensor) -> Tensor:
    """As `pooling_plain.pick`: (N, C, H, W) maps and uint8 codes (N, C, h, w) -> (N, C, h, w)."""
    layout = layout_of(maps)
    maps, codes = maps.contiguous(memory_format=layout), codes.contiguous(memory_format=layout)
    values = torch.empty(codes.shape, dtype=maps.dtype, device=maps.device, memory_format=layout)
    _launch(_pick_kernel, maps, values, codes, layout, PAIR=_pair(maps, layout))
    return values


def _launch(
    kernel: Any, maps: Tensor, values: Tensor, codes: Tensor, layout: torch.memory_format, **constants: Any
) -> None:
    count, channels, height, width = maps.shape
    rows, columns = values.shape[-2:]
    planes, run = (1, channels) if layout is torch.channels_last else (channels, 1)
    windows, points = planes * rows * columns, planes * height * width
    block = THREAD_BYTES // maps.element_size() * 32 * WARPS
    programs = count * -(-windows * run // block)
    if programs == 0:
        return
    bits = _BITS[maps.element_size()]
    with torch.cuda.device_of(maps):  # type: ignore[no-untyped-call]
        kernel[(programs,)](
            *(maps.view(bits), values.view(bits), codes, windows, points, width, rows, columns, run),
            ODD_HEIGHT=height % 2 == 1,
            ODD_WIDTH=width % 2 == 1,
            INDEX=tl.uint64 if points * run > NARROW else tl.uint32,
            BLOCK=block,
            num_warps=WARPS,
            enable_fp_fusion=False,  # there is nothing to fuse, but Triton warns where it is left open
            **constants,
        )


def _pair(maps: Tensor, layout: torch.memory_format) -> Any:
    """Integer type in which the left and right cell of a window are moved at once, None where they cannot be.

    One by one, the lanes would leave out every other value of contiguous maps, and come back for these.
    """
    pair = _PAIRS.get(maps.element_size())
    aligned = maps.shape[-1] % 2 == 0 and maps.data_ptr() % (2 * maps.element_size()) == 0
    return getattr(tl, pair) if pair and aligned and layout is torch.contiguous_format else None


def _jit(function: Callable[..., Any]) -> Any:
    if triton is None:
        return function
    # Of the sizes Triton may know the alignment of `run` alone. From that of others it would conclude that a
    # lane had best store several neighbors, and in contiguous maps the lanes would then read far apart.
    return triton.jit(function, do_not_specialize=["windows", "points", "width", "rows", "columns"])


@_jit
def _windows(
    windows: tl.tensor,
    points: tl.tensor,
    width: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    run: tl.tensor,
    ODD_HEIGHT: tl.constexpr,
    ODD_WIDTH: tl.constexpr,
    INDEX: tl.constexpr,
    BLOCK: tl.constexpr,
) -> tl.tuple:
    """Where this program's values lie, and the upper and lower line of cells of each window in the maps.

    And three masks: which values there are, and whose windows have cells on the right, and below.
    """
    width, rows, columns = tl.cast(width, INDEX), tl.cast(rows, INDEX), tl.cast(columns, INDEX)
    run = tl.cast(run, INDEX)
    pooled = tl.cast(windows, INDEX) * run
    blocks = (pooled + (BLOCK - 1)) // BLOCK
    program = tl.program_id(0).to(INDEX)
    image = (program // blocks).to(tl.int64)
    places = program % blocks * BLOCK + tl.arange(0, BLOCK)  # of the image's values
    inside = places < pooled
    window = places // run
    column = window % columns
    line = window // columns
    top = 2 * line
    right = inside
    if ODD_WIDTH:
        right = inside & (column != columns - 1)
    below = inside
    if ODD_HEIGHT:  # a plane has one line of cells less than two for each line of windows
        plane = line // rows
        top -= plane
        below = inside & (line - plane * rows != rows - 1)
    corners = (top * width + 2 * column) * run + places % run
    upper = image * points * run.to(tl.int64) + corners.to(tl.int64)
    lower = upper + (width * run).to(tl.int64)
    return image * windows * run.to(tl.int64) + places.to(tl.int64), upper, lower, inside, right, below


@_jit
def _load_line(
    cells: tl.tensor, run: tl.tensor, left_there: tl.tensor, right_there: tl.tensor, PAIR: tl.constexpr
) -> tl.tuple:
    if PAIR is None:
        left = tl.load(cells, mask=left_there, other=0)
        right = tl.load(cells + run, mask=right_there, other=0)
    else:
        pair = tl.load(cells.to(tl.pointer_type(PAIR)), mask=left_there, other=0)
        half: tl.constexpr = cells.dtype.element_ty
        left = pair.to(half)
        right = (pair >> half.primitive_bitwidth).to(half)
    return left, right


@_jit
def _number(bits: tl.tensor, FLOAT: tl.constexpr) -> tl.tensor:
    if tl.bfloat16 == FLOAT:  # the upper half of a float32, which all devices can compare
        number = (bits.to(tl.uint32) << 16).to(tl.float32, bitcast=True)
    else:
        number = bits.to(FLOAT, bitcast=True)
    return number


@_jit
def _challenge(
    best: tl.tensor,
    code: tl.tensor,
    cell: tl.tensor,
    there: tl.tensor,
    NUMBER: tl.constexpr,
    FLOAT: tl.constexpr,
) -> tl.tuple:
    """The window's maximum so far and its code, or its next cell's if that wins, as NaN always does."""
    old, new = _number(best, FLOAT), _number(cell, FLOAT)
    wins = there & ((new > old) | (new != new))
    return tl.where(wins, cell, best), tl.where(wins, NUMBER, code)


@_jit
def _pool_kernel(
    maps: tl.tensor,
    values: tl.tensor,
    codes: tl.tensor,
    windows: tl.tensor,
    points: tl.tensor,
    width: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    run: tl.tensor,
    ODD_HEIGHT: tl.constexpr,
    ODD_WIDTH: tl.constexpr,
    INDEX: tl.constexpr,
    BLOCK: tl.constexpr,
    FLOAT: tl.constexpr,
    PAIR: tl.constexpr,
) -> None:
    at, upper, lower, inside, right, below = _windows(
        windows, points, width, rows, columns, run, ODD_HEIGHT, ODD_WIDTH, INDEX, BLOCK
    )
    best, second = _load_line(maps + upper, run, inside, right, PAIR)
    third, fourth = _load_line(maps + lower, run, below, below & right, PAIR)
    code = tl.zeros([BLOCK], tl.int32)
    best, code = _challenge(best, code, second, right, 1, FLOAT)
    best, code = _challenge(best, code, third, below, 2, FLOAT)
    best, code = _challenge(best, code, fourth, below & right, 3, FLOAT)
    tl.store(values + at, best, mask=inside)
    tl.store(codes + at, code.to(tl.uint8), mask=inside)


@_jit
def _spread_kernel(
    maps: tl.tensor,
    values: tl.tensor,
    codes: tl.tensor,
    windows: tl.tensor,
    points: tl.tensor,
    width: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    run: tl.tensor,
    ODD_HEIGHT: tl.constexpr,
    ODD_WIDTH: tl.constexpr,
    INDEX: tl.constexpr,
    BLOCK: tl.constexpr,
    PAIR: tl.constexpr,
) -> None:
    at, upper, lower, inside, right, below = _windows(
        windows, points, width, rows, columns, run, ODD_HEIGHT, ODD_WIDTH, INDEX, BLOCK
    )
    value = tl.load(values + at, mask=inside, other=0)
    code = tl.load(codes + at, mask=inside, other=0)
    zero = tl.zeros_like(value)
    first, second = tl.where(code == 0, value, zero), tl.where(code == 1, value, zero)
    third, fourth = tl.where(code == 2, value, zero), tl.where(code == 3, value, zero)
    if PAIR is None:
        tl.store(maps + upper, first, mask=inside)
        tl.store(maps + upper + run, second, mask=right)
        tl.store(maps + lower, third, mask=below)
        tl.store(maps + lower + run, fourth, mask=below & right)
    else:
        bits: tl.constexpr = value.dtype.primitive_bitwidth
        above, beneath = (maps + upper).to(tl.pointer_type(PAIR)), (maps + lower).to(tl.pointer_type(PAIR))
        tl.store(above, first.to(PAIR) | (second.to(PAIR) << bits), mask=inside)
        tl.store(beneath, third.to(PAIR) | (fourth.to(PAIR) << bits), mask=below)


@_jit
def _pick_kernel(
    maps: tl.tensor,
    values: tl.tensor,
    codes: tl.tensor,
    windows: tl.tensor,
    points: tl.tensor,
    width: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    run: tl.tensor,
    ODD_HEIGHT: tl.constexpr,
    ODD_WIDTH: tl.constexpr,
    INDEX: tl.constexpr,
    BLOCK: tl.constexpr,
    PAIR: tl.constexpr,
) -> None:
    at, upper, lower, inside, right, below = _windows(
        windows, points, width, rows, columns, run, ODD_HEIGHT, ODD_WIDTH, INDEX, BLOCK
    )
    code = tl.load(codes + at, mask=inside, other=0)
    value, second = _load_line(maps + upper, run, inside, right, PAIR)
    third, fourth = _load_line(maps + lower, run, below, below & right, PAIR)
    value = tl.where(code == 1, second, value)
    value = tl.where(code == 2, third, value)
    value = tl.where(code == 3, fourth, value)
    tl.store(values + at, value, mask=inside)
