"""Suites, and the plans made of them."""

from pathlib import Path
from typing import Any

import pytest

from harness.config.planning import further_rows, plan, planned_protocols
from harness.config.protocol import load_protocol, validated
from harness.config.request import RunRequest
from harness.config.suite import Suite, load_suite, suite_names
from harness.system.errors import UserError
from tests.datasets.nyu_files import write_extracted


def request(**changes: Any) -> RunRequest:
    return RunRequest.model_validate({"suite": "decoders", **changes})


def names(suite: str = "decoders", **changes: Any) -> list[str]:
    return [protocol.title for protocol in planned_protocols(request(**changes), load_suite(suite))]


def test_each_balancing_of_a_suite_is_a_protocol_of_its_own() -> None:
    assert names() == ["decoders@2", "decoders@2+class_weighting=natural"]
    assert names(size="120x160") == ["decoders@2+size=120x160", "decoders@2+class_weighting=natural+size=120x160"]


def test_a_balancing_that_is_asked_for_replaces_the_suite_s() -> None:
    assert names(overrides=("class_weighting=natural",)) == ["decoders@2+class_weighting=natural"]
    assert names(overrides=("class_weighting=segnet-release",)) == ["decoders@2+class_weighting=segnet-release"]


def test_each_recipe_of_a_suite_is_a_protocol_of_its_own() -> None:
    assert names("recipes") == [
        "recipes@1+lr=0.0003",
        "recipes@1",
        "recipes@1+lr=0.0001",
        "recipes@1+lr=0.01+optimizer=sgd+weight_decay=0.0005",
        "recipes@1+lr=0.1+optimizer=sgd+weight_decay=0.0005",
    ]


def test_what_is_asked_for_wins_over_a_recipe_and_is_run_once() -> None:
    assert names("recipes", overrides=("lr=0.01",), iterations=100) == [
        "recipes@1+iterations=100+lr=0.01",
        "recipes@1+iterations=100+lr=0.01+optimizer=sgd+weight_decay=0.0005",
    ]


@pytest.mark.parametrize("changes", [{"size": "360x480"}, {"overrides": ("size=360 X 480",)}])
def test_the_dataset_s_own_size_is_no_change(changes: dict[str, Any]) -> None:
    assert names(**changes) == names()


