"""The drawn rooms: always the same, with all classes in plausible shares, and no class told by its color."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

import datasets
from datasets import SPLITS, VOID
from datasets.roads_canvas import Canvas
from datasets.rooms_canvas import BOX, FLOOR, NEAR_M, TABLE, Frame, Room, RoomCamera, aim
from datasets.rooms_furniture import PIECES, floor_mat
from datasets.rooms_scene import KINDS, REVISION, _sample_light, draw_room
from datasets.rooms_shell import HANGINGS, paint_shell

GOLDEN = Path(__file__).with_name("golden_rooms.json")
CLASSES = datasets.info("rooms").classes
# RedNet's weights for the classes of SUN RGB-D (utils/utils.py, med_frq): the median of the classes' shares
# of those pictures that hold them, over a class's own.
WEIGHTS = (
    0.382900, 0.452448, 0.637584, 0.377464, 0.585595, 0.479574, 0.781544, 0.982534, 1.017466, 0.624581,
    2.589096, 0.980794, 0.920340, 0.667984, 1.172291, 0.862240, 0.921714, 2.154782, 1.187832, 1.178115,
    1.848545, 1.428922, 2.849658, 0.771605, 1.656668, 4.483506, 2.209922, 1.120280, 2.790182, 0.706519,
    3.994768, 2.220004, 0.972934, 1.481525, 5.342475, 0.750738, 4.040773,
)  # fmt: skip


def blocks(image: np.ndarray) -> np.ndarray:
    """Mean colors (3, 4, 3) of a picture's 60 x 60 blocks."""
    means: np.ndarray = image.reshape(3, 60, 4, 60, 3).mean(axis=(1, 3))
    return means


def empty_room(camera: RoomCamera) -> Room:
    """A room of 4 x 2.5 x 5 m with nothing drawn in it."""
    rng = np.random.default_rng(0)
    noise = np.zeros((360, 480), np.float32)
    return Room(
        rng=rng,
        canvas=Canvas(),
        light=_sample_light(rng),
        coarse=noise,
        fine=noise,
        camera=camera,
        size=(4.0, 2.5, 5.0),
        lamp=(2.0, 2.0, 2.0),
        ambient=0.6,
        tones=np.zeros(64, np.float32),
    )


def straight(height: float = 1.25) -> RoomCamera:
    """A camera in the middle of the front wall that looks straight ahead: 400 pixels a metre at 1 m."""
    return RoomCamera(focal_px=400.0, center_px=(240.0, 180.0), place=(2.0, height, 0.0), axes=aim(0, 0, 0))


BACK = Frame(origin=(2.0, 4.0), along=(1.0, 0.0), out=(0.0, -1.0))


def test_golden_pictures() -> None:
    """Labels are the same to the pixel on every machine, pictures to rounding (gaussian noise calls libm)."""
    golden = json.loads(GOLDEN.read_text())
    assert golden["revision"] == REVISION, "a new revision needs new golden values"
    for entry in golden["pictures"]:
        image, label = datasets.load("rooms", entry["split"])[entry["index"]]
        assert hashlib.sha256(label.tobytes()).hexdigest() == entry["label_sha256"]
        assert np.abs(blocks(image) - np.array(entry["block_means"])).max() < 0.1


def test_items() -> None:
    for split, count in {"train": 200, "val": 40, "test": 80}.items():
        dataset = datasets.load("rooms", split)
        assert len(dataset) == len(set(dataset.image_ids)) == count
        assert dataset.image_ids[1] == f"{split}_001"
        assert (dataset.variant, dataset.content_hash) == datasets.content_hash("rooms")
    image, label = dataset[79]
    assert image.shape == (180, 240, 3)
    assert label.shape == (180, 240)
    assert image.dtype == label.dtype == np.uint8
    assert image.flags.c_contiguous
    with pytest.raises(IndexError):
        dataset[80]
    again = datasets.load("rooms", "test")[-1]
    assert np.array_equal(image, again[0]) and np.array_equal(label, again[1])


