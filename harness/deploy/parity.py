"""What a model computes in another place beside what torch computes: logits, labels, and mIoU on val."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

import architectures
import datasets
from architectures.base import Architecture
from harness.data.split import DeviceDataset, open_trained
from harness.deploy import runtimes
from harness.deploy.runtimes import Arrays, Call
from harness.deploy.weights import SEED, ModelConfig, Source
from harness.metrics import scores
from harness.system.quantities import Frozen, Quantity
from harness.training.evaluator import evaluate

COMPARED_IMAGES = 8
_OTHER = (13, 22)  # pixels by which the second size of a dynamic export is larger: one odd, one even
OnImages = Callable[[int], None]
Pairs = list[tuple[NDArray[Any], NDArray[Any]]]


class Parity(Frozen):
    """How an exported file's logits lie to torch's own in float32, on the same images."""

    images: int
    sizes: tuple[tuple[int, int], ...] = Field(description="(height, width) that were compared")
    of: str = Field(description="what the images were")
    largest_difference: float = Field(description="of logits")
    logits_deviation: float = Field(description="standard deviation of torch's logits, to read the difference by")
    equal_labels: float = Field(description="share of pixels with the same largest logit")
    miou_before: Quantity = Field(description="torch's on val, percent")
    miou_after: Quantity = Field(description="the file's on val, percent")


@dataclass(frozen=True, kw_only=True)
class Val:
    """The val split that mIoU is taken on, and torch's own on it in percent; none, with the reason why."""

    data: DeviceDataset | None = None
    before: float | None = None
    why_not: str = ""


def val_of(
    source: Source, model: Architecture, data_root: str | None, work: Path, on_images: OnImages = lambda images: None
) -> Val:
    """The val split that a model was trained beside, scored by torch, or why there is none.

    Raises:
        UserError: another content than the model's; datasets.DatasetError: it can't be read.
    """
    if why := why_no_val(source, data_root):
        return Val(why_not=why)
    data = split_of(source, "val", data_root, work)
    return Val(data=data, before=miou(runtimes.torch_call(model), source.config, data, on_images))


def why_no_val(source: Source, data_root: str | None) -> str:
    """Why a model can't be scored; empty where it can."""
    if not source.config.run_id:
        return "the weights are drawn, not trained"
    return "" if data_root is not None or _is_drawn(source.config.dataset) else "no --data-root"


def _is_drawn(dataset: str) -> bool:
    """Whether it is read without a root; own data and plugins are not even described without one."""
    try:
        return datasets.info(dataset).synthetic
    except datasets.DatasetError:
        return False


def split_of(source: Source, split: str, data_root: str | None, work: Path) -> DeviceDataset:
    """A split of the data that a model was trained on, as the model takes it.

    Raises:
        UserError: another content than the model's; datasets.DatasetError: it can't be read.
    """
    config = source.config
    dataset = open_trained(config.dataset, split, data_root, config.dataset_sha256, source.name)
    return DeviceDataset(dataset, config.as_protocol(), work / "cache", torch.device("cpu"))


def parity(
    source: Source, model: Architecture, call: Call, dynamic: bool, val: Val, on_images: OnImages = lambda images: None
) -> Parity:
    """Compare a file's logits with the model's: on images of val where there are, else on noise.

    A dynamic one is compared on noise of a second size too.
    """
    size = source.config.image_size
    sizes = [size, (size[0] + _OTHER[0], size[1] + _OTHER[1])] if dynamic else [size]
    images = [sample_images(source.config, val.data), *(noise(1, other) for other in sizes[1:])]
    reference = runtimes.torch_call(model)
    pairs = [(reference(one)[0], call(one)[0]) for batch in images for one in np.split(batch, len(batch))]
    if val.data is None:
        before = after = Quantity(reason=val.why_not)
    else:
        before = Quantity(value=val.before)
        after = Quantity(value=miou(call, source.config, val.data, on_images))
    return Parity(
        images=len(pairs),
        sizes=tuple(sizes),
        of="val" if val.data is not None else "noise",
        largest_difference=largest_difference(pairs),
        logits_deviation=float(np.concatenate([ours.ravel() for ours, _ in pairs]).std()),
        equal_labels=equal_labels(pairs),
        miou_before=before,
        miou_after=after,
    )


def sample_images(config: ModelConfig, data: DeviceDataset | None, count: int = COMPARED_IMAGES) -> Arrays:
    """A few images as the model takes them, (N, 3, H, W): of the split, evenly spread, or two of noise."""
    if data is None:
        return noise(2, config.image_size)
    chosen = np.unique(np.linspace(0, len(data) - 1, count).round().astype(np.int64))
    found: Arrays = data.images(chosen).numpy()
    return found


def noise(count: int, size: tuple[int, int]) -> Arrays:
    """Standard normal noise (N, 3, H, W), always the same."""
    return np.random.default_rng(SEED).standard_normal((count, 3, *size)).astype(np.float32)


def largest_difference(pairs: Pairs) -> float:
    """Between the values of arrays of like shapes."""
    return max(float(np.abs(one - other).max()) for one, other in pairs)


def equal_labels(pairs: Pairs) -> float:
    """Share of pixels with the same largest logit, of logits (1, K, H, W)."""
    return equal_share([(one.argmax(1), other.argmax(1)) for one, other in pairs])


def equal_share(pairs: Pairs) -> float:
    """Share of equal values of arrays of like shapes."""
    same = sum(int((one == other).sum()) for one, other in pairs)
    return same / sum(one.size for one, _ in pairs)


class _Called(nn.Module):
    """A call as the module that the evaluator takes."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self._call(images.numpy())[0]))


def miou(call: Call, config: ModelConfig, data: DeviceDataset, on_images: OnImages = lambda images: None) -> float:
    """mIoU in percent of a call on a split, scored image by image as the evaluator scores."""
    found = evaluate(
        _Called(call),
        data,
        num_classes=config.num_classes,
        batch=1,
        precision="fp32",
        reach=architectures.info(config.architecture).reach(*data.input_size),
        on_batch=on_images,
    )
    return 100 * scores(found.counts.matrix).miou
