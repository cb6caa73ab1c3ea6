"""Optimizer, loss, batch-norm re-estimation and scoring against independent calculations."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import architectures
from harness.config.protocol import load_protocol
from harness.config.request import RunRequest
from harness.config.worker_job import WorkerJob
from harness.system.errors import UserError
from harness.training.evaluator import kept_indices, label_maps
from harness.training.losses.cross_entropy import masked_cross_entropy
from harness.training.lr_schedulers import learning_rate
from harness.training.model import build_network
from harness.training.optimizers import build_optimizer, set_rate
from harness.training.precise_bn import reestimate, statistics_order
from harness.training.tensorboard import TensorBoardLogger
from tests.harness.helpers import spec, tiny_protocol


def test_fixed_rate_is_fixed_and_the_other_rises_and_falls() -> None:
    fixed = load_protocol("camvid@2")
    assert {learning_rate(fixed, i) for i in (0, 1, 79_999)} == {1e-3}
    cosine = fixed.override({"lr_scheduler": "warmup-cosine", "iterations": "100", "lr": "0.1"})
    rates = [learning_rate(cosine, i) for i in range(100)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[9] == rates[10] == pytest.approx(0.1)
    assert rates[55] == pytest.approx(0.05)
    assert 0 < rates[99] < 1e-4
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_one_step_is_the_solvers_arithmetic() -> None:
    """Two steps of v = m v + g + wd w, w -= lr factor v, per group, against torch's fused optimizer."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    protocol = load_protocol("camvid@2")
    optimizer = build_optimizer(model, protocol)
    groups = {"0.weight": (1.0, 5e-4), "0.bias": (2.0, 0.0), "1.weight": (1.0, 5e-4), "1.bias": (1.0, 0.0)}
    expected = {name: p.detach().double().clone() for name, p in model.named_parameters()}
    velocity = {name: torch.zeros_like(value) for name, value in expected.items()}
    for step in range(2):
        for n, (name, parameter) in enumerate(model.named_parameters()):
            parameter.grad = torch.full_like(parameter, 0.1 * (n + 1) * (step + 1))
            factor, decay = groups[name]
            velocity[name] = 0.9 * velocity[name] + parameter.grad.double() + decay * expected[name]
            expected[name] = expected[name] - 0.01 * factor * velocity[name]
        set_rate(optimizer, 0.01)
        optimizer.step()
    for name, parameter in model.named_parameters():
        found = parameter.detach().double().numpy()
        assert found == pytest.approx(expected[name].numpy(), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("name", architectures.names())
def test_every_trainable_parameter_is_in_exactly_one_group(name: str) -> None:
    with torch.device("meta"):
        model = architectures.build(name, 11, (64, 64))
    optimizer = build_optimizer(model, load_protocol("camvid@2"))
    grouped = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", ["segnet", "fcn8s", "deeplab-largefov"])
def test_a_protocol_sets_the_rate_of_every_dropout(name: str, tmp_path: Path) -> None:
    for protocol, rate in ((tiny_protocol(dropout="0.25"), 0.25), (load_protocol("camvid@2"), 0.5)):
        job = WorkerJob(
            spec=spec(architecture=name, protocol=protocol),
            request=RunRequest(device="cpu", threads=1, results=tmp_path, work=tmp_path),
        )
        with torch.device("meta"), patch.object(nn.Module, "to", lambda module, *to, **how: module):
            network, layers_set = build_network(job, (180, 240))
        assert {module.p for module in network.modules() if isinstance(module, nn.Dropout)} == {rate}
        assert layers_set == ()


def test_dropout_of_whole_channels_is_dropout_too(tmp_path: Path) -> None:
    request = RunRequest(device="cpu", threads=1, results=tmp_path, work=tmp_path)
    own = spec(architecture="smp:FPN/resnet18", protocol=tiny_protocol(dropout="0.25"))
    network, _ = build_network(WorkerJob(spec=own, request=request), (64, 64))
    assert [module.p for module in network.modules() if isinstance(module, nn.Dropout2d)] == [0.25]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_network_lies_channels_last_in_bfloat16(precision: str, tmp_path: Path) -> None:
    job = WorkerJob(
        spec=spec(architecture="segnet-basic", protocol=tiny_protocol(), precision=precision),
        request=RunRequest(device="cpu", threads=1, results=tmp_path, work=tmp_path),
    )
    network, _ = build_network(job, (32, 40))
    found = [p.is_contiguous(memory_format=torch.channels_last) for p in network.parameters() if p.shape[-1] == 7]
    assert found and set(found) == {precision == "bf16"}


def test_batch_norm_shifts_decay_where_the_protocol_says_so() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    for name, decay in (("camvid@2", 0.0), ("decoders@2", 5e-4)):
        groups = build_optimizer(model, load_protocol(name)).param_groups
        [shifts] = [group for group in groups if any(p is model[1].bias for p in group["params"])]
        assert shifts["weight_decay"] == decay
        [biases] = [group for group in groups if any(p is model[0].bias for p in group["params"])]
        assert biases["weight_decay"] == 0.0


def test_loss_is_the_mean_over_labeled_pixels() -> None:
    logits = torch.tensor([[[[2.0, 0.0, 5.0]], [[0.0, 0.0, -5.0]]]])  # (1, 2, 1, 3)
    target = torch.tensor([[[0, 1, 255]]])
    expected = (math.log(1 + math.exp(-2)) + math.log(2)) / 2
    assert float(masked_cross_entropy(logits, target)) == pytest.approx(expected, rel=1e-6)
    assert float(masked_cross_entropy(logits, torch.full((1, 1, 3), 255))) == 0.0


class _Images:
    """Stands in for DeviceDataset: a few fixed images on the CPU."""

    device = torch.device("cpu")

    def __init__(self, images: Tensor) -> None:
        self._images = images

    def images(self, indices: np.ndarray) -> Tensor:
        return self._images[torch.from_numpy(indices)]

    def __len__(self) -> int:
        return len(self._images)

    def in_order(self, batch: int, wrap: bool, order: np.ndarray) -> Iterator[np.ndarray]:
        assert wrap
        for start in range(0, len(self), batch):
            yield order[np.arange(start, start + batch) % len(self)]


def _batches(images: Tensor, batch: int, seed: int = 0) -> list[Tensor]:
    """The batches that statistics are taken over."""
    order = torch.from_numpy(statistics_order(seed, len(images)))
    around = torch.cat([order, order])
    return [images[around[start : start + batch]] for start in range(0, len(images), batch)]


def test_statistics_are_plain_means_of_batch_means_and_biased_variances() -> None:
    torch.manual_seed(0)
    images = torch.randn(5, 3, 4, 4)
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5))
    model.train()
    reestimate(model, _Images(images), 2, "fp32")  # type: ignore[arg-type]
    batches = _batches(images, 2)
    assert [len(batch) for batch in batches] == [2, 2, 2]
    outputs = [model[0](batch).detach() for batch in batches]
    mean = torch.stack([out.mean((0, 2, 3)) for out in outputs]).mean(0)
    variance = torch.stack([out.var((0, 2, 3), unbiased=False) for out in outputs]).mean(0)
    norm = model[1]
    assert isinstance(norm, nn.BatchNorm2d)
    assert torch.allclose(norm.running_mean, mean, atol=1e-6)  # type: ignore[arg-type]
    assert torch.allclose(norm.running_var, variance, atol=1e-6)  # type: ignore[arg-type]
    assert norm.momentum == 0.1
    assert norm.num_batches_tracked == 0
    assert not any(module.training for module in model.modules())


