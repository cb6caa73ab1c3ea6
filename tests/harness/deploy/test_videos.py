"""Predictions of videos."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.deploy.items import collect
from harness.deploy.pictures import predict_items
from harness.deploy.predict import Predictor
from harness.system.errors import UserError
from tests.harness.deploy.conftest import film


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
