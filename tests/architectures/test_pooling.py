"""2x2 max-pooling with indices, its inverse, and how the indices are stored."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

import architectures
from architectures.pooling import STORAGES, Storage, max_pool, max_unpool, pack, set_storage, unpack
from architectures.pooling import cpu as pooling_cpu
from architectures.pooling import plain as pooling_plain
from tests.architectures.networks import Pair

CODES: tuple[Storage, ...] = ("uint8", "2bit")
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
LAYOUTS = (torch.contiguous_format, torch.channels_last)
_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
# What SegNet pools at 360 x 480 and at an odd size: maps, height, width.
SEGNET_POOLS = [
    (64, 360, 480),
    (128, 180, 240),
    (256, 90, 120),
    (512, 45, 60),
    (512, 23, 30),
    (64, 361, 483),
    (128, 181, 242),
    (256, 91, 121),
    (512, 46, 61),
    (512, 23, 31),
]


def same_bits(ours: Tensor, theirs: Tensor) -> bool:
    """Equal to the last bit, signed zeros too; any NaN for any NaN, as torch itself keeps no payload."""
    bits = _BITS[ours.element_size()]
    if torch.equal(ours.view(bits), theirs.view(bits)):
        return True
    if ours.shape != theirs.shape or not torch.equal(ours.isnan(), theirs.isnan()):
        return False
    clean = [torch.where(given.isnan(), torch.zeros_like(given), given).contiguous() for given in (ours, theirs)]
    return torch.equal(clean[0].view(bits), clean[1].view(bits))


def same_layout(ours: Tensor, theirs: Tensor) -> bool:
    return all(
        ours.is_contiguous(memory_format=layout) == theirs.is_contiguous(memory_format=layout) for layout in LAYOUTS
    )


def there_and_back(x: Tensor, storage: Storage | None, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pooled values, unpooled maps and the gradient of x; without a storage by torch's own pair."""
    x = x.detach().clone().requires_grad_()  # keeps its layout
    size = (x.shape[2], x.shape[3])
    if storage is None:
        values, indices = functional.max_pool2d_with_indices(x, 2, 2, ceil_mode=True)
        maps = functional.max_unpool2d(values, indices, 2, 2, output_size=list(size))
    else:
        values, indices = max_pool(x, storage)
        maps = max_unpool(values, indices, size)
    torch.autograd.backward(maps, gradient)
    assert x.grad is not None
    return values.detach(), maps.detach(), x.grad


