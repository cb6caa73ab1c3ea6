"""Protocols: what the paper says, overrides that name themselves, and values that are refused."""

from itertools import pairwise

import pytest

from harness.config.protocol import Protocol, load_protocol, parse_size, toml_names
from harness.system.errors import UserError


def test_camvid_is_the_papers_table_3_recipe() -> None:
    protocol = load_protocol("camvid@2")
    assert (protocol.lr, protocol.momentum, protocol.weight_decay, protocol.batch_size) == (1e-3, 0.9, 5e-4, 5)
    assert protocol.lr_scheduler == "fixed" and not protocol.hflip and protocol.size is None
    assert protocol.report_at == {"half": 40_000, "end": 80_000}
    assert protocol.evaluation_points() == [20_000, 40_000, 60_000, 80_000]


def test_camvid_epochs_counts_the_papers_iterations_in_epochs() -> None:
    protocol = load_protocol("camvid-epochs@2")
    epochs_of_40k = 40_000 * 5 / 3433
    assert protocol.report_at["half"] * 5 / 367 == pytest.approx(epochs_of_40k, rel=2e-3)
    assert protocol.report_at["end"] * 5 / 367 == pytest.approx(2 * epochs_of_40k, rel=2e-3)
    assert protocol.evaluation_points() == [2140, 4280, 6420, 8560]


@pytest.mark.parametrize("name", toml_names("protocols"))
def test_every_protocol_file_loads_under_its_own_name(name: str) -> None:
    assert load_protocol(name).name == name
    reduced = ["input 180 x 240 instead of 360 x 480"] if "-half" in name else []
    others = {"quick@2": ["quick protocol on drawn data"], "recipes@1": ["input 120 x 160 instead of 360 x 480"]}
    assert load_protocol(name).reductions((360, 480)) == others.get(name, reduced)


RECIPE = ["optimizer", "lr", "lr_scheduler", "weight_decay", "momentum", "hflip", "batch_size", "bias_lr_mult"]