def test_splits_and_indices_differ() -> None:
    pictures = [datasets.load("rooms", split)[k][0] for split in SPLITS for k in (0, 1)]
    assert len({picture.tobytes() for picture in pictures}) == 6


@pytest.mark.slow
def test_shares_of_the_training_split() -> None:
    """Walls and floor first; a class takes of its pictures a share like SUN RGB-D's; all are often there."""
    pairs = list(datasets.load("rooms", "train"))
    counts = np.stack([np.bincount(label.reshape(-1), minlength=256) for _, label in pairs])
    present = (counts[:, :37] > 20).sum(axis=0)
    assert present.min() >= 8, dict(zip(CLASSES, present.tolist(), strict=True))
    shares = counts[:, :37].sum(axis=0) / counts[:, :37].sum()
    assert [CLASSES[k] for k in np.argsort(-shares)[:2]] == ["wall", "floor"]
    assert 0.2 < shares[0] < 0.45 and 0.1 < shares[1] < 0.3
    assert 0.02 < counts[:, VOID].sum() / counts.sum() < 0.2
    own = counts[:, :37].sum(axis=0) / ((counts[:, :37] > 0).sum(axis=0) * 180 * 240)
    rank = spearmanr(own, 1.0 / np.array(WEIGHTS)).statistic
    assert rank > 0.6, rank


def test_colors_overlap() -> None:
    """The nearest mean color tells less than a third of the pixels: color alone solves nothing."""
    train = [datasets.load("rooms", "train")[k] for k in range(20)]
    image, label = (np.concatenate([pair[i].reshape(180 * 240, -1) for pair in train]) for i in (0, 1))
    there = [c for c in range(37) if (label[:, 0] == c).any()]
    means = np.stack([image[label[:, 0] == c].mean(axis=0) for c in there])
    right = total = 0
    for k in range(6):
        picture, truth = datasets.load("rooms", "test")[k]
        distance = ((picture[:, :, None, :] - means) ** 2).sum(axis=-1)
        right += int((np.array(there)[distance.argmin(axis=-1)] == truth).sum())
        total += int((truth != VOID).sum())
    assert right / total < 1 / 3


def test_seeds_far_apart_never_fail() -> None:
    for number in (1, 2**31, 2**63):
        image, label = draw_room((REVISION, 9, number))
        assert image.std() > 5
        assert len(np.unique(label)) > 4


def test_kinds_name_what_there_is() -> None:
    assert sum(kind.share for kind in KINDS) == pytest.approx(1.0)
    for kind in KINDS:
        assert set(kind.stand) <= set(PIECES)
        assert set(kind.hang) <= set(HANGINGS)


def test_camera_by_hand() -> None:
    """A point 1 m right, 0.5 m up and 4 m ahead lies 100 pixels right of the center and 50 above it."""
    camera = straight(1.0)
    seen = camera.view(np.array([(3.0, 1.5, 4.0)]))
    assert seen.tolist() == [[1.0, 0.5, 4.0]]
    assert camera.screen(seen).tolist() == [[340.0, 130.0]]


def test_aim() -> None:
    right, up, ahead = aim(math.pi / 2, 0.0, 0.0)
    assert ahead.tolist() == [1.0, 0.0, 0.0] and right.tolist() == [0.0, 0.0, -1.0]
    assert up.tolist() == [0.0, 1.0, 0.0]
    tilted = aim(0.3, -0.4, 0.1)
    assert np.abs(tilted @ tilted.T - np.eye(3)).max() < 1e-5
    assert tilted[2, 1] < 0 < tilted[1, 1]