@pytest.mark.parametrize(
    "changes",
    [
        {"size": "48x64", "overrides": ("size=24x32",)},
        {"iterations": 20, "overrides": ("iterations=30",)},
        {"overrides": ("lr=0.1", "lr=0.2")},
    ],
)
def test_a_field_given_twice_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"(size|iterations|lr) is given twice, as \S+ and as \S+; leave one out"):
        names(**changes)


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("recipes", {"class_weightings": ("median",)}, "exclude each other"),
        ("recipes", {"dense_crf": ("deeplab-largefov",)}, "has no dense_crf; leave it out"),
        ("camvid", {"architectures": ("fcn8s",), "dense_crf": ("segnet",)}, r"dense_crf names \['segnet'\]"),
        ("quick", {"table": "table1"}, "table1 is the paper's, which has no figure of roads"),
        ("quick", {"table": "table4"}, "table4 is the paper's, which has no figure of roads"),
        ("quick", {"references": ("deconvnetwork",)}, "must be among the architectures"),
    ],
)
def test_what_does_not_go_together_is_refused(name: str, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        validated(Suite, {**load_suite(name).model_dump(), **changes}, "suite s")


def test_a_table_of_test_scores_refuses_a_protocol_that_leaves_them_out(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {**load_suite("camvid").model_dump(exclude={"name"}), "also_reports": ("recipes@1",)}
    monkeypatch.setattr("harness.config.suite.read_toml", lambda *_: values)
    with pytest.raises(UserError, match=r"suite camvid: .* protocol recipes@1 leaves out"):
        load_suite("camvid")


def test_whether_test_is_scored_is_no_override() -> None:
    with pytest.raises(UserError, match="override 'score_test': no such field"):
        load_protocol("camvid@2").override({"score_test": "false"})


def test_a_plan_holds_every_architecture_with_every_protocol_and_seed() -> None:
    suite = load_suite("quick").model_copy(update={"recipes": ({}, {"lr": "0.01"})})
    specs = plan(request(suite="quick", architectures=("segnet", "segnet-basic"), seeds=(0, 1)), suite).specs
    found = [(spec.protocol.title, spec.seed, spec.architecture) for spec in specs]
    assert len(set(found)) == len(found) == 8
    assert found[0] == ("quick@2", 0, "segnet")
    assert len({spec.run_id for spec in specs}) == 8


@pytest.mark.parametrize("name", suite_names())
def test_every_suite_names_protocols_of_its_own_dataset(name: str) -> None:
    suite = load_suite(name)
    assert {load_protocol(protocol).dataset for protocol in suite.protocols} == {suite.dataset}


def further(**changes: Any) -> list[tuple[str, str]]:
    rows = further_rows(request(suite="sunrgbd", **changes), load_suite("sunrgbd"))
    return [(name, protocol.title) for name, protocol in rows]


def test_one_more_row_of_a_suite() -> None:
    assert further() == [("segnet", "sunrgbd@2+class_weighting=median")]
    assert further(size="90x120") == [("segnet", "sunrgbd@2+class_weighting=median+size=90x120")]
    assert further(architectures=("deconvnet",)) == []
    assert further(overrides=("class_weighting=natural",)) == []


def test_a_plan_holds_the_further_rows_once_for_each_seed(tmp_path: Path) -> None:
    write_extracted(tmp_path)
    specs = plan(request(suite="nyuv2", data_root=str(tmp_path), seeds=(0, 1), encoder_weights=("none",))).specs
    found = [(spec.architecture, spec.protocol.class_weighting, spec.seed) for spec in specs]
    # five networks and the balanced SegNet, and DeepLab refined by the dense CRF
    assert len(specs) == 14 and len({spec.run_id for spec in specs}) == 14
    assert found[-2:] == [("segnet", "median", 0), ("segnet", "median", 1)]
    assert sum(bool(spec.postprocess) for spec in specs) == 2
    assert {spec.num_classes for spec in specs} == {37}


def test_nyuv2_fills_the_form_of_table_4_with_sunrgbds_rows() -> None:
    nyu, sun = load_suite("nyuv2"), load_suite("sunrgbd")
    for field in ("table", "architectures", "further", "dense_crf", "encoder_weights"):
        assert getattr(nyu, field) == getattr(sun, field)
    assert nyu.protocols == ("nyuv2@1", "nyuv2-half@1")


def test_sunrgbd_is_the_recipe_of_table_4() -> None:
    suite, protocol = load_suite("sunrgbd"), load_protocol("sunrgbd@2")
    assert (suite.table, suite.encoder_weights) == ("table4", "imagenet")
    assert (protocol.optimizer, protocol.lr, protocol.lr_scheduler, protocol.batch_size) == ("sgd", 1e-3, "fixed", 4)
    assert (protocol.momentum, protocol.weight_decay, protocol.class_weighting) == (0.9, 5e-4, "natural")
    assert protocol.report_at == {"80K": 80_000, "140K": 140_000} and protocol.size is None


def test_the_recipe_chosen_on_val_is_one_of_those_compared() -> None:
    chosen, compared = load_protocol("camvid-tuned@1"), load_protocol("recipes@1")
    paper, own = load_protocol("camvid-epochs@2"), ("optimizer", "lr", "weight_decay")
    for field in ("lr_scheduler", "momentum", "hflip", "bias_lr_mult"):
        assert getattr(chosen, field) == getattr(compared, field)
    for field in ("batch_size", "class_weighting", "input_mean", "input_std"):
        assert getattr(chosen, field) == getattr(compared, field) == getattr(paper, field)
    recipes = [compared.override(recipe) for recipe in load_suite("recipes").recipes]
    assert [getattr(chosen, field) for field in own] in [
        [getattr(recipe, field) for field in own] for recipe in recipes
    ]


def test_decoders_is_the_recipe_of_table_1() -> None:
    suite, protocol = load_suite("decoders"), load_protocol("decoders@2")
    assert len(suite.architectures) == 8 and suite.class_weightings == ("median", "natural")
    assert (protocol.optimizer, protocol.lr, protocol.lr_scheduler) == ("sgd", 0.1, "fixed")
    assert (protocol.momentum, protocol.weight_decay, protocol.batch_size) == (0.9, 5e-4, 12)
    assert (protocol.iterations, protocol.eval_interval, protocol.early_stopping_min_delta) == (10_000, 1_000, 0.01)
    assert protocol.local_response_norm and not protocol.hflip and protocol.select_by == "G"
    assert protocol.evaluation_points() == list(range(1_000, 10_001, 1_000))


def test_a_refined_network_comes_right_after_the_one_that_it_needs() -> None:
    suite = load_suite("quick").model_copy(update={"dense_crf": ("segnet",)})
    asked = request(suite="quick", architectures=("deconvnet", "segnet", "fcn8s"), seeds=(0, 1))
    names = [(spec.seed, spec.network) for spec in plan(asked, suite).specs]
    each = ["deconvnet", "segnet", "segnet+dense-crf@1", "fcn8s"]
    assert names == [(0, name) for name in each] + [(1, name) for name in each]


def test_camvid_has_the_paper_s_refined_network() -> None:
    assert load_suite("camvid").dense_crf == ("deeplab-largefov",)
