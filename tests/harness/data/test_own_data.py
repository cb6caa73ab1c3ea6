"""Own data on its way through the harness: labels of several sizes, memory, the protocol's length, plans."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

import datasets
from datasets.cache import RaggedLabels, open_split, reduce_area
from harness.cli.data import suite_on
from harness.config.class_weighting import median_frequency_weights
from harness.config.planning import plan, planned_protocols
from harness.config.protocol import load_protocol
from harness.config.request import RunRequest
from harness.config.run_spec import RunSpec
from harness.config.suite import load_suite, on_own_data
from harness.data.augmentation import Augmented, window_of_labels
from harness.data.split import DeviceDataset
from harness.launchers.steps import prepare_data
from harness.metrics import confusion_matrix
from harness.system.errors import UserError
from harness.training import evaluator
from harness.training.evaluator import evaluate, label_maps
from tests.datasets.own_files import save, write_flat

SIZES = ((12, 16), (24, 16), (9, 40))
PROTOCOL = load_protocol("own@1").override({"size": "8x12"})
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images of three sizes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return write_flat(tmp_path_factory.mktemp("own") / "pets", count=12, sizes=SIZES)


@pytest.fixture
def data(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeviceDataset:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return DeviceDataset(datasets.load(f"folder:{folder}", "train"), PROTOCOL, tmp_path / "cache", CPU)


class Colors(nn.Module):
    """Logits (B, 3, h, w) that are the image's channels."""

    def forward(self, images: Tensor) -> Tensor:
        return images


def test_the_cache_keeps_each_label_at_its_own_size(folder: Path, tmp_path: Path) -> None:
    dataset = datasets.load(f"folder:{folder}", "train")
    stored = open_split(dataset, (8, 12), tmp_path)
    assert isinstance(stored.labels, RaggedLabels) and stored.images.shape == (8, 8, 12, 3)
    for index, (image, label) in enumerate(dataset):
        assert np.array_equal(stored.labels[index], label)
        assert np.array_equal(stored.images[index], reduce_area(image, (8, 12)))
    assert {stored.labels[index].shape for index in range(8)} == set(SIZES)
    larger = open_split(dataset, (30, 50), tmp_path)
    assert larger.images.shape == (8, 30, 50, 3)


def test_enlarging_repeats_pixels() -> None:
    image = np.array([[[10] * 3, [20] * 3]], np.uint8)
    assert reduce_area(image, (2, 4))[..., 0].tolist() == [[10, 10, 20, 20]] * 2
    assert reduce_area(image, (1, 3))[..., 0].tolist() == [[10, 15, 20]]


def test_a_large_image_is_reduced_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    small = [reduce_area(image, size) for size in ((7, 11), (37, 5), (50, 60))]
    monkeypatch.setattr("datasets.cache._LARGE", 1)
    assert all(np.array_equal(reduce_area(image, one.shape[:2]), one) for one in small)


