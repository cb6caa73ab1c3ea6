"""Max-pooling with codes in Triton against plain torch: interpreted, compiled without a device, and on one.

Triton decides on import whether it interprets, so what needs no device runs this file in another process:
`python test_pooling_triton.py interpreted` or `... compiled`, which prints what differs and then fails.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor

from architectures.pooling import plain as pooling_plain
from architectures.pooling.cpu import layout_of

ROOT = Path(__file__).parents[2]
SKIPPED = 77  # exit status of the other process
LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}
BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
# quiet, negative and signalling NaN; infinities; zeros; the smallest number; 1 and -1
SPECIAL = {
    torch.float16: "7e01 fe02 7c03 7c00 fc00 0000 8000 0001 3c00 bc00",
    torch.bfloat16: "7fc1 ffc2 7f83 7f80 ff80 0000 8000 0001 3f80 bf80",
    torch.float32: "7fc00001 ffc00002 7f800003 7f800000 ff800000 0 80000000 1 3f800000 bf800000",
    torch.float64: "7ff8000000000001 fff8000000000002 7ff0000000000003 7ff0000000000000 fff0000000000000 "
    "0 8000000000000000 1 3ff0000000000000 bff0000000000000",
}


def bits_of(x: Tensor) -> Tensor:
    return x.view(BITS[x.element_size()])


def noise(shape: tuple[int, ...], dtype: torch.dtype, device: str = "cpu") -> Tensor:
    """Specials, small integers with many ties, and random numbers in turn; a corner of some maps is -inf."""
    width = 8 * dtype.itemsize
    values = [int(digits, 16) for digits in SPECIAL[dtype].split()]
    signed = [value - (value >> (width - 1) << width) for value in values]
    table = torch.tensor(signed, dtype=BITS[dtype.itemsize], device=device).view(dtype)
    specials = table[torch.randint(len(table), shape, device=device)]
    ties = torch.randint(-2, 3, shape, device=device).to(dtype)
    kind = torch.randint(3, shape, device=device)
    x = torch.where(kind == 0, specials, torch.where(kind == 1, ties, torch.randn(shape, device=device).to(dtype)))
    x[..., : shape[-2] // 2, shape[-1] // 2 :][torch.rand(shape[:2], device=device) < 0.3] = float("-inf")
    return x


def differences(x: Tensor) -> list[str]:
    """What `pooling_triton` does otherwise than `pooling_plain`."""
    from architectures.pooling import triton as pooling_triton

    found: list[str] = []

    def compare(name: str, result: Tensor, expected: Tensor, layout: torch.memory_format) -> None:
        if result.dtype != expected.dtype or result.shape != expected.shape:
            found.append(f"{name} of {result.dtype} {tuple(result.shape)}")
        elif not result.is_contiguous(memory_format=layout):
            found.append(f"{name} of strides {result.stride()}")
        elif not torch.equal(bits_of(result), bits_of(expected)):
            found.append(f"{name} other in {int((bits_of(result) != bits_of(expected)).sum())} places")

    if not pooling_triton.available(x):
        return ["not available"]
    size, layout = (x.shape[-2], x.shape[-1]), layout_of(x)
    pooled, codes = pooling_plain.pool(x)
    for name, result, expected in zip(("values", "codes"), pooling_triton.pool(x), (pooled, codes), strict=True):
        compare(f"pool: {name}", result, expected, layout)
    wild = torch.randint_like(codes, 5)  # that name cells outside the maps too, or with 4 none
    values = noise(tuple(codes.shape), x.dtype, x.device.type).contiguous(memory_format=layout)
    other = torch.contiguous_format if layout is torch.channels_last else torch.channels_last
    for name, some, there in (("codes", codes, layout), ("wild codes", wild, other)):
        given = some.contiguous(memory_format=there)
        maps = pooling_plain.spread(values, some, size)
        compare(f"spread by {name}: maps", pooling_triton.spread(values, given, size), maps, layout_of(values))
        picked = pooling_plain.pick(x, some)
        compare(f"pick by {name}: values", pooling_triton.pick(x, given), picked, layout)
    return found


def small_maps(device: str = "cpu") -> Iterator[tuple[str, Tensor]]:
    """Of each sort the kernels tell apart; most are no whole number of blocks, the last ones several."""
    sizes = ((1, 1), (1, 5), (4, 6), (5, 7))
    shapes = [(*counts, *size) for counts in ((1, 1), (2, 3), (1, 64)) for size in sizes]
    shapes += [(1, 2, 23, 30), (2, 3, 23, 30), (1, 64, 9, 12)]
    for dtype, (name, layout), shape in itertools.product(SPECIAL, LAYOUTS.items(), shapes):
        yield f"{dtype} {name} {shape}", noise(shape, dtype, device).contiguous(memory_format=layout)
    for dtype in SPECIAL:
        yield f"{dtype} transposed", noise((2, 3, 6, 4), dtype, device).transpose(2, 3)
        yield f"{dtype} every other channel", noise((2, 6, 4, 6), dtype, device)[:, ::2]
        yield f"{dtype} not aligned", noise((1, 1, 1, 145), dtype, device).flatten()[1:].view(2, 3, 4, 6)
        yield f"{dtype} empty", noise((0, 3, 4, 6), dtype, device)
        yield f"{dtype} all NaN", torch.full((1, 3, 4, 6), float("nan"), dtype=dtype, device=device)
        yield f"{dtype} all -inf", torch.full((1, 3, 5, 7), float("-inf"), dtype=dtype, device=device)


def interpreted() -> list[str]:
    """Differences in Triton's interpreter, on the CPU."""
    from architectures.pooling import triton as pooling_triton

    torch.set_num_threads(1)  # for maps this small
    torch.manual_seed(0)
    found = [f"{name}: {difference}" for name, x in small_maps() for difference in differences(x)]
    pooling_triton.NARROW = 0
    for name, layout in LAYOUTS.items():
        x = noise((2, 3, 5, 6), torch.float32).contiguous(memory_format=layout)
        found += [f"64-bit positions, {name}: {difference}" for difference in differences(x)]
    return found


