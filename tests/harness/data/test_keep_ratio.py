"""Images of another shape than the input's, padded instead of stretched: the input, targets, scores and predictions."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from torch import Tensor, nn

import architectures
import datasets
from architectures.architecture_info import WHOLE
from datasets.cache import open_split, padded_size, reduce_area
from harness.cli.data import suite_on
from harness.config.planning import plan
from harness.config.protocol import load_protocol
from harness.config.request import RunRequest
from harness.config.worker_job import WorkerJob
from harness.data.augmentation import Augmented, window_of_labels
from harness.data.preprocessing import padded_reach
from harness.data.split import DeviceDataset
from harness.deploy.predict import Predictor
from harness.deploy.weights import ModelConfig, drawn
from harness.metrics import confusion_matrix
from harness.training.evaluator import evaluate
from harness.training.progress import RunProgress
from harness.training.trainer import Trainer
from tests.datasets.own_files import save

# Of the shape of the input; half as wide; half as high.
SIZES = ((16, 24), (16, 12), (8, 24))
PROTOCOL = load_protocol("own@1").override({"size": "8x12", "keep_ratio": "true"})
CPU = torch.device("cpu")
GREY = (124, 117, 104)  # of the protocol's mean
COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)


class Colors(nn.Module):
    """Logits (B, 3, h, w) that are the image's channels."""

    info = architectures.info("segnet")

    def forward(self, images: Tensor) -> Tensor:
        return images


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images whose colors are their labels, in squares of 4 x 4."""
    folder = tmp_path_factory.mktemp("own") / "blocks"
    for number in range(12):
        height, width = SIZES[number % 3]
        small = np.random.default_rng(number).integers(0, 3, (height // 4, width // 4), dtype=np.uint8)
        label = small.repeat(4, axis=0).repeat(4, axis=1)
        save(folder / "images" / f"p{number:02d}.png", COLORS[label])
        save(folder / "masks" / f"p{number:02d}.png", label)
    return folder


@pytest.fixture
def data(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeviceDataset:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return DeviceDataset(datasets.load(f"folder:{folder}", "train"), PROTOCOL, tmp_path / "cache", CPU)


def surrounded(image: np.ndarray, size: tuple[int, int], value: object) -> np.ndarray:
    """The image or label with `value` below and on the right."""
    canvas = np.full((*size, *image.shape[2:]), value, np.uint8)
    canvas[: image.shape[0], : image.shape[1]] = image
    return canvas


def test_the_size_around_an_image() -> None:
    assert padded_size((480, 640), (180, 240)) == (480, 640)
    assert padded_size((640, 480), (180, 240)) == (640, 854)  # 853.3
    assert padded_size((100, 400), (180, 240)) == (300, 400)
    assert padded_size((361, 480), (360, 480)) == (361, 482)


@settings(deadline=None, max_examples=60)
@given(*[st.integers(1, 12)] * 4, st.integers(0, 1000))
def test_an_image_is_reduced_as_if_it_were_surrounded(
    height: int, width: int, rows: int, columns: int, seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    size = padded_size((height, width), (rows, columns))
    expected = reduce_area(surrounded(image, size, GREY), (rows, columns))
    assert np.array_equal(reduce_area(image, (rows, columns), GREY), expected)


def test_a_large_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    small = [reduce_area(image, size, GREY) for size in ((7, 30), (37, 5))]
    monkeypatch.setattr("datasets.cache._LARGE", 1)
    assert all(np.array_equal(reduce_area(image, one.shape[:2], GREY), one) for one in small)


def test_the_input_is_padded_with_what_becomes_nearly_0(data: DeviceDataset, folder: Path, tmp_path: Path) -> None:
    dataset = datasets.load(f"folder:{folder}", "train")
    for index, (image, _) in enumerate(dataset):
        full = image.shape[:2]
        images = data.images(np.array([index]))[0]
        rows, columns = {(16, 24): (8, 12), (16, 12): (8, 6), (8, 24): (4, 12)}[full]
        inside, outside = images[:, :rows, :columns], torch.ones(8, 12, dtype=torch.bool)
        outside[:rows, :columns] = False
        assert inside.abs().min() > 1 and (images[:, outside].abs() < 0.02).all()
    stretched = open_split(dataset, (8, 12), tmp_path / "cache")
    assert not all(np.array_equal(stretched.images[n], data._images[n]) for n in range(len(dataset)))


def test_targets_are_void_beside_the_image(data: DeviceDataset) -> None:
    indices, mirrored = np.arange(len(data)), torch.arange(len(data)) % 2 == 0
    found = data.targets(indices, (4, 6), mirrored)
    for place, label in enumerate(data.host_labels(indices)):
        full = surrounded(label, padded_size(label.shape, (8, 12)), 255)  # type: ignore[arg-type]
        full = full[:, ::-1] if mirrored[place] else full
        height, width = full.shape
        by_hand = [[full[(2 * r + 1) * height // 8, (2 * c + 1) * width // 12] for c in range(6)] for r in range(4)]
        assert found[place].tolist() == by_hand
    assert (found == 255).any() and not (found == 255).all(dim=(1, 2)).any()


def test_windows_are_of_the_padded_image(data: DeviceDataset) -> None:
    windows = torch.tensor([[0.25, 0.5, 0.5]] * len(data), dtype=torch.float64)
    indices = np.arange(len(data))
    found = data.targets(indices, (4, 6), None, Augmented(windows=windows, colors=None))
    for place, label in enumerate(data.host_labels(indices)):
        full = surrounded(label, padded_size(label.shape, (8, 12)), 255)  # type: ignore[arg-type]
        alone = window_of_labels(torch.from_numpy(full)[None], windows[:1], (4, 6))
        assert torch.equal(found[place], alone[0].long())


def test_scores_and_predictions_are_of_the_image_alone(data: DeviceDataset, folder: Path) -> None:
    kept = range(len(data))
    scored = evaluate(Colors(), data, num_classes=3, batch=5, precision="fp32", keep=kept, boundary=True)
    config = drawn("segnet", (8, 12), 3).config.model_copy(update={"keep_ratio": True})
    model = Predictor(model=Colors(), config=config, device=CPU, precision="fp32")  # type: ignore[arg-type]
    assert scored.matrices is not None
    for index, (image, label) in enumerate(datasets.load(f"folder:{folder}", "train")):
        # an image's color is its label, so that only a shift or another scale would miss it
        assert np.array_equal(scored.predictions[index], label)
        assert np.array_equal(scored.matrices[index], confusion_matrix(label, label, 3))
        assert np.array_equal(model.labels([image])[0], label)
    (mixed,) = {tuple(map(np.shape, model.labels([np.zeros((*size, 3), np.uint8) for size in SIZES])))}
    assert mixed == SIZES


def test_cells_that_stand_over_the_input_stand_over_the_image_too() -> None:
    # 180 rows are 23 cells of 8; an image of half the input's shape ends at half of its columns
    deeplab = architectures.info("deeplab-largefov").reach(180, 240)
    found = padded_reach((360, 240), (180, 240), PROTOCOL, deeplab)
    assert found == (Fraction(184, 180), Fraction(2))
    assert padded_reach((360, 240), (180, 240), load_protocol("own@1"), deeplab) == deeplab
    assert padded_reach((360, 480), (180, 240), PROTOCOL) == WHOLE


def test_labels_of_one_other_shape_are_padded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "index"))
    for number in range(10):
        label = np.random.default_rng(number).integers(0, 3, (16, 12), dtype=np.uint8)
        save(tmp_path / "own" / "images" / f"{number}.png", COLORS[label])
        save(tmp_path / "own" / "masks" / f"{number}.png", label)
    dataset = datasets.load(f"folder:{tmp_path / 'own'}", "train")
    data = DeviceDataset(dataset, PROTOCOL, tmp_path / "cache", CPU)
    assert data.label_size is None
    scored = evaluate(Colors(), data, num_classes=3, batch=4, precision="fp32", keep=[0])
    assert scored.predictions[0].shape == (16, 12)
    plain = DeviceDataset(dataset, load_protocol("own@1").override({"size": "8x12"}), tmp_path / "cache", CPU)
    assert plain.label_size == (16, 12)


def test_a_run_trains_by_it_and_is_another_one(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "index"))
    suite, root = suite_on(None, f"folder:{folder}", None, Console(quiet=True))
    request = RunRequest(
        data_root=root,
        device="cpu",
        threads=1,
        size="32x48",
        architectures=("segnet",),
        results=tmp_path,
        work=tmp_path,
    )
    padded, stretched = (
        plan(request.model_copy(update={"overrides": overrides}), suite).specs[0]
        for overrides in (("keep_ratio=true",), ())
    )
    assert padded.identity() != stretched.identity()
    run = Trainer(WorkerJob(spec=padded, request=request), RunProgress(Console(quiet=True), "a", 4, 5), lambda: False)
    run.prepare()
    assert run.data["train"].label_size is None
    run._timed_step()
    run._score("val")


def test_an_older_folder_of_weights_stretches() -> None:
    config = drawn("segnet", (8, 12), 3).config
    older = config.model_dump(mode="json", exclude={"keep_ratio"})
    assert ModelConfig.model_validate(older).padding is None
    kept = config.model_copy(update={"keep_ratio": True})
    assert kept.padding == GREY == kept.as_protocol().padding