def test_targets_are_taken_at_the_cells_centers_of_each_label(data: DeviceDataset) -> None:
    indices, mirrored = np.array([2, 0, 1]), torch.tensor([True, False, False])
    found = data.targets(indices, (4, 6), mirrored)
    assert found.shape == (3, 4, 6) and found.dtype == torch.int64
    for place, label in enumerate(data.host_labels(indices)):
        label = label[:, ::-1] if mirrored[place] else label
        height, width = label.shape
        by_hand = [[label[(2 * r + 1) * height // 8, (2 * c + 1) * width // 12] for c in range(6)] for r in range(4)]
        assert found[place].tolist() == by_hand


def test_windows_of_labels_of_several_sizes(data: DeviceDataset) -> None:
    windows = torch.tensor([[0.25, 0.0, 0.5], [-0.5, -0.5, 2.0]], dtype=torch.float64)
    found = data.targets(np.array([0, 1]), (4, 6), None, Augmented(windows=windows, colors=None))
    for place, label in enumerate(data.host_labels(np.array([0, 1]))):
        alone = window_of_labels(torch.from_numpy(label.copy())[None], windows[place : place + 1], (4, 6))
        assert torch.equal(found[place], alone[0].long())


def test_scores_are_taken_at_each_label_s_own_size(data: DeviceDataset) -> None:
    scored = evaluate(Colors(), data, num_classes=3, batch=5, precision="fp32", keep={0, 3}, boundary=True)
    for index, label in enumerate(data.host_labels(np.arange(len(data)))):
        logits = data.images(np.array([index]))
        predicted = label_maps(logits, label.shape)[0].numpy()  # type: ignore[arg-type]
        assert np.array_equal(scored.matrices[index], confusion_matrix(predicted, label, 3))
        if index in (0, 3):
            assert np.array_equal(scored.predictions[index], predicted)
    assert scored.boundary is not None and scored.boundary.shape == (8, 3)


def test_logits_are_upsampled_a_few_classes_at_a_time_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(2, 7, 5, 6, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    whole = label_maps(logits, (11, 13))
    monkeypatch.setattr(evaluator, "MOST_UPSAMPLED", 3 * 2 * 11 * 13)
    assert torch.equal(label_maps(logits, (11, 13)), whole)


def test_labels_of_one_size_are_scored_the_same_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "index"))
    dataset = datasets.load(f"folder:{write_flat(tmp_path / 'one')}", "train")
    data = DeviceDataset(dataset, PROTOCOL, tmp_path / "cache", CPU)
    assert data.label_size == (12, 16) and data.full_size == (32, 32)
    together = evaluate(Colors(), data, num_classes=3, batch=4, precision="fp32")
    monkeypatch.setattr(evaluator, "MOST_PIXELS", 1)
    apart = evaluate(Colors(), data, num_classes=3, batch=4, precision="fp32")
    assert np.array_equal(together.matrices, apart.matrices)


def test_median_weights_of_several_areas(data: DeviceDataset) -> None:
    assert sorted(set(data.areas().tolist())) == [192, 360, 384]
    pixels = np.array([[50, 50], [0, 300]])
    # class 0 is in the first image alone: 50/100; class 1 in both: 350/400; their median 0.6875
    assert median_frequency_weights(pixels, np.array([100, 300])) == pytest.approx([0.6875 / 0.5, 0.6875 / 0.875])


def test_the_length_follows_from_the_number_of_images() -> None:
    protocol = load_protocol("own@1")
    assert protocol.for_images(3).iterations == protocol.for_images(83).iterations == 500
    long = protocol.for_images(50_000)
    assert long.iterations == 300_000 and long.eval_interval == 75_000
    assert long.report_at == {"half": 150_000, "end": 300_000}
    assert long.title == "own@1" and not long.reductions((360, 480))
    assert load_protocol("quick@2").for_images(9) == load_protocol("quick@2")
    shorter = long.override({"iterations": "3000"}).override({"lr": "0.1"})
    assert shorter.overrides == {"iterations": "3000", "lr": "0.1"}
    assert shorter.reductions((360, 480)) == ["3,000 of 300,000 iterations"]


def test_a_plan_on_own_data(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    suite, root = suite_on(None, f"folder:{folder}", None, Console(quiet=True))
    assert (suite.name, suite.dataset, root) == ("own-pets", "folder-pets", str(folder))
    specs = plan(RunRequest(data_root=root), suite).specs
    assert [spec.architecture for spec in specs] == list(suite.architectures)
    assert specs[0].run_id.startswith("segnet-folder-pets-s0-")
    spec = specs[0]
    assert spec.dataset_info.classes == ("class 0", "class 1", "class 2") and spec.dataset_info.own
    stored = RunSpec.model_validate_json(spec.model_dump_json())
    assert stored == spec and stored.identity() == spec.identity()
    named = spec.model_copy(update={"own_data": replace(spec.dataset_info, title="Other")})
    assert named.identity() == spec.identity()  # what pictures are called changes no outcome
    assert on_own_data(load_suite("own"), [spec.dataset_info])[0].covers(spec)


def test_suites_and_datasets_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    quiet = Console(quiet=True)
    assert suite_on(None, None, None, quiet)[0].name == "quick"
    assert suite_on(None, "roads", None, quiet)[0].name == "quick"
    assert suite_on(None, "camvid", "x", quiet)[0].name == "camvid"
    with pytest.raises(UserError, match=r"suite own needs your data: --dataset folder:PATH"):
        suite_on("own", None, None, quiet)
    with pytest.raises(UserError, match="suite camvid is of dataset camvid"):
        suite_on("camvid", f"folder:{folder}", None, quiet)


def test_a_split_without_labeled_pixels_is_known_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.datasets.conftest import write_camvid
    from tests.harness.helpers import spec

    camvid = write_camvid(tmp_path / "data", size=(40, 40))
    for path in (camvid / "valannot").iterdir():
        save(path, np.full((40, 40), 11, np.uint8))
    planned = spec(dataset="camvid", dataset_hash=datasets.content_hash("camvid", camvid)[1])
    request = RunRequest(
        results=tmp_path, reports=tmp_path, work=tmp_path, data_root=str(camvid), device="cpu", threads=1
    )
    with pytest.raises(datasets.DatasetError, match="no pixel of the 2 images of val has a class"):
        prepare_data([planned.model_copy(update={"protocol": PROTOCOL})], request, Console(quiet=True))


def test_the_options_of_a_command_reach_the_protocol(folder: Path, tmp_path: Path) -> None:
    suite, _ = suite_on(None, f"folder:{folder}", None, Console(quiet=True))
    (protocol,) = planned_protocols(RunRequest(iterations=5, size="90x120"), suite)
    assert protocol.title == "own@1+iterations=5+size=90x120"