def assert_as_torch(x: Tensor, gradient: Tensor) -> None:
    expected = there_and_back(x, None, gradient)
    for storage in STORAGES:
        for ours, theirs in zip(there_and_back(x, storage, gradient), expected, strict=True):
            assert same_bits(ours, theirs), storage


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Maps full of ties, with NaN, infinities and signed zeros at times; and a gradient for them."""
    shape = [draw(st.integers(1, top)) for top in (3, 9, 13, 13)]
    seed = draw(st.integers(0, 2**31 - 1))
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(-1, 3, shape, generator=generator).to(draw(st.sampled_from(DTYPES)))
    gradient = torch.randint(-2, 3, shape, generator=generator).to(x.dtype)
    for special in draw(st.sets(st.sampled_from([float("nan"), float("-inf"), float("inf"), -0.0]))):
        share = draw(st.sampled_from([0.1, 0.5, 0.9]))
        x[torch.rand(shape, generator=generator) < share] = special
    gradient[torch.rand(shape, generator=generator) < 0.2] = -0.0
    layout = draw(st.sampled_from(LAYOUTS))
    return x.contiguous(memory_format=layout), gradient.contiguous(memory_format=layout)


@given(batches())
@settings(max_examples=150, deadline=None)
def test_values_maps_and_gradients_are_torch_s_to_the_bit(batch: tuple[Tensor, Tensor]) -> None:
    assert_as_torch(*batch)


@given(batches())
@settings(max_examples=100, deadline=None)
def test_the_cpu_path_is_the_plain_one(batch: tuple[Tensor, Tensor]) -> None:
    x, maps = batch
    size = (x.shape[2], x.shape[3])
    for ours, plain in zip(pooling_cpu.pool(x), pooling_plain.pool(x), strict=True):
        assert same_bits(ours, plain) if ours.is_floating_point() else torch.equal(ours, plain)
    values, codes = pooling_plain.pool(x)
    assert same_bits(pooling_cpu.spread(values, codes, size), pooling_plain.spread(values, codes, size))
    assert same_bits(pooling_cpu.pick(maps, codes), pooling_plain.pick(maps, codes))


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """So that even small maps are worked on in several pieces."""
    monkeypatch.setattr(pooling_cpu, "PIECE", 7)
    yield


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(1, 1), (4, 6), (5, 7), (23, 30)])
def test_pieces_join_without_a_seam(size: tuple[int, int], layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = torch.randint(0, 3, (3, 5, *size)).float().contiguous(memory_format=layout)
    assert_as_torch(x, torch.randn(x.shape).contiguous(memory_format=layout))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("pool", SEGNET_POOLS, ids=str)
def test_the_pools_of_segnet(pool: tuple[int, int, int], dtype: torch.dtype, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    maps, height, width = pool
    # an eighth of the maps are several pieces as well
    x = torch.randn(1, maps // 8, height, width).relu().to(dtype).contiguous(memory_format=layout)
    assert_as_torch(x, torch.randn(x.shape).to(dtype).contiguous(memory_format=layout))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("pool", SEGNET_POOLS, ids=str)
def test_the_pools_of_segnet_on_a_gpu(
    pool: tuple[int, int, int], dtype: torch.dtype, layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, *pool, device="cuda").relu().to(dtype).contiguous(memory_format=layout)
    assert_as_torch(x, torch.randn(x.shape, device="cuda").to(dtype).contiguous(memory_format=layout))


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_lie_in_memory_as_what_was_given(layout: torch.memory_format, storage: Storage) -> None:
    x = torch.randn(2, 8, 7, 10).contiguous(memory_format=layout)
    for found in there_and_back(x, storage, torch.randn_like(x)):
        assert same_layout(found, x)


def test_a_strided_view_is_pooled_as_its_copy() -> None:
    x = torch.randn(2, 4, 9, 20)[:, ::2, 1:, ::2]
    for storage in STORAGES:
        for ours, copied in zip(max_pool(x, storage), max_pool(x.contiguous(), storage), strict=True):
            assert torch.equal(ours, copied)


def test_a_gradient_may_lie_otherwise_than_the_maps() -> None:
    x = torch.randn(2, 8, 6, 6)
    gradient = torch.randn(2, 8, 6, 6)
    for storage in CODES:
        one = there_and_back(x, storage, gradient)
        other = there_and_back(x, storage, gradient.contiguous(memory_format=torch.channels_last))
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("storage", STORAGES)
def test_the_first_of_equal_values_is_taken(storage: Storage) -> None:
    values, indices = max_pool(torch.zeros(1, 1, 3, 3), storage)
    assert indices.flatten().tolist() == ([0, 2, 6, 8] if storage == "int64" else [0, 0, 0, 0])
    assert not values.any()


def test_codes_count_the_cells_of_a_window() -> None:
    x = torch.zeros(1, 4, 2, 2)
    for cell in range(4):
        x[0, cell, cell // 2, cell % 2] = 1.0
    assert max_pool(x)[1].flatten().tolist() == [0, 1, 2, 3]
    assert max_pool(x, "2bit")[1].flatten().tolist() == [0 | 1 << 2 | 2 << 4 | 3 << 6]


def test_bytes_of_the_indices() -> None:
    x = torch.zeros(2, 64, 18, 24)
    kept = {storage: max_pool(x, storage)[1].nbytes for storage in STORAGES}
    pooled = 2 * 64 * 9 * 12
    assert kept == {"int64": 8 * pooled, "uint8": pooled, "2bit": pooled // 4}


@given(st.integers(1, 3), st.integers(1, 18), st.integers(1, 4), st.integers(1, 4), st.sampled_from(LAYOUTS))
@settings(max_examples=100, deadline=None)
def test_packing_loses_nothing(n: int, channels: int, h: int, w: int, layout: torch.memory_format) -> None:
    codes = torch.randint(0, 4, (n, channels, h, w)).to(torch.uint8).contiguous(memory_format=layout)
    packed = pack(codes)
    assert packed.shape == (n, -(-channels // 4), h, w) and packed.dtype == torch.uint8
    assert torch.equal(unpack(packed, channels), codes)


@pytest.mark.parametrize("storage", CODES)
def test_backward_keeps_the_codes_alone(storage: Storage) -> None:
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    x = torch.randn(1, 8, 6, 6, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        values, indices = max_pool(x, storage)
        max_unpool(values, indices, (6, 6))
    assert kept
    assert {tensor.untyped_storage().data_ptr() for tensor in kept} == {indices.untyped_storage().data_ptr()}
    assert not indices.requires_grad


@pytest.mark.parametrize("storage", CODES)
def test_gradients_of_gradients(storage: Storage) -> None:
    def pair(x: Tensor) -> Tensor:
        values, indices = max_pool(x, storage)
        return max_unpool(values**2, indices, (5, 3))

    x = torch.randperm(30).double().reshape(1, 2, 5, 3).requires_grad_()
    assert torch.autograd.gradcheck(pair, x)
    assert torch.autograd.gradgradcheck(pair, x)


def test_deterministic_mode_is_no_obstacle_to_codes() -> None:
    x = torch.randn(1, 4, 5, 6)
    torch.use_deterministic_algorithms(True)
    try:
        for storage in CODES:
            there_and_back(x, storage, torch.ones_like(x))
        with pytest.raises(RuntimeError, match="deterministic"):
            there_and_back(x, "int64", torch.ones_like(x))
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("storage", STORAGES)
def test_compiled_it_is_the_same(storage: Storage) -> None:
    module = Pair(storage)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    x = torch.randint(0, 3, (2, 6, 23, 31)).float()
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    weights = torch.randn_like(x)
    for module_, images in ((compiled, ours), (module, theirs)):
        torch.autograd.backward(module_(images)[1], weights)
    assert ours.grad is not None and theirs.grad is not None
    assert same_bits(ours.grad, theirs.grad)
    assert all(torch.equal(a, b) for a, b in zip(compiled(x), module(x), strict=True))


@pytest.mark.slow
def test_compiled_by_inductor_it_is_the_same() -> None:
    """With the storage that has the most operators."""
    compiled = torch.compile(Pair("2bit"), fullgraph=True)
    x = torch.randint(0, 3, (2, 6, 23, 31)).float()
    assert all(torch.equal(a, b) for a, b in zip(compiled(x), Pair("2bit")(x), strict=True))


@pytest.mark.parametrize("storage", STORAGES)
def test_exported_it_is_the_same(storage: Storage) -> None:
    x = torch.randint(0, 3, (2, 6, 23, 31)).float()
    program = torch.export.export(Pair(storage), (x,))
    assert all(torch.equal(a, b) for a, b in zip(program.module()(x), Pair(storage)(x), strict=True))


@pytest.mark.parametrize("storage", STORAGES)
def test_shapes_that_do_not_go_together_are_refused(storage: Storage) -> None:
    values, indices = max_pool(torch.randn(1, 4, 6, 6), storage)
    with pytest.raises(ValueError, match=r"maps of \(8, 6\) pool to \(4, 3\)"):
        max_unpool(values, indices, (8, 6))
    if storage != "int64":
        with pytest.raises(ValueError, match="does not go with values"):
            max_unpool(values, indices[:, :, :2], (6, 6))
        with pytest.raises(ValueError, match="does not go with values"):
            max_unpool(values, indices.int(), (6, 6))


def test_an_unknown_storage_is_refused() -> None:
    with pytest.raises(ValueError, match="'4bit'; allowed are int64, uint8, 2bit"):
        max_pool(torch.randn(1, 4, 6, 6), "4bit")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["segnet", "deconvnet", "segnet-basic", "segnet-basic-encoder-addition"])
def test_storage_changes_no_logit(name: str) -> None:
    torch.manual_seed(0)
    network = architectures.build(name, 3, (37, 45)).eval()
    images = torch.randn(1, 3, 37, 45)
    logits = []
    with torch.no_grad():
        for storage in STORAGES:
            set_storage(network, storage)
            logits.append(network(images))
            kept = network.kept_for_decoder(images)[0][0]
            assert kept.dtype == (torch.int64 if storage == "int64" else torch.uint8)
    assert torch.equal(logits[0], logits[1]) and torch.equal(logits[0], logits[2])
