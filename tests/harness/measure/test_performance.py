"""The comparison with the plain way: record, ratios, gate, turns, and the plain network itself."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

import architectures
from harness.errors import UserError
from harness.measure.performance import (
    Entry,
    PerformanceRecord,
    Spread,
    Target,
    bfloat16_note,
    joined,
    load_flag,
    load_performance,
    performance_folder,
    save_performance,
    spread,
)
from harness.measure.performance_gate import baseline_for, regressions
from harness.metrics import confusion_matrix as exact_matrix
from tests.benchmarks import performance
from tests.benchmarks.comparisons import COMPARISONS
from tests.benchmarks.plain.data import CamVid, loader
from tests.benchmarks.plain.scores import boundary_score, confusion_matrix, score
from tests.benchmarks.plain.segnet import SegNet
from tests.benchmarks.player import Job, Settings, serve
from tests.benchmarks.turns import Duel, Player, PlayerError, harness_environment, plain_environment

TINY = "tests.benchmarks.tiny"


def entry(name: str = "training-fp32", **changes: Any) -> Entry:
    values: dict[str, Any] = {
        "name": name,
        "title": "A step",
        "what": "one step",
        "opponent": "the plain way",
        "precision": "fp32",
        "images": 5,
        "ours_s": (9.0, 16.0, 10.0),
        "opponent_s": (10.0, 20.0, 10.0),
        "target": Target(quantity="ratio", at_most=0.93),
        "notes": (),
        "flags": (),
        "measured_at": "2026-01-01T00:00:00+00:00",
        "wall_s": 1.0,
        "load_average_before": 0.0,
        "load_average_after": None,
        **changes,
    }
    return Entry(**values)


def record(*entries: Entry, **changes: Any) -> PerformanceRecord:
    values: dict[str, Any] = {
        "device": "cpu",
        "device_name": "Made-up CPU",
        "device_slug": "cpu-made-up-2c",
        "threads": 2,
        "size": (90, 120),
        "reduced": True,
        "entries": entries,
        "environments": ({"git_commit": "a"},),
        "settings": {},
        **changes,
    }
    return PerformanceRecord(**values)


# -- ratios and records -------------------------------------------------------------------------------------


def test_ratios_are_taken_within_a_round() -> None:
    assert entry().ratios == (0.9, 0.8, 1.0)
    found = spread(entry().ratios)
    # at 1/4 and 3/4 of the way from the first to the last of 0.8, 0.9, 1.0
    assert (found.low, found.median, found.high) == pytest.approx((0.85, 0.9, 0.95))
    assert spread([3.0]) == Spread(low=3.0, median=3.0, high=3.0)
    with pytest.raises(ValueError, match="no values"):
        spread([])


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (Target(quantity="ratio", at_most=0.9), True),
        (Target(quantity="ratio", at_most=0.89), False),
        (Target(quantity="seconds", at_most=10.0), True),
        (Target(quantity="seconds", at_most=9.9), False),
        (None, None),
    ],
)
def test_a_target_is_judged_by_the_median(target: Target | None, met: bool | None) -> None:
    assert entry(target=target).met is met
    assert entry(target=target, ours_s=(), opponent_s=(), failure="no module").met is None


@pytest.mark.parametrize(
    "changes",
    [
        {"ours_s": (), "opponent_s": ()},
        {"failure": "yet there are samples"},
        {"opponent_s": (1.0,)},
        {"opponent": None},
        {"ours_s": (1.0, 0.0, 1.0)},
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        entry(**changes)


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    written = record(entry(), entry("help", opponent=None, opponent_s=(), images=None))
    path = save_performance(tmp_path, written)
    assert path == tmp_path / "performance" / "cpu-made-up-2c-90x120.json"
    assert load_performance(tmp_path) == [written]
    (performance_folder(tmp_path) / "broken.json").write_text("{}")
    with pytest.raises(UserError, match=r"broken\.json: not a comparison with the plain way"):
        load_performance(tmp_path)


@pytest.mark.parametrize("changes", [{"reduced": False}, {"environments": ()}])
def test_a_record_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        record(entry(), **changes)
    with pytest.raises(ValidationError, match="different names"):
        record(entry(), entry())


def test_a_newer_entry_takes_the_place_of_the_older_with_its_own_manifest() -> None:
    old = record(entry("a"), entry("b"))
    new = record(entry("b", ours_s=(1.0, 1.0, 1.0)), environments=({"git_commit": "b"},))
    both = joined(old, new)
    assert [one.name for one in both.entries] == ["a", "b"]
    commits = [both.environments[one.environment]["git_commit"] for one in both.entries]
    assert commits == ["a", "b"]
    found = both.entry("b")
    assert found is not None and found.ours_s == (1.0, 1.0, 1.0)
    assert joined(None, new) == new
    with pytest.raises(ValueError, match="not of one device and size"):
        joined(old, record(entry(), size=(360, 480), reduced=False))


def test_doubts_and_notes() -> None:
    assert load_flag(2.4, 2) == () and load_flag(None, 2) == ()
    assert load_flag(2.6, 2) == ("others used the machine: load average 2.6, of which at most 2 ours",)
    assert bfloat16_note("flags: avx2 avx512_bf16") is None and bfloat16_note("") is None
    assert "no bfloat16 instructions" in str(bfloat16_note("flags: avx2"))


# -- the gate -----------------------------------------------------------------------------------------------


def slower(factor: float, name: str = "training-fp32") -> Entry:
    return entry(name, ours_s=tuple(factor * value for value in entry().ours_s))


def test_the_gate_closes_beyond_a_quarter() -> None:
    assert regressions(record(entry()), record(slower(1.249))) == []
    assert regressions(record(entry()), record(slower(0.5))) == []
    [found] = regressions(record(entry()), record(slower(1.3)))
    assert found.name == "training-fp32"
    # 1.3 times 0.8, 0.9 and 1.0
    assert "1.170 [1.105, 1.235] of the plain way's time, committed 0.900: worse by 30 %" in found.message


def test_a_slower_machine_slows_both_sides_and_closes_no_gate() -> None:
    twice = entry(ours_s=(18.0, 32.0, 20.0), opponent_s=(20.0, 40.0, 20.0))
    assert regressions(record(entry()), record(twice)) == []


def test_what_has_no_ratio_any_more_closes_the_gate() -> None:
    failed = entry(ours_s=(), opponent_s=(), failure="No module named 'x'")
    [missing] = regressions(record(entry()), record(entry("another")))
    [broken] = regressions(record(entry()), record(failed))
    assert "not measured now" in missing.message and "No module named 'x'" in broken.message
    without = entry(opponent=None, opponent_s=())
    assert regressions(record(without), record(slower(9))) == []
    assert regressions(record(failed), record(slower(9))) == []


def test_a_device_is_judged_by_its_own_record_else_by_one_with_as_many_threads() -> None:
    new = record(entry(), device_slug="cpu-new-2c")
    other = record(entry(), device_slug="cpu-other-2c")
    larger = record(entry(), device_slug="cpu-larger-8c", threads=8)
    whole = record(entry(), device_slug="cpu-new-2c", size=(360, 480), reduced=False)
    own = record(slower(1.1), device_slug="cpu-new-2c")
    assert baseline_for(new, [larger, whole]) is None
    assert baseline_for(new, [larger, other]) is other
    assert baseline_for(new, [other, own]) is own


def test_bfloat16_is_judged_on_the_same_device_only() -> None:
    before, now = entry(precision="bf16"), slower(20).model_copy(update={"precision": "bf16"})
    assert len(regressions(record(before), record(now))) == 1
    assert regressions(record(before), record(now, device_slug="cpu-other-2c")) == []


# -- turns --------------------------------------------------------------------------------------------------


def test_the_order_is_swapped_each_round_and_warm_up_leaves_no_sample(tmp_path: Path) -> None:
    settings = Settings(work=tmp_path)
    with (
        Player(TINY, "noted", settings, harness_environment()) as ours,
        Player(TINY, "noted", settings.model_copy(update={"workers": 1}), plain_environment()) as plain,
    ):
        duel = Duel(ours, plain, warmup=1)
        for _ in range(4):
            duel.before()
            duel.ours()
            duel.after()
        assert ours.explain() == ["it was noted"]
    assert (tmp_path / "turns").read_text() == "PooPPooP"
    assert len(duel.ours_s) == len(duel.other_s) == 3
    assert min(*duel.ours_s, *duel.other_s) > 0


def test_a_side_that_fails_says_why_in_one_line() -> None:
    with Player(TINY, "failing", Settings(), plain_environment()) as player:
        assert player.turn() == [1.0]
        with pytest.raises(PlayerError, match=f"^{TINY}: failing: StopIteration"):
            player.turn()
    with (
        pytest.raises(PlayerError, match="unknown: KeyError: 'unknown'"),
        Player(TINY, "unknown", Settings(), plain_environment()),
    ):
        pass


def test_one_side_may_bring_its_opponent() -> None:
    class Both:
        def turn(self) -> list[float]:
            return [1.0, 2.0]

    duel = Duel(Both(), None, warmup=0)  # type: ignore[arg-type]
    duel.before()
    duel.ours()
    duel.after()
    assert (duel.ours_s, duel.other_s) == ([1.0], [2.0])


def test_a_player_answers_until_the_end() -> None:
    answers = io.StringIO()
    serve(Job(turn=lambda: (2.0,)), ["turn\n", "explain\n", "end\n", "turn\n"], answers)
    assert [json.loads(line) for line in answers.getvalue().splitlines()] == [
        {"seconds": [2.0]},
        {"notes": []},
    ]
    with pytest.raises(ValueError, match="no 'dance'"):
        serve(Job(turn=lambda: (2.0,)), ["dance"], answers)


def test_the_plain_side_knows_nothing_of_the_harness_s_allocator() -> None:
    assert "MALLOC_MMAP_MAX_" not in plain_environment() and "MALLOC_MMAP_MAX_" in harness_environment()


# -- what is compared ---------------------------------------------------------------------------------------


def test_comparisons_have_names_of_their_own_and_the_issue_s_targets() -> None:
    targets = {one.name: one.target.at_most for one in COMPARISONS if one.target}
    assert len({one.name for one in COMPARISONS}) == len(COMPARISONS)
    assert targets == {
        "training-fp32": 0.93,
        "training-bf16": 0.47,
        "inference-bf16": 0.50,
        "inference-bf16-folded": 0.42,
        "reading-0-workers": 0.1,
        "reading-2-workers": 0.1,
        "scoring": 8,
        "help": 0.5,
        "report-camvid": 10,
        "report-decoders": 10,
        "overhead": 1.03,
    }


def test_emulated_bfloat16_is_measured_with_few_samples() -> None:
    by_name = {one.name: one for one in COMPARISONS}
    few = by_name["training-bf16"].scale(small=False, emulated=True)
    assert (few.rounds, few.warmup, few.batch) == (3, 0, 1)
    assert by_name["training-bf16"].scale(small=False, emulated=False).batch == 5
    assert by_name["training-fp32"].scale(small=False, emulated=True).batch == 5


# -- the plain way ------------------------------------------------------------------------------------------


def norms(network: nn.Module) -> Sequence[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.fixture(scope="module")
def networks() -> tuple[nn.Module, SegNet]:
    """Ours and the plain one, with the same weights and the same epsilon of batch norm; dropout off."""
    torch.manual_seed(0)
    ours, plain = architectures.build("segnet", 11, (40, 56)), SegNet(11)
    values = list(ours.state_dict().values())
    names = list(plain.state_dict())
    plain.load_state_dict(dict(zip(names, values, strict=True)))
    for theirs, own in zip(norms(plain), norms(ours), strict=True):
        theirs.eps = own.eps
    for network in (ours, plain):
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
    return ours, plain


def test_the_plain_network_has_the_same_parameters_and_dropouts() -> None:
    ours, plain = architectures.build("segnet", 11, (40, 56)), SegNet(11)
    assert sum(one.numel() for one in plain.parameters()) == 29_449_355
    assert sum(one.numel() for one in plain.parameters()) == sum(one.numel() for one in ours.parameters())
    rates = [
        [module.p for module in network.modules() if isinstance(module, nn.Dropout)]
        for network in (ours, plain)
    ]
    assert rates[0] == rates[1] == [0.5] * 4  # one module serves all three poolings of the encoder


def test_the_plain_network_computes_the_same(networks: tuple[nn.Module, SegNet]) -> None:
    ours, plain = networks
    images = torch.randn(2, 3, 40, 56, generator=torch.Generator().manual_seed(1))
    for network in networks:
        network.train()
    with torch.no_grad():
        torch.testing.assert_close(plain(images), ours(images))
    for network in networks:
        network.eval()
    with torch.no_grad():
        torch.testing.assert_close(plain(images), ours(images))


def test_the_plain_matrix_is_the_same() -> None:
    rng = np.random.default_rng(0)
    prediction = rng.integers(0, 4, (20, 30)).astype(np.uint8)
    label = rng.choice(np.array([0, 1, 2, 3, 255], dtype=np.uint8), (20, 30))
    assert np.array_equal(confusion_matrix(prediction, label, 4), exact_matrix(prediction, label, 4))


def test_the_plain_boundary_score_by_hand() -> None:
    label = np.zeros((40, 40), dtype=np.uint8)
    label[:, 20:] = 1
    assert boundary_score(label, label, 2) == 1.0
    # the tolerance is 0.0075 of 56.6 pixels: less than one pixel
    assert boundary_score(np.roll(label, 9, 1), label, 3) < 0.8
    found = score([label, label], [label, label], 2)
    assert found == {"G": 1.0, "C": 1.0, "mIoU": 1.0, "BF": 1.0}


def test_the_plain_loader_decodes_every_pair(tmp_path: Path) -> None:
    from PIL import Image

    for folder in ("train", "trainannot"):
        (tmp_path / folder).mkdir()
    for number in range(3):
        pixels = np.full((8, 12, 3), 40 * number, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "train" / f"{number}.png")
        Image.fromarray(np.full((8, 12), 11, dtype=np.uint8)).save(tmp_path / "trainannot" / f"{number}.png")
    batches = list(loader(CamVid(tmp_path, "train", (4, 6)), 2, 0))
    assert [tuple(images.shape) for images, _ in batches] == [(2, 3, 4, 6), (1, 3, 4, 6)]
    assert all(bool((labels == 11).all()) and labels.dtype == torch.int64 for _, labels in batches)
    image, label = CamVid(tmp_path, "train", normalise=False)[2]
    assert (
        image.dtype == label.dtype == torch.uint8 and image.shape == (8, 12, 3) and int(image[0, 0, 0]) == 80
    )
    normal, _ = CamVid(tmp_path, "train")[0]
    assert normal[0, 0, 0].item() == pytest.approx(-0.485 / 0.229)


# -- the command --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factors", "code", "measured"),
    [((1.2,), 0, 1), ((1.5, 1.0), 0, 2), ((1.5, 1.5), 1, 2)],
)
def test_check_measures_what_is_worse_once_more(
    factors: tuple[float, ...],
    code: int,
    measured: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save_performance(tmp_path / "results", record(entry()))
    asked: list[Sequence[str]] = []

    def compare(words: Sequence[str]) -> int:
        [place] = [Path(word.partition("=")[2]) for word in words if word.startswith("--performance-results")]
        save_performance(place, record(slower(factors[len(asked)])))
        asked.append(words)
        return 0

    monkeypatch.setattr(performance, "ROOT", tmp_path)
    monkeypatch.setattr(performance, "compare", compare)
    assert performance.main(["check"]) == code
    assert len(asked) == measured
    assert all("training-fp32" in words for words in asked[1:])
    assert ("REGRESSION: training-fp32" in capsys.readouterr().out) is bool(code)


def test_check_without_a_committed_record_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def compare(words: Sequence[str]) -> int:
        [place] = [Path(word.partition("=")[2]) for word in words if word.startswith("--performance-results")]
        save_performance(place, record(entry()))
        return 0

    monkeypatch.setattr(performance, "ROOT", tmp_path)
    monkeypatch.setattr(performance, "compare", compare)
    assert performance.main(["check"]) == 0
    assert "nothing to judge by: no committed record at 90x120" in capsys.readouterr().out
