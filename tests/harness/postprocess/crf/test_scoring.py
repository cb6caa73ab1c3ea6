"""The CRF over the images of a split: what is scored, and that it is scored as each image by itself."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from harness.metrics import boundary_f1, confusion_matrix, scores
from harness.postprocess.crf.logits import StoredLogits
from harness.postprocess.crf.mean_field import mean_field
from harness.postprocess.crf.scoring import CrfData, Refiner
from harness.records.crf import CrfParameters

CLASSES, SIZE, IMAGES = 3, (24, 32), 5
CHOSEN = CrfParameters(bilateral_weight=5, bilateral_sigma_px=8, color_sigma=20, iterations=3)


@pytest.fixture
def data(tmp_path: Path) -> CrfData:
    """Images of three flat colors with noise, and logits that are half right, at a quarter of the size."""
    rng = np.random.default_rng(0)
    labels = np.zeros((IMAGES, *SIZE), dtype=np.uint8)
    labels[:, :, 11:] = 1
    labels[:, 13:, 20:] = 2
    colors = np.array([[40, 40, 200], [200, 60, 40], [90, 200, 90]])
    images = np.clip(colors[labels] + rng.normal(0, 8, (IMAGES, *SIZE, 3)), 0, 255).astype(np.uint8)
    labels[:, :2] = 255
    truth = np.where(labels == 255, 0, labels)[:, 2::4, 2::4]
    logits = 2.0 * np.eye(CLASSES)[truth].transpose(0, 3, 1, 2) + rng.normal(0, 1, (IMAGES, CLASSES, 6, 8))
    path = tmp_path / "logits.safetensors"
    save_file({"logits": torch.from_numpy(logits).half()}, path)
    ids = tuple(map(str, range(IMAGES)))
    return CrfData(image_ids=ids, logits=StoredLogits(path=path, images=IMAGES), images=images, labels=labels)


def refiner(data: CrfData) -> Refiner:
    return Refiner(data, CLASSES, torch.device("cpu"))


def enlarged(data: CrfData, index: int) -> torch.Tensor:
    """Energies (K, H, W)."""
    logits = data.logits[index][None]
    full = torch.nn.functional.interpolate(logits, size=SIZE, mode="bilinear", align_corners=False)
    return -torch.log_softmax(full[0], 0)


def expected_map(data: CrfData, index: int) -> np.ndarray:
    marginals = mean_field(enlarged(data, index), torch.from_numpy(data.images[index]), CHOSEN)
    found: np.ndarray = marginals.argmax(0).numpy().astype(np.uint8)
    return found


def test_a_split_is_scored_image_by_image(data: CrfData) -> None:
    done: list[int] = []
    found = refiner(data).split_scores(CHOSEN, boundary=True, keep={1, 4}, on_images=done.append)
    assert done == [1] * IMAGES and sorted(found.predictions) == [1, 4]
    assert found.boundary is not None
    for index in range(IMAGES):
        expected = expected_map(data, index)
        matrix = confusion_matrix(expected, data.labels[index], CLASSES)
        np.testing.assert_array_equal(found.matrices[index], matrix)
        np.testing.assert_array_equal(found.boundary[index], boundary_f1(expected, data.labels[index], CLASSES))
    np.testing.assert_array_equal(found.predictions[4], expected_map(data, 4))


def test_trials_are_scored_on_the_images_asked_for_and_beside_the_network_s_own_output(data: CrfData) -> None:
    weak = CHOSEN.model_copy(update={"bilateral_weight": 0.0, "gaussian_weight": 0.0})
    without, refined, same = refiner(data).subset_scores([0, 3], [CHOSEN, weak], lambda images: None)
    own = sum(confusion_matrix(enlarged(data, i).argmin(0).numpy(), data.labels[i], CLASSES) for i in (0, 3))
    made = sum(confusion_matrix(expected_map(data, i), data.labels[i], CLASSES) for i in (0, 3))
    assert without.miou == same.miou == pytest.approx(scores(own).miou, abs=1e-6)
    assert refined.miou == pytest.approx(scores(made).miou, abs=1e-6)
    assert refined.miou > without.miou + 0.02  # colors tell the classes apart


def test_time_is_of_each_image_but_the_first(data: CrfData) -> None:
    time = refiner(data).time([0, 1, 2], CHOSEN, lambda images: None)
    assert (time.images, time.height, time.width) == (3, *SIZE)
    assert 0 < time.lowest_ms <= time.median_ms <= time.highest_ms
    assert time.threads == torch.get_num_threads()
