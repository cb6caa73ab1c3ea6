"""Predictions: those of the evaluator, at any size, and the files that come of them."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import datasets
import harness
from datasets.cache import reduce_area
from harness.data.split import DeviceDataset
from harness.deploy.items import TABLE, collect
from harness.deploy.pictures import predict_items
from harness.deploy.predict import Pixels, Predictor, as_picture, class_shares, overlay, predictor
from harness.deploy.weights import ModelConfig, Source, build, drawn, find
from harness.system.errors import UserError
from harness.training.evaluator import evaluate
from tests.datasets.own_files import BY_SPLIT, save, write_splits
from tests.faults.pictures import deep_picture
from tests.harness.commands import assert_one_line
from tests.harness.commands import harness as command
from tests.harness.deploy.conftest import Trained


@pytest.fixture(scope="module")
def model(trained: Trained) -> Predictor:
    return harness.load_model(trained.weights, device="cpu")


@pytest.fixture(scope="module")
def small() -> Predictor:
    return predictor(drawn("pixel-mlp", (32, 40), 5), "cpu", "fp32")


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


def pictures(folder: Path) -> Path:
    (folder / "in" / "deeper").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, size in (("a.jpg", (48, 64, 3)), ("deeper/b.png", (30, 50, 3))):
        Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(folder / "in" / name)
    (folder / "in" / "c.png").write_bytes(b"no picture")
    (folder / "in" / "notes.txt").write_text("not taken")
    return folder / "in"


@pytest.mark.parametrize("batch", [1, 4])
def test_files_of_a_folder(tmp_path: Path, model: Predictor, batch: int) -> None:
    output = tmp_path / "out"
    items = collect([str(pictures(tmp_path))], output, force=False)
    outcome = predict_items(model, items, output, batch=batch)
    assert outcome.done == 2 and len(outcome.failed) == 1 and "c.png" in outcome.failed[0]
    names = {path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()}
    assert names == {
        *("a.png", "a_color.png", "a_overlay.png", TABLE),
        *("deeper/b.png", "deeper/b_color.png", "deeper/b_overlay.png"),
    }
    labels = np.asarray(Image.open(output / "a.png"))
    assert np.array_equal(labels, harness.predict(model, tmp_path / "in" / "a.jpg"))
    assert np.array_equal(np.asarray(Image.open(output / "a_color.png")), np.asarray(model.config.colors)[labels])
    with (output / TABLE).open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["width"], row["height"]) for row in rows] == [("64", "48"), ("50", "30")]
    shares = [float(rows[0][name]) for name in model.config.classes]
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert shares == pytest.approx(class_shares(labels, 11).tolist(), abs=1e-6)
    with pytest.raises(UserError, match="is there already"):
        collect([str(tmp_path / "in")], output, force=False)
    assert len(collect([str(tmp_path / "in")], output, force=True)) == 3


def test_what_would_be_written_twice_is_refused(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match="written twice"):
        collect([str(tmp_path / "x" / "a.png"), str(tmp_path / "y" / "a.png")], tmp_path / "out", force=False)
    with pytest.raises(UserError, match="no such picture"):
        collect([str(tmp_path / "z.png")], tmp_path / "out", force=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no pictures or videos"):
        collect([str(tmp_path / "empty")], tmp_path / "out", force=False)


@pytest.mark.parametrize("output", ["in", "."])
def test_no_option_lets_a_picture_be_written_over(tmp_path: Path, output: str) -> None:
    folder = pictures(tmp_path)
    with pytest.raises(UserError, match=r"c\.png is a picture to be predicted, and would be written over"):
        collect([str(folder)], tmp_path / "in", force=True)
    if output == ".":  # the folder lies below the output, and is no output itself
        assert len(collect([str(folder)], tmp_path, force=False)) == 3


def test_what_cannot_be_read_is_left_out_and_the_others_are_predicted(tmp_path: Path, model: Predictor) -> None:
    pytest.importorskip("imageio_ffmpeg")
    folder = pictures(tmp_path)
    (folder / "0.mp4").write_bytes(b"no film")
    Image.new("RGB", (9, 200)).save(folder / "icon.png")
    items = collect([str(folder)], tmp_path / "out", force=False)
    outcome = predict_items(model, items, tmp_path / "out", native=True)
    lines = sorted(Path(line.partition(": ")[0]).name for line in outcome.failed)
    assert lines == ["0.mp4", "c.png", "icon.png"] and outcome.done == 2
    assert any("images are 200x9, but at least 16x16 is needed" in line for line in outcome.failed)


def short_of_memory(predictor: Predictor, monkeypatch: pytest.MonkeyPatch, side: int) -> None:
    """Lets the forward pass have memory for one picture of this many rows."""

    def labels(self: Predictor, pictures: list[Pixels], native: bool = False) -> list[Pixels]:
        if len(pictures) > 1 or pictures[0].shape[0] > side:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return plain(self, pictures, native)

    plain = Predictor.labels
    monkeypatch.setattr(Predictor, "labels", labels)


def test_a_picture_too_large_for_the_memory_is_left_out(
    tmp_path: Path, small: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_of_memory(small, monkeypatch, 100)
    for name, height in (("a", 30), ("b", 200), ("c", 40)):
        Image.new("RGB", (40, height)).save(tmp_path / f"{name}.png")
    film(tmp_path / "d.mp4", 2)
    outcome = predict_items(small, collect([str(tmp_path)], tmp_path / "out", False), tmp_path / "out", batch=4)
    assert outcome.done == 4 and outcome.failed == [
        f"{tmp_path / 'b.png'}: needs more memory than there is; make it smaller"
    ]
    assert not list((tmp_path / "out").glob("b*"))
    monkeypatch.setattr(Predictor, "labels", lambda *_: 1 / 0)  # any other error is no picture's
    with pytest.raises(ZeroDivisionError):
        predict_items(small, collect([str(tmp_path)], tmp_path / "out", True), tmp_path / "out")


def test_a_name_too_long_for_what_is_added_is_left_out(tmp_path: Path, small: Predictor) -> None:
    for name in ("ä" * 120, "a" * 200, "b"):
        Image.new("RGB", (40, 32)).save(tmp_path / f"{name}.png")
    outcome = predict_items(small, collect([str(tmp_path)], tmp_path / "out", False), tmp_path / "out")
    assert outcome.done == 2 and len(outcome.failed) == 1
    assert "ä.png: its name is 21 bytes too long" in outcome.failed[0]
    assert len(list((tmp_path / "out").iterdir())) == 2 * 3 + 1


def test_links_are_followed_but_not_in_circles(tmp_path: Path, small: Predictor) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "there").mkdir()
    for path in ("in/a.png", "there/b.png"):
        Image.new("RGB", (40, 32)).save(tmp_path / path)
    links = {"linked": "there", "circle": "in", "c.png": "there/b.png", "gone.png": "none.png", "self": "in/self"}
    for name, target in links.items():
        (tmp_path / "in" / name).symlink_to(tmp_path / target)
    items = collect([str(tmp_path / "in")], tmp_path / "out", force=False)
    assert [item.name for item in items if not item.unusable] == ["a", "c", "linked/b"]
    outcome = predict_items(small, items, tmp_path / "out")
    assert outcome.done == 3
    assert [line.rpartition("/")[2] for line in outcome.failed] == [
        f"{name}: can't be read, or is a link to nothing" for name in ("gone.png", "self")
    ]


def test_a_model_of_one_size_leaves_pictures_of_others_out(tmp_path: Path) -> None:
    ready = predictor(drawn("deconvnet", (32, 32), 3), "cpu")
    for side in (32, 40):
        Image.new("RGB", (side, side)).save(tmp_path / f"{side}.png")
    outcome = predict_items(ready, collect([str(tmp_path)], tmp_path / "out", False), tmp_path / "out", native=True)
    assert outcome.done == 1 and len(outcome.failed) == 1 and "40.png" in outcome.failed[0]


def test_a_name_that_is_no_utf_8_stands_in_the_table(tmp_path: Path, model: Predictor) -> None:
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    Image.new("RGB", (40, 32)).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / name)
    outcome = predict_items(model, collect([str(tmp_path)], tmp_path / "out", force=False), tmp_path / "out")
    assert outcome.done == 1
    assert "caf\\udce9.png" in (tmp_path / "out" / TABLE).read_text("utf-8")


def test_a_video_becomes_index_pictures_and_two_videos(tmp_path: Path, model: Predictor) -> None:
    imageio = pytest.importorskip("imageio.v2")
    pytest.importorskip("imageio_ffmpeg")
    rng = np.random.default_rng(0)
    with imageio.get_writer(tmp_path / "film.mp4", fps=5, macro_block_size=1) as writer:
        for _ in range(3):
            writer.append_data(rng.integers(0, 256, (48, 66, 3), dtype=np.uint8))
    items = collect([str(tmp_path / "film.mp4")], tmp_path / "out", force=False)
    outcome = predict_items(model, items, tmp_path / "out", batch=2)
    assert outcome.done == 3 and not outcome.failed
    assert sorted(path.name for path in (tmp_path / "out" / "film").iterdir()) == [f"00000{n}.png" for n in range(3)]
    for name, width in (("film_color.mp4", 66), ("film_overlay.mp4", 200)):
        with imageio.get_reader(tmp_path / "out" / name) as reader:
            frames = [frame for frame in reader]  # its length is not known to list()
        assert len(frames) == 3 and frames[0].shape[0] == 48 and frames[0].shape[1] >= width
    with imageio.get_reader(tmp_path / "film.mp4") as reader:
        first = next(iter(reader))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "film" / "000000.png")), model.labels([first])[0])


def film(path: Path, frames: int) -> Path:
    imageio = pytest.importorskip("imageio.v2")
    pytest.importorskip("imageio_ffmpeg")
    path.parent.mkdir(exist_ok=True)
    with imageio.get_writer(path.with_suffix(".mp4"), fps=5, macro_block_size=1) as writer:
        for n in range(frames):
            writer.append_data(np.full((32, 40, 3), 20 * n, np.uint8))
    return path.with_suffix(".mp4").rename(path)


def test_a_shorter_video_leaves_no_frames_of_a_longer_one(tmp_path: Path, small: Predictor) -> None:
    output = tmp_path / "out"
    for frames in (5, 2):
        items = collect([str(film(tmp_path / "clip.mp4", frames))], output, force=True)
        assert predict_items(small, items, output).done == frames
        assert len(list((output / "clip").iterdir())) == frames
    (output / "clip" / "notes.txt").write_text("not the harness's")
    with pytest.raises(UserError, match=r"notes\.txt is no frame of a video"):
        collect([str(tmp_path / "clip.mp4")], output, force=True)


def test_the_folder_of_a_video_is_the_videos_alone(tmp_path: Path) -> None:
    (tmp_path / "in" / "clip").mkdir(parents=True)
    for name in ("clip.mp4", "clip/a.jpg"):
        (tmp_path / "in" / name).write_bytes(b"")
    with pytest.raises(UserError, match=r"clip/a\.png would be written twice"):
        collect([str(tmp_path / "in")], tmp_path / "out", force=True)
    named = [str(tmp_path / "in" / name) for name in ("clip.mp4", "clip/a.jpg")]
    with pytest.raises(UserError, match="clip holds a picture to be predicted"):
        collect(named, tmp_path / "in", force=True)


def test_videos_are_told_by_what_ffmpeg_reads(tmp_path: Path, small: Predictor) -> None:
    film(tmp_path / "film.m4v", 2)
    grays = [Image.new("L", (40, 32), n) for n in (0, 100, 200)]
    grays[0].save(tmp_path / "moves.gif", save_all=True, append_images=grays[1:])
    grays[0].save(tmp_path / "still.gif")
    for name in ("broken.gif", "broken.mp4"):
        (tmp_path / name).write_bytes(b"no film")
    items = collect([str(tmp_path)], tmp_path / "out", force=False)
    assert [Path(item.source).name for item in items if item.video] == ["broken.mp4", "film.m4v", "moves.gif"]
    outcome = predict_items(small, items, tmp_path / "out")
    assert outcome.done == 2 + 3 + 1 and len(outcome.failed) == 2
    (line,) = (line for line in outcome.failed if "broken.mp4" in line)
    assert line.endswith("Error opening input files: Invalid data found when processing input")


def test_a_video_without_its_extra_says_how_to_install_it(
    tmp_path: Path, small: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    (tmp_path / "film.mp4").write_bytes(b"")
    with pytest.raises(UserError, match=r'film\.mp4: videos need .*pip install -e "\.\[video\]"'):
        predict_items(small, collect([str(tmp_path)], tmp_path / "out", force=False), tmp_path / "out")


def test_a_webcam_is_a_video() -> None:
    (item,) = collect(["<video0>"], Path("out"), force=False)
    assert item.video and item.source == "<video0>" and item.name == "video0"


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


def test_own_data_gives_its_images_of_all_splits(
    tmp_path: Path, trained: Trained, small: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "index"))
    folder, output = write_splits(tmp_path / "pets", *BY_SPLIT), tmp_path / "out"
    for split in ("train", "val", "test"):  # one name in three splits
        for kind in ("images", "masks"):
            (folder / split / kind / f"{split}0.png").rename(folder / split / kind / "p.png")
    items = collect([f"folder:{folder}"], output, force=False)
    assert [item.name for item in items] == [f"{s}/{name}" for s in ("train", "val", "test") for name in ("p", f"{s}1")]
    assert {Path(item.source).parent.name for item in items} == {"images"}
    assert predict_items(small, items, output).done == 6
    assert (output / "val" / "p_overlay.png").is_file()
    save(folder / "val" / "masks" / "p.png", np.zeros((3, 3), np.uint8))
    for path, says in ((folder, "p.png: 3 x 3 pixels where its image"), (tmp_path / "none", "none: no such folder")):
        assert_one_line(command("predict", str(trained.weights), f"folder:{path}", "--output", str(output)), says)


def test_the_command(trained: Trained, tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    where = ["--results", str(trained.results), "--work", str(trained.work), "--threads", "1", "--device", "cpu"]
    done = command("predict", trained.run_id, str(folder), "--output", str(tmp_path / "out"), *where)
    assert done.returncode == 1, done.stderr  # of three pictures one is none
    assert "2 pictures in" in done.stdout and "c.png" in done.stdout
    assert (tmp_path / "out" / "deeper" / "b_overlay.png").exists()
    again = command("predict", str(trained.weights), str(folder), "--output", str(tmp_path / "out"), *where)
    assert_one_line(again, "is there already", "--force")
    untrained = command("predict", "segnet", str(folder), "--results", str(tmp_path / "none"))
    assert_one_line(untrained, "no run is finished yet")