def test_a_wall_by_hand() -> None:
    """A rectangle of 1 x 0.5 m at 4 m is 100 x 50 canvas pixels, all at a depth of 4 m."""
    room = empty_room(straight())
    room.panel(BACK, (0.0, 1.0), (1.25, 1.75), 0.0, (0.5, 0.5, 0.5), BOX)
    rows, columns = np.nonzero(room.canvas.label == BOX)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (130, 179, 240, 339)
    assert len(rows) == 100 * 50
    assert room.canvas.depth[150, 300] == pytest.approx(4.0)
    assert room.canvas.picture[0, 150, 300] > room.canvas.picture[0, 10, 10] == 0.0


def test_the_floor_runs_away_from_the_camera() -> None:
    """Seen from 1.25 m, the floor under a row 100 pixels below the center is 1.25 * 400 / 100 = 5 m ahead."""
    room = empty_room(straight())
    paint_shell(room, wet=False)
    assert room.canvas.depth[280, 240] == pytest.approx(1.25 * 400 / 100.5, rel=1e-4)
    assert room.canvas.label[300, 240] == FLOOR
    assert room.canvas.depth[180, 240] == pytest.approx(5.0)  # the back wall


def test_nearer_parts_of_crossing_faces_are_seen() -> None:
    """Two panels that cross in the middle of the picture: left the one is nearer, right the other."""
    room = empty_room(straight())
    crossing = Frame(origin=(2.0, 4.0), along=(0.8, 0.6), out=(0.6, -0.8))
    room.panel(BACK, (-1.0, 1.0), (1.0, 1.5), 0.0, (0.5, 0.5, 0.5), BOX)
    room.panel(crossing, (-1.0, 1.0), (1.0, 1.5), 0.0, (0.5, 0.5, 0.5), TABLE)
    assert room.canvas.label[180, 200] == TABLE
    assert room.canvas.label[180, 280] == BOX


def test_what_is_behind_the_camera_is_not_drawn() -> None:
    room = empty_room(straight())
    behind = Frame(origin=(2.0, -1.0), along=(1.0, 0.0), out=(0.0, 1.0))
    room.panel(behind, (-1.0, 1.0), (1.0, 1.5), 0.0, (0.5, 0.5, 0.5), BOX)
    assert not (room.canvas.label == BOX).any()
    # One that reaches from behind the camera to before it is cut, not turned inside out.
    room.sheet(behind, (-0.5, 0.5), (0.0, 3.0), 0.5, (0.5, 0.5, 0.5), BOX)
    rows = np.nonzero(room.canvas.label == BOX)[0]
    assert rows.min() > 180 and rows.max() == 359
    assert room.canvas.depth[room.canvas.label == BOX].min() >= NEAR_M


def test_a_box_shows_only_sides_turned_to_the_camera() -> None:
    """Seen from straight ahead and from its own height, a box is its front alone."""
    room = empty_room(straight())
    room.box(BACK, (-0.5, 0.5), (1.0, 1.5), (0.0, 1.0), (0.5, 0.5, 0.5), BOX)
    assert set(np.unique(room.canvas.depth[room.canvas.label == BOX]).tolist()) == {3.0}
    above = empty_room(straight(height=2.0))
    above.box(BACK, (-0.5, 0.5), (1.0, 1.5), (0.0, 1.0), (0.5, 0.5, 0.5), BOX)
    depths = above.canvas.depth[above.canvas.label == BOX]
    assert depths.min() == pytest.approx(3.0) and 3.9 < depths.max() <= 4.0


def test_frames_turn_and_move() -> None:
    assert BACK.moved(0.5, 1.0).origin == (2.5, 3.0)
    assert BACK.local((2.5, 0.7, 3.0)) == (0.5, 0.7, 1.0)
    quarter = BACK.turned(math.pi / 2)
    assert quarter.along == (0.0, 1.0) and quarter.out == (1.0, 0.0)


def test_a_mat_lies_on_the_floor() -> None:
    room = empty_room(straight())
    paint_shell(room, wet=False)
    before = room.canvas.label.copy()
    floor_mat(room, BACK.moved(0.0, 1.5))
    changed = before != room.canvas.label
    assert changed.any() and (before[changed] == FLOOR).all()