def test_statistics_are_taken_in_one_random_order_of_the_protocols_seed() -> None:
    order = statistics_order(0, 367)
    assert sorted(order.tolist()) == list(range(367))
    assert np.array_equal(order, statistics_order(0, 367))
    assert not np.array_equal(order, statistics_order(1, 367))
    assert np.abs(np.diff(order)).mean() > 50  # neighboring frames are not in one batch


class _Frozen(nn.Sequential):
    """Keeps its norms in evaluation mode while it trains, as fine-tuning with few images does."""

    def train(self, mode: bool = True) -> "_Frozen":
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


class _Twice(nn.Module):
    """One norm over the image and over its double."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.unused = nn.BatchNorm2d(3)

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.norm(images), self.norm(2 * images + 1)])


def test_frozen_norms_and_those_without_statistics_stay_as_they_are() -> None:
    images = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    frozen = nn.BatchNorm2d(3)
    assert frozen.running_mean is not None
    frozen.running_mean.fill_(7.0)
    free = nn.BatchNorm2d(3, track_running_stats=False)
    model = nn.Sequential(_Frozen(frozen), free, nn.BatchNorm2d(3))
    reestimate(model, _Images(images), 2, "fp32")  # type: ignore[arg-type]
    assert frozen.running_mean.tolist() == [7.0] * 3
    assert free.running_mean is None
    assert not torch.equal(model[2].running_mean, torch.zeros(3))  # type: ignore[arg-type]


def test_a_norm_that_is_called_twice_gets_the_mean_over_its_calls() -> None:
    images = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    model = _Twice()
    reestimate(model, _Images(images), 2, "fp32")  # type: ignore[arg-type]
    calls = [call for batch in _batches(images, 2) for call in (batch, 2 * batch + 1)]
    mean = torch.stack([call.mean((0, 2, 3)) for call in calls]).mean(0)
    variance = torch.stack([call.var((0, 2, 3), unbiased=False) for call in calls]).mean(0)
    assert torch.allclose(model.norm.running_mean, mean, atol=1e-6)  # type: ignore[arg-type]
    assert torch.allclose(model.norm.running_var, variance, atol=1e-6)  # type: ignore[arg-type]
    assert torch.equal(model.unused.running_var, torch.ones(3))  # type: ignore[arg-type]


def test_reestimation_draws_no_random_numbers() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5))
    before = torch.get_rng_state()
    reestimate(model, _Images(torch.randn(4, 3, 2, 2, generator=torch.Generator())), 2, "fp32")  # type: ignore[arg-type]
    assert torch.equal(before, torch.get_rng_state())


def test_logits_are_upsampled_before_the_choice() -> None:
    logits = torch.randn(1, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    maps = label_maps(logits, (8, 10))
    wanted = F.interpolate(logits, size=(8, 10), mode="bilinear", align_corners=False).argmax(1)
    assert maps.dtype == torch.uint8
    assert torch.equal(maps.long(), wanted)
    assert not torch.equal(maps, label_maps(logits, (4, 5)).repeat_interleave(2, 1).repeat_interleave(2, 2))


@pytest.mark.parametrize(("images", "kept"), [(233, {38, 116, 194}), (60, {10, 30, 50}), (1, {0})])
def test_kept_pictures_are_spread(images: int, kept: set[int]) -> None:
    assert kept_indices(images) == kept


def test_tensorboard_without_its_package_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match=r'tensorboard is not installed; `pip install -e "\.\[tensorboard\]"`'):
        TensorBoardLogger(tmp_path)