def compiled() -> list[str]:
    """What is wrong with the code that a device of compute capability 9.0 would be given. Needs no device."""
    try:
        from triton.backends import backends  # type: ignore[import-untyped]
        from triton.backends.compiler import GPUTarget  # type: ignore[import-untyped]
        from triton.runtime import driver  # type: ignore[import-untyped]
    except ImportError as error:
        skip(f"this Triton compiles otherwise: {error}")
    if "nvidia" not in backends:
        skip("this Triton does not compile for CUDA")

    from architectures.pooling import triton as pooling_triton

    driver.set_active(
        SimpleNamespace(
            get_current_device=lambda: 0,
            get_current_stream=lambda device: 0,
            get_current_target=lambda: GPUTarget("cuda", 90, 32),
        )
    )
    texts: list[str] = []

    class Compiling:
        """In place of a kernel: compiles what would be launched."""

        def __init__(self, kernel: Any) -> None:
            self.kernel = kernel

        def __getitem__(self, grid: tuple[int]) -> Any:
            def launch(*arguments: Any, **constants: Any) -> None:
                texts.append(self.kernel.run(*arguments, grid=grid, warmup=True, **constants).asm["ptx"])

            return launch

    for name in ("_pool_kernel", "_spread_kernel", "_pick_kernel"):
        setattr(pooling_triton, name, Compiling(getattr(pooling_triton, name)))
    found: list[str] = []
    shapes, limit = [(2, 16, 4, 6), (2, 16, 5, 7)], pooling_triton.NARROW
    cases = list(itertools.product(SPECIAL, LAYOUTS.items(), shapes, [limit]))
    cases += itertools.product([torch.float32], LAYOUTS.items(), [(2, 16, 5, 7)], [0])  # 64-bit positions
    cases += itertools.product([torch.float32], LAYOUTS.items(), [(2, 3, 4, 6)], [limit])
    for dtype, (name, layout), shape, pooling_triton.NARROW in cases:
        texts.clear()
        x = torch.zeros(shape, dtype=dtype).contiguous(memory_format=layout)
        values, codes = pooling_triton.pool(x)
        pooling_triton.spread(values, codes, (x.shape[-2], x.shape[-1]))
        pooling_triton.pick(x, codes)
        assert len(texts) == 3
        case = f"{dtype} {name} {shape}"
        if any(".ftz" in text for text in texts):
            found.append(f"{case}: subnormal numbers are flushed")
        if any("bar.sync" in text for text in texts):
            found.append(f"{case}: threads exchange values")
        wide = [re.search(r"global\.(v4\.b32|v2\.b64)", text) is not None for text in texts]
        if layout is torch.channels_last and shape[1] == 16 and not all(wide):
            found.append(f"{case}: not accessed 16 bytes at a time")
        if layout is torch.contiguous_format and any(wide):
            found.append(f"{case}: neighboring lanes do not take neighboring windows")
    return found


