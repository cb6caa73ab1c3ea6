"""Logits that reach over their image: cells of a stride that does not divide its size."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import architectures
import datasets
from architectures.architecture_info import WHOLE, Reach
from datasets.cache import nearest_exact_indices
from harness.config.planning import logits_reach, plan
from harness.config.request import RunRequest
from harness.config.run_spec import refined
from harness.data.augmentation import window_of_labels
from harness.data.split import DeviceDataset
from harness.deploy.predict import Predictor
from harness.deploy.weights import drawn
from harness.postprocess.crf.logits import StoredLogits
from harness.postprocess.crf.scoring import CrfData, Refiner
from harness.training import trainer
from harness.training.distributed import SINGLE_PROCESS
from harness.training.evaluator import enlarge, evaluate, label_maps
from tests.harness.helpers import tiny_protocol
from tests.harness.pair import started

DEEPLAB = architectures.info("deeplab-largefov")  # stride 8
OVER: Reach = (Fraction(184, 180), Fraction(1))


def test_how_far_logits_reach() -> None:
    assert DEEPLAB.reach(180, 240) == OVER
    assert DEEPLAB.reach(360, 480) == WHOLE
    assert DEEPLAB.reach(33, 31) == (Fraction(40, 33), Fraction(32, 31))
    assert architectures.info("segnet").reach(33, 31) == WHOLE


def test_labels_are_taken_where_the_cells_lie() -> None:
    # 23 cells of 8 input pixels are 16 label pixels each; the last one's center is the edge itself
    rows = nearest_exact_indices(360, 23, OVER[0])
    assert rows.tolist() == [*range(8, 360, 16), 359]
    pressed = nearest_exact_indices(360, 23)
    assert pressed[0] == 7 and pressed[-1] == 352
    label = torch.arange(240, dtype=torch.uint8)[:, None].expand(240, 8)[None]
    whole = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    found = window_of_labels(label, whole, (16, 8), (Fraction(16, 15), Fraction(1)))[0, :, 0]
    assert found.tolist() == [*range(8, 240, 16), 255]  # nothing is known beyond a window


def test_logits_are_enlarged_where_the_cells_lie() -> None:
    centers = 8 * (torch.arange(23) + 0.5)  # in input pixels
    logits = centers.view(1, 1, 23, 1).expand(1, 1, 23, 30)
    full = enlarge(logits, (360, 480), OVER)
    assert full.shape == (1, 1, 360, 480)
    pixels = (torch.arange(360) + 0.5) / 2  # the labels are twice as fine as the input
    assert torch.allclose(full[0, 0, 8:, 0], pixels[8:], atol=1e-4)  # before the first center it is constant
    pressed = nn.functional.interpolate(logits, size=(360, 480), mode="bilinear")
    assert torch.equal(enlarge(logits, (360, 480)), pressed)


class Cells(nn.Module):
    """Logits of colors, in cells of 8 pixels of which the last stand over."""

    info = DEEPLAB

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        means = nn.functional.avg_pool2d(images, 8, ceil_mode=True, count_include_pad=False)
        weight = torch.randn(11, 3, 1, 1, generator=torch.Generator().manual_seed(0))
        return nn.functional.conv2d(means - means.mean((0, 2, 3), keepdim=True), weight)


@pytest.fixture
def network_and_data(drawn_cache: Path) -> tuple[Predictor, DeviceDataset]:
    source = drawn("deeplab-largefov", (36, 44), 11)
    config = source.config.model_copy(update={"precision": "fp32"})
    dataset = datasets.load("roads", "test")
    data = DeviceDataset(dataset, config.as_protocol(), drawn_cache, torch.device("cpu"))
    return Predictor(model=Cells(), config=config, device=data.device, precision="fp32"), data  # type: ignore[arg-type]


def test_all_that_enlarges_does_it_alike(network_and_data: tuple[Predictor, DeviceDataset], tmp_path: Path) -> None:
    predictor, data = network_and_data
    reach = predictor.model.info.reach(*data.input_size)
    assert reach == (Fraction(40, 36), Fraction(48, 44))
    with torch.inference_mode():
        logits = predictor.model(data.images(np.array([0])))
    expected = label_maps(logits, data.label_size, reach)[0].numpy()  # type: ignore[arg-type]
    pressed = label_maps(logits, data.label_size)[0].numpy()  # type: ignore[arg-type]
    assert not np.array_equal(expected, pressed)
    kept = evaluate(
        predictor.model, data, num_classes=11, batch=1, precision="fp32", keep=[0], reach=reach
    ).predictions[0]
    assert np.array_equal(kept, expected)
    picture = datasets.load("roads", "test")[0][0]
    assert np.array_equal(predictor.labels([picture])[0], expected)
    labels = data.host_labels(np.array([0]))[0][None]

    class Stored(StoredLogits):
        def __getitem__(self, index: int) -> torch.Tensor:
            return logits[0]

    stored = Stored(path=tmp_path, images=1)
    refiner = Refiner(
        CrfData(image_ids=("one",), logits=stored, images=picture[None], labels=labels, reach=reach), 11, data.device
    )
    assert np.array_equal(refiner.energies(0).argmin(1).view(labels.shape[1:]).numpy(), expected)


def test_training_hands_it_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Reach] = []
    whole_targets, whole_evaluate = DeviceDataset.targets, trainer.evaluate

    def targets(self: DeviceDataset, *arguments: Any) -> torch.Tensor:
        seen.append(arguments[4])
        return whole_targets(self, *arguments)

    def scored(*arguments: Any, **named: Any) -> Any:
        seen.append(named["reach"])
        return whole_evaluate(*arguments, **named)

    monkeypatch.setattr(DeviceDataset, "targets", targets)
    monkeypatch.setattr(trainer, "evaluate", scored)
    run = started(tmp_path, SINGLE_PROCESS, "deeplab-largefov", tiny_protocol(size="36x44"))
    run._timed_step()
    run._score("val")
    assert seen == [(Fraction(40, 36), Fraction(48, 44))] * 2


def test_runs_say_so_where_it_makes_a_difference() -> None:
    planned = {one.network: one for one in plan(RunRequest(suite="quick", size="36x44")).specs}
    assert planned["segnet"].logits_reach == ""
    deeplab = planned["deeplab-largefov"]
    assert deeplab.logits_reach == refined(deeplab).logits_reach == "cut"
    earlier = deeplab.model_copy(update={"logits_reach": ""})
    assert earlier.identity() != deeplab.identity()
    assert logits_reach(DEEPLAB, (360, 480)) == ""