@pytest.mark.parametrize("name", ["camvid-half@1", "camvid-half-weighted@1", "nyuv2@1", "nyuv2-half@1"])
def test_protocols_of_the_chosen_recipe_share_it(name: str) -> None:
    """But for the rate on indoor scenes, where FCN-8s diverges with that of CamVid."""
    chosen, tuned = load_protocol(name), load_protocol("camvid-tuned@1")
    recipe = [field for field in RECIPE if field != "lr"]
    assert [getattr(chosen, field) for field in recipe] == [getattr(tuned, field) for field in recipe]
    assert chosen.lr == (0.03 if name.startswith("nyuv2") else tuned.lr)
    quarters = [chosen.iterations * share // 4 for share in (1, 2, 3, 4)]
    assert chosen.evaluation_points() == quarters
    assert chosen.report_at == {"half": quarters[1], "end": quarters[3]}


def test_nyuv2_is_camvid_tuned_with_other_data_rate_and_length() -> None:
    own = {"name", "summary", "source", "dataset", "lr", "iterations", "report_at", "eval_interval"}
    nyu, camvid = load_protocol("nyuv2@1"), load_protocol("camvid-tuned@1")
    assert nyu.model_dump(exclude=own) == camvid.model_dump(exclude=own)
    assert (nyu.size, nyu.batch_size, nyu.iterations) == (None, 5, 8000)
    assert nyu.report_at == {"half": 4000, "end": 8000}
    assert nyu.evaluation_points() == [2000, 4000, 6000, 8000]


def test_nyuv2_half_is_nyuv2_made_smaller() -> None:
    own = {"name", "summary", "source", "size", "iterations", "report_at", "eval_interval"}
    half, full = load_protocol("nyuv2-half@1"), load_protocol("nyuv2@1")
    assert half.model_dump(exclude=own) == full.model_dump(exclude=own)
    assert (half.size, half.iterations) == ((180, 240), 2400)
    assert half.evaluation_points() == [600, 1200, 1800, 2400]
    smaller = half.override({"size": "48x64", "iterations": "4"})
    assert smaller.reductions((360, 480)) == ["input 48 x 64 instead of 360 x 480", "4 of 2,400 iterations"]


def test_override_is_named_whatever_the_order() -> None:
    protocol = load_protocol("camvid@2")
    one = protocol.override({"size": "90x120", "lr": "0.02", "iterations": "300"})
    other = protocol.override({"iterations": "300", "lr": "0.02", "size": "90x120"})
    assert one == other
    assert one.title == "camvid@2+iterations=300+lr=0.02+size=90x120"
    assert one.name == "camvid@2" and one.overrides == {"iterations": "300", "lr": "0.02", "size": "90x120"}
    assert one.size == (90, 120)


def test_fewer_iterations_move_the_rows_in_proportion() -> None:
    short = load_protocol("camvid@2").override({"iterations": "300"})
    assert short.report_at == {"half": 150, "end": 300}
    assert short.evaluation_points() == [150, 300]
    assert load_protocol("camvid@2").override({"iterations": "1"}).evaluation_points() == [1]


def test_an_override_with_the_same_value_changes_nothing() -> None:
    protocol = load_protocol("camvid@2")
    assert protocol.override({"lr": "0.001"}) == protocol
    twice = protocol.override({"lr": "0.1", "size": "90x120"}).override({"lr": "1e-3"})
    assert twice.title == "camvid@2+size=90x120"


def test_a_second_override_is_as_if_both_were_one() -> None:
    protocol = load_protocol("camvid@2")
    assert protocol.override({"iterations": "301"}).override({"iterations": "80000"}) == protocol
    assert protocol.override({"iterations": "80000"}) == protocol
    both = {"iterations": "301", "eval_interval": "100"}
    assert protocol.override({"eval_interval": "100"}).override({"iterations": "301"}) == protocol.override(both)


def spacing(protocol: Protocol) -> int:
    """The least distance between two evaluations, or before the first."""
    points = [0, *protocol.evaluation_points()]
    return min(later - one for one, later in pairwise(points))


@pytest.mark.parametrize("iterations", [301, 1000, 1001])
@pytest.mark.parametrize("name", ["camvid@2", "camvid-half@1", "decoders@2", "quick@2"])
def test_odd_lengths_have_no_evaluations_side_by_side(name: str, iterations: int) -> None:
    short = load_protocol(name).override({"iterations": str(iterations)})
    assert spacing(short) >= iterations // 2
    assert max(short.report_at.values()) == iterations


@pytest.mark.parametrize("images", [84, 367, 433])
def test_odd_numbers_of_images_have_no_evaluations_side_by_side(images: int) -> None:
    own = load_protocol("own@1").for_images(images)
    assert (len(own.evaluation_points()), own.report_at["end"]) == (4, own.iterations)
    assert spacing(own) > own.iterations / 5
    for iterations in (301, 1000, own.iterations + 1):
        assert spacing(own.override({"iterations": str(iterations)})) >= iterations // 2


def test_epochs_follow_the_batch_size() -> None:
    own = load_protocol("own@1").for_images(400)
    for batch in (1, 10):
        found = own.override({"batch_size": str(batch), "lr": "0.1"})
        assert found.iterations * batch == own.iterations * own.batch_size
        assert spacing(found) == found.iterations / 4
        assert found.overrides == {"batch_size": str(batch), "lr": "0.1"}
        assert found.reductions((360, 480)) == []
    shorter = own.override({"batch_size": "1", "iterations": str(own.iterations)})
    assert shorter.overrides == {"batch_size": "1", "iterations": str(own.iterations)}
    assert shorter.reductions((360, 480)) == [f"{own.iterations:,} of {5 * own.iterations:,} iterations"]
    assert load_protocol("camvid@2").override({"batch_size": "1"}).iterations == load_protocol("camvid@2").iterations


@pytest.mark.parametrize(
    ("name", "field", "text", "value"),
    [
        ("camvid@2", "input_mean", "1, 2,3.5", (1.0, 2.0, 3.5)),
        ("camvid@2", "input_std", "1,2,3", (1.0, 2.0, 3.0)),
        ("quick@2", "dropout", "none", None),
        ("quick@2", "size", "none", None),
        ("decoders@2", "early_stopping_min_delta", "none", None),
    ],
)
def test_any_value_can_be_written_and_is_written_as_it_can_be_read(
    name: str, field: str, text: str, value: object
) -> None:
    protocol = load_protocol(name)
    changed = protocol.override({field: text})
    assert getattr(changed, field) == value
    assert protocol.override(changed.overrides) == changed


def test_reductions_say_what_is_smaller() -> None:
    reduced = load_protocol("camvid@2").override({"size": "90x120", "iterations": "300"})
    assert reduced.reductions((360, 480)) == ["input 90 x 120 instead of 360 x 480", "300 of 80,000 iterations"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lrr": "1"}, "did you mean 'lr'"),
        ({"lr": "-1"}, "lr: Input should be greater than 0"),
        ({"lr": "fast"}, "lr"),
        ({"lr_scheduler": "cosine"}, "lr_scheduler: .*unknown lr_scheduler 'cosine'; did you mean 'warmup-cosine'"),
        ({"optimizer": "adamm"}, "optimizer: .*unknown optimizer 'adamm'; did you mean 'adam'"),
        ({"optimizer": "adagrad"}, "momentum 0.9: the optimizer adagrad has none; write 0"),
        ({"loss": "dise"}, "loss: .*unknown loss 'dise'; did you mean 'dice'"),
        ({"loss": "lovasz", "class_weighting": "median"}, "class_weighting median: the loss lovasz takes no"),
        ({"iterations": "many"}, "whole number"),
        ({"size": "90"}, "height x width"),
        ({"input_mean": "1x2x3"}, "input_mean: .*three numbers with commas"),
        ({"input_std": "0,1,2"}, "input_std.0: Input should be greater than 0"),
        ({"lr": "none"}, "lr: Input should be a valid number"),
        ({"name": "mine"}, "no such field"),
        ({"report_at": "5"}, "no such field"),
    ],
)
def test_bad_overrides_name_field_and_value(changes: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        load_protocol("camvid@2").override(changes)


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UserError, match=r"did you mean 'camvid@2'"):
        load_protocol("camvid@1")


@pytest.mark.parametrize("text", ["", "x", "90x", "x120", "90*120", "a x b", "-90x120"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match="height x width"):
        parse_size(text)
