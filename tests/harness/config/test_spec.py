"""A run's identity: changed by what determines the outcome, by nothing else."""

from pathlib import Path
from typing import Any

import pytest

from harness.config.initial_weights import HE, IMAGENET
from harness.config.run_spec import RunSpec, refined
from harness.records.run import load_runs
from tests.harness.helpers import spec, tiny_protocol


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": "deconvnet"},
        {"architecture_revision": 2},
        {"architecture_source": "1" * 64},
        {"dataset_variant": "other"},
        {"dataset_hash": "1" * 64},
        {"protocol": tiny_protocol(lr="0.01")},
        {"protocol": tiny_protocol(hflip="false")},
        {"protocol": tiny_protocol(loss="dice")},
        {"protocol": tiny_protocol(optimizer="lamb")},
        {"seed": 1},
        {"initial_weights": IMAGENET},
        {"initial_weights": IMAGENET.model_copy(update={"release": "another"})},
        {"precision": "bf16"},
        {"compiled": "default"},
        {"compiled": "graphs"},
        {"postprocess": "dense-crf@1"},
        {"metrics_revision": 99},
        {"evaluation_revision": 99},
    ],
)
def test_each_thing_that_matters_makes_another_run(change: dict[str, Any]) -> None:
    assert spec(**change).run_id != spec().run_id


def test_two_plugins_of_one_name_are_two_networks() -> None:
    one, other = (spec(architecture="build-model", architecture_source=sign * 64) for sign in "ab")
    assert one.run_id != other.run_id and one.network != other.network
    assert one.network == "build-model#aaaaaaaa" and spec().network == "segnet"


def test_an_override_counts_by_what_it_changes_and_not_by_how_it_is_written() -> None:
    plain, same = (tiny_protocol(lr=text) for text in ("0.0003", "3e-4"))
    assert plain.overrides == same.overrides and plain.title == same.title
    assert spec(protocol=plain).run_id == spec(protocol=same).run_id


def test_texts_do_not_matter() -> None:
    reworded = spec().protocol.model_copy(update={"summary": "other words", "source": "elsewhere"})
    renamed = HE.model_copy(update={"title": "random"})
    assert spec(protocol=reworded, initial_weights=renamed).run_id == spec().run_id


def test_the_id_survives_json() -> None:
    assert RunSpec.model_validate_json(spec().model_dump_json()).run_id == spec().run_id


def test_the_id_is_stable() -> None:
    """Finished runs must be found again by later versions: a changed id here orphans every record."""
    earlier = tiny_protocol().model_copy(update={"name": "quick@1"})
    found = spec(dataset_hash="0" * 64, protocol=earlier)
    assert found.run_id == "segnet-roads-s0-984ba809"
    assert len(found.identity()) == 64


def test_a_run_that_refines_another_one_s_output_says_so_in_its_name() -> None:
    plain = spec()
    assert refined(plain).run_id.startswith("segnet-dense-crf-roads-s0-")
    assert (plain.network, refined(plain).network) == ("segnet", "segnet+dense-crf@1")


def test_every_record_of_this_repository_is_found_under_its_id() -> None:
    """`load_runs` names each whose id is no longer that of its spec, or which no longer fits the schema."""
    results = Path(__file__).parents[3] / "results"
    runs, unreadable = load_runs(results)
    assert unreadable == []
    assert len(runs) == len(list((results / "runs").iterdir())) > 0
    assert {run.record.spec.compiled for run in runs} == {"no"}
