"""Predictions: those of the evaluator, at any size."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import datasets
import harness
from datasets.cache import reduce_area
from harness.data.split import DeviceDataset
from harness.deploy.predict import Predictor, as_picture, class_shares, overlay, predictor
from harness.deploy.weights import ModelConfig, Source, build, drawn, find
from harness.system.errors import UserError
from harness.training.evaluator import evaluate
from tests.faults.pictures import deep_picture
from tests.harness.deploy.conftest import Trained


def test_predictions_are_the_evaluators(trained: Trained, model: Predictor) -> None:
    data: DeviceDataset = trained.run.data["test"]
    kept = evaluate(trained.run.model, data, num_classes=11, batch=1, precision="fp32", keep=range(3)).predictions
    images = datasets.load("roads", "test")
    for index, expected in kept.items():
        picture, _ = images[index]
        assert np.array_equal(model.labels([picture])[0], expected)
        assert len(np.unique(expected)) > 1


@pytest.mark.parametrize("changes", [{}, {"standardize": True}, {"local_response_norm": True}])
def test_the_input_is_the_protocols(changes: dict[str, bool], drawn_cache: Path) -> None:
    source = drawn("pixel-mlp", (32, 40), 11)
    config = source.config.model_copy(update={**changes, "precision": "fp32"})
    source = Source(name="a", config=config, weights=None)
    data = DeviceDataset(datasets.load("roads", "test"), config.as_protocol(), drawn_cache, torch.device("cpu"))
    reference = evaluate(build(source), data, num_classes=11, batch=1, precision="fp32", keep=[0]).predictions[0]
    picture, _ = datasets.load("roads", "test")[0]
    assert np.array_equal(predictor(source, "cpu").labels([picture])[0], reference)


def test_any_size_comes_back_as_it_was(model: Predictor) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, size, dtype=np.uint8) for size in ((20, 70, 3), (333, 41, 3), (32, 40, 3))]
    assert [one.shape for one in model.labels(pictures)] == [(20, 70), (333, 41), (32, 40)]
    native = model.labels(pictures[1:2], native=True)[0]
    assert native.shape == (333, 41)
    assert np.array_equal(native, model.labels([pictures[1]], native=True)[0])


def test_a_model_that_was_changed_predicts_what_it_has_become() -> None:
    ready = predictor(drawn("pixel-mlp", (32, 40), 5), "cpu", "bf16")
    picture = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)
    before, copy = ready.labels([picture])[0], ready._ready()
    assert len(np.unique(before)) > 1 and ready._ready() is copy
    *_, bias = ready.model.parameters()
    with torch.no_grad():
        bias[3] += 1e6
    assert (ready.labels([picture])[0] == 3).all()
    ready.model.load_state_dict({name: torch.zeros_like(one) for name, one in ready.model.state_dict().items()})
    assert (ready.labels([picture])[0] == 0).all()


@pytest.mark.parametrize("size", [(96, 128), (20, 70), (31, 33)])
def test_a_picture_is_brought_to_its_size_as_datasets_are(model: Predictor, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    alike = reduce_area(picture, model.config.image_size)
    assert alike.shape[:2] == (32, 40)
    assert model.labels([picture])[0].shape == size
    inputs: list[torch.Tensor] = []
    with model.model.register_forward_pre_hook(lambda _, given: inputs.append(given[0])):
        model.labels([picture])
        model.labels([alike], native=True)
    assert torch.equal(*inputs)


def test_a_model_of_one_size_refuses_others() -> None:
    ready = predictor(drawn("deconvnet", (32, 32), 3), "cpu")
    with pytest.raises(ValueError, match="built for 32x32"):
        ready.labels([np.zeros((40, 40, 3), np.uint8)], native=True)


def test_pictures_of_all_kinds_are_taken(tmp_path: Path, model: Predictor) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(picture).save(path)
    expected = model.labels([picture])[0]
    tensor = torch.from_numpy(picture)
    for one in (path, str(path), Image.fromarray(picture), picture, tensor, tensor.permute(2, 0, 1)):
        assert np.array_equal(harness.predict(model, one), expected)
    with pytest.raises(UserError, match="uint8"):
        harness.predict(model, picture.astype(np.float32))


def test_more_than_8_bits_are_refused_not_cut_down(tmp_path: Path) -> None:
    gray = Image.fromarray(np.full((4, 4), 1000, np.uint16))
    gray.save(tmp_path / "gray.png")
    (tmp_path / "rgb.png").write_bytes(deep_picture((4, 4)))
    with Image.open(tmp_path / "rgb.png") as opened:
        assert opened.mode == "RGB"  # Pillow does not say so
        for image in (gray, gray.convert("F"), tmp_path / "gray.png", tmp_path / "rgb.png", opened):
            with pytest.raises(UserError, match="more than 8 bits"):
                as_picture(image)
    Image.new("P", (4, 4)).save(tmp_path / "palette.png", bits=4)
    for kind in ("1", "L", "LA", "RGBA"):
        Image.new(kind, (4, 4)).save(tmp_path / f"{kind}.png")
    assert all(as_picture(tmp_path / f"{kind}.png").shape == (4, 4, 3) for kind in ("palette", "1", "L", "LA", "RGBA"))


def test_exif_orientation_is_heeded(tmp_path: Path) -> None:
    picture = np.zeros((10, 20, 3), np.uint8)
    picture[:, :5] = 255
    turned = Image.fromarray(picture)
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(as_picture(tmp_path / "a.png"), np.rot90(picture, -1))


def test_an_overlay_has_the_colors_half_and_a_legend_beside() -> None:
    config = ModelConfig(
        architecture="segnet",
        architecture_revision=1,
        classes=("a", "b"),
        colors=((200, 0, 0), (0, 100, 0)),
        image_size=(40, 40),
        input_mean=(0, 0, 0),
        input_std=(1, 1, 1),
    )
    labels = np.zeros((40, 40), np.uint8)
    labels[:10] = 1
    mixed = overlay(np.full((40, 40, 3), 100, np.uint8), labels, config)
    assert mixed.shape[0] == 40 and mixed.shape[1] > 40
    assert mixed[0, 0].tolist() == [50, 100, 50] and mixed[39, 0].tolist() == [150, 50, 50]
    assert class_shares(labels, 2).tolist() == [0.75, 0.25]
    assert (mixed[:18, 40:] == [200, 0, 0]).all(2).any()  # the most frequent class comes first
    assert (mixed[18:36, 40:] == [0, 100, 0]).all(2).any()


def test_what_is_no_model_says_what_there_is(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"runs with weights: {trained.run_id}"):
        find("segnet", trained.results, trained.work)
    with pytest.raises(UserError, match="harness run segnet --suite quick"):
        find("segnet", tmp_path, tmp_path)
    for how in ("run segnet --suite quick", "run --dataset folder:PATH"):
        with pytest.raises(UserError, match=f"no run there has its weights in the work folder '{tmp_path}'.*{how}"):
            find("segnet", trained.results, tmp_path)
    with pytest.raises(UserError, match=r"has no config\.json"):
        find(str(tmp_path), tmp_path, tmp_path)
    with pytest.raises(UserError, match="its weights are not in"):
        find(trained.run_id, trained.results, tmp_path)


def test_from_python_no_option_is_named(trained: Trained, tmp_path: Path, model: Predictor) -> None:
    with pytest.raises(UserError) as refused:
        harness.load_model("zzz", results=tmp_path, work=tmp_path)
    with pytest.raises(UserError) as without_weights:
        harness.load_model(trained.run_id, results=trained.results, work=tmp_path)
    assert "--" not in str(refused.value).partition("`")[0] + str(without_weights.value)
    with pytest.raises(UserError, match=r"^nope\.jpg: no such file$"):
        harness.predict(model, "nope.jpg")
    (tmp_path / "bad.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"bad\.png: no readable picture \(UnidentifiedImageError\)$"):
        harness.predict(model, tmp_path / "bad.png")