def skip(reason: str) -> NoReturn:
    print(reason)
    sys.exit(SKIPPED)


def in_another_process(what: str, cache: Path, **environment: str) -> None:
    if importlib.util.find_spec("triton") is None:
        pytest.skip("needs Triton")
    inherited = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    paths = {"PYTHONPATH": str(ROOT), "TRITON_CACHE_DIR": str(cache)}
    command = [sys.executable, __file__, what]
    done = subprocess.run(command, env=inherited | paths | environment, capture_output=True, text=True)
    if done.returncode == SKIPPED:
        pytest.skip(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_interpreted_kernels_do_as_plain_torch(tmp_path: Path) -> None:
    in_another_process("interpreted", tmp_path, TRITON_INTERPRET="1")


@pytest.mark.slow
def test_kernels_compile(tmp_path: Path) -> None:
    in_another_process("compiled", tmp_path)


def test_available_where_triton_and_its_device_are(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    from architectures.pooling import triton as pooling_triton

    def imported_anew() -> Any:
        spec = importlib.util.spec_from_file_location("pooling_of_this_test", pooling_triton.__file__)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    on_device: Any = SimpleNamespace(dtype=torch.float32, is_cuda=True, device=torch.device("cuda"))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "triton", None)  # so that importing it fails
        assert not imported_anew().available(on_device)
    module = imported_anew()
    for capability, expected in (((6, 1), False), ((7, 0), True), ((9, 0), True)):
        monkeypatch.setattr("torch.cuda.get_device_capability", lambda device, found=capability: found)
        assert module.available(on_device) is expected, capability
    assert not module.available(torch.zeros(1, 1, 2, 2))


needs_device = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.gpu
@needs_device
def test_kernels_do_as_plain_torch_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    from architectures.pooling import triton as pooling_triton

    torch.manual_seed(0)
    cases = list(small_maps("cuda"))
    found = [f"{name}: {difference}" for name, x in cases for difference in differences(x)]
    monkeypatch.setattr(pooling_triton, "NARROW", 0)
    found += [f"64-bit positions, {name}: {difference}" for name, x in cases for difference in differences(x)]
    assert not found, "\n".join(found)


@pytest.mark.gpu
@needs_device
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("size", [(360, 480), (361, 483)], ids=str)
def test_segnets_pools_on_a_device(size: tuple[int, int], dtype: torch.dtype, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    height, width = size
    for channels in (64, 128, 256, 512, 512):
        x = noise((2, channels, height, width), dtype, "cuda").contiguous(memory_format=layout)
        assert differences(x) == [], tuple(x.shape)
        height, width = -(-height // 2), -(-width // 2)


@pytest.mark.gpu
@needs_device
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_more_values_than_32_bits_count(layout: torch.memory_format) -> None:
    from architectures.pooling import triton as pooling_triton

    shape = (136, 64, 500, 500)  # 2.2e9
    if torch.cuda.mem_get_info()[0] < 16 * 2**30:
        pytest.skip("needs 16 GiB of the device's memory")
    x = torch.empty(shape, dtype=torch.bfloat16, device="cuda", memory_format=layout)
    x[-1:] = noise((1, *shape[1:]), torch.bfloat16, "cuda")
    values, codes = pooling_triton.pool(x)
    expected, expected_codes = pooling_plain.pool(x[-1:])
    assert torch.equal(bits_of(values[-1:]), bits_of(expected))
    assert torch.equal(codes[-1:], expected_codes)
    assert torch.equal(bits_of(pooling_triton.pick(x, codes)[-1:]), bits_of(expected))
    del x
    maps = pooling_triton.spread(values, codes, (500, 500))
    assert torch.equal(bits_of(maps[-1:]), bits_of(pooling_plain.spread(expected, expected_codes, (500, 500))))


if __name__ == "__main__":
    wrong = {"interpreted": interpreted, "compiled": compiled}[sys.argv[1]]()
    print(*wrong, sep="\n")
    sys.exit(len(wrong) > 0)
