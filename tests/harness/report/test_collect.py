"""Which runs may stand in one table, and which are left out."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datasets import DatasetInfo
from harness.config.protocol import Protocol, load_protocol
from harness.config.run_spec import InitialWeights
from harness.config.suite import load_suite
from harness.report.collect import collect
from harness.report.site.build import write_site
from harness.report.store import title
from harness.report.write import write_reports
from tests.harness.report.made_up import Store, matrix

SCORES = {"half": np.stack([matrix([100] * 11)] * 3), "end": np.stack([matrix([100] * 11)] * 3)}


def slugs(store: Store) -> list[str]:
    return [group.slug for group in collect(store.results, load_suite("camvid")).groups]


def test_each_difference_makes_a_group_of_its_own(store: Store, camvid: Protocol) -> None:
    weights = InitialWeights(kind="file", sha256="ab" * 32, title="VGG16")
    compiled = store.spec("segnet", protocol=camvid).model_copy(update={"compiled": "graphs"})
    specs = [
        store.spec("segnet", protocol=camvid),
        store.spec("segnet", protocol=camvid, weights=weights),
        store.spec("segnet", protocol=camvid, precision="bf16"),
        store.spec("segnet", protocol=camvid, variant="camvid-jpeg93"),
        store.spec("segnet", protocol=camvid, digest="e" * 64),  # another edition of the same name
        store.spec("segnet", protocol=camvid.override({"lr": "0.002"})),
        compiled,
    ]
    for spec in specs:
        store.run(spec, SCORES)
    store.run(store.spec("fcn8s", protocol=camvid, seed=3), SCORES)
    found = slugs(store)
    assert len(found) == len(set(found)) == len(specs)
    assert all(re.fullmatch(r"camvid-epochs-2-[0-9a-f]{8}", slug) for slug in found)


def test_full_groups_come_first(store: Store, camvid: Protocol) -> None:
    store.run(store.spec("segnet", protocol=camvid.override({"iterations": "300"})), SCORES)
    store.run(store.spec("segnet", protocol=camvid), SCORES)
    groups = collect(store.results, load_suite("camvid")).groups
    assert [group.reduced for group in groups] == [(), ("300 of 8,560 iterations",)]


def test_networks_that_are_no_suites_come_last_and_without_the_paper(store: Store, camvid: Protocol) -> None:
    """By the suite's recipe from another encoder's weights, so that they make a group of their own."""
    own, other = (InitialWeights(kind="file", sha256=2 * key * 32, title=f"{key}-net ImageNet (A & B)") for key in "fa")
    store.run(store.spec("smp:Unet/resnet34", protocol=camvid, weights=other), SCORES)
    store.run(store.spec("segnet", protocol=camvid.override({"iterations": "300"}), weights=own), SCORES)
    store.run(store.spec("segnet", protocol=camvid, weights=own), SCORES)
    groups = collect(store.results, load_suite("camvid")).groups
    assert [group.networks for group in groups] == [["segnet"], ["segnet"], ["smp:Unet/resnet34"]]
    reports = store.results.parent / "reports"
    write_reports(store.results, reports, ["camvid"])
    first, _, last = ((reports / "camvid" / group.slug / "README.md").read_text() for group in groups)
    assert first.splitlines()[0].endswith(", from f-net ImageNet") and last.splitlines()[0].endswith("a-net ImageNet")
    assert "mIoU %, paper" in first and "paper" not in (reports / "camvid" / groups[-1].slug / "table3.csv").read_text()


def test_networks_are_in_the_suites_order(store: Store, camvid: Protocol) -> None:
    for name in ("smp:Unet/resnet34", "deconvnet", "segnet"):
        store.run(store.spec(name, protocol=camvid), SCORES)
    (group,) = collect(store.results, load_suite("camvid")).groups
    assert group.networks == ["segnet", "deconvnet", "smp:Unet/resnet34"]


def test_other_revision_of_an_architecture_is_left_out_and_named(store: Store, camvid: Protocol) -> None:
    folder = store.run(store.spec("segnet", protocol=camvid, revision=99), SCORES)
    records = collect(store.results, load_suite("camvid"))
    assert records.groups == ()
    ((name, reason),) = records.outdated
    assert name == folder.name
    assert reason.startswith("revision 99 of segnet, now ")


def test_logits_that_were_pressed_into_the_image_are_left_out_and_named(store: Store) -> None:
    half = load_protocol("camvid-half@1")  # 180 rows, of which DeepLab makes 23 cells of 8
    for name in ("segnet", "deeplab-largefov"):
        store.run(store.spec(name, protocol=half).model_copy(update={"logits_reach": ""}), SCORES)
    records = collect(store.results, load_suite("camvid"))
    assert [group.networks for group in records.groups] == [["segnet"]]
    assert [(name[:7], "reach over" in reason) for name, reason in records.outdated] == [("deeplab", True)]


@pytest.mark.parametrize("name", ["scores.npz", "history.json"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_damaged_run_is_named_and_the_others_stay(store: Store, camvid: Protocol, name: str, damage: str) -> None:
    folder = store.run(store.spec("segnet", protocol=camvid), SCORES)
    store.run(store.spec("deconvnet", protocol=camvid), SCORES)
    if damage == "missing":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes((folder / name).read_bytes()[:40])
    records = collect(store.results, load_suite("camvid"))
    assert [group.networks for group in records.groups] == [["deconvnet"]]
    (line,) = records.unreadable
    assert line.startswith(f"runs/{folder.name}: ")
    assert str(store.results) not in line


def test_unreadable_run_of_another_suite_or_dataset_is_none_of_ours(store: Store) -> None:
    for name in ("segnet-camvid", "segnet-basic-camvid", "smp-Linknet-resnet18-camvid", "segnet-roads"):
        (store.results / "runs" / f"{name}-s0-00000000").mkdir(parents=True)
    for suite, other in (("camvid", "segnet-basic"), ("decoders", "segnet")):
        lines = collect(store.results, load_suite(suite)).unreadable
        assert len(lines) == 2
        assert not [line for line in lines if line.startswith((f"runs/{other}-camvid", "runs/segnet-roads"))]


def test_title_of_an_unregistered_architecture_is_its_name() -> None:
    assert title("fcn8s") == "FCN (learnt deconv)"
    assert title("smp:Unet/resnet34") == "smp:Unet/resnet34"


def test_editions_of_own_data_under_one_name_have_each_its_own_classes(store: Store, tmp_path: Path) -> None:
    """Two folders may have one name, and one folder other classes than before: their groups stay apart."""
    protocol = load_protocol("own@1").for_images(10)
    for names in (("cat", "dog"), ("cat", "dog", "fish"), ("dog", "cat")):
        count = len(names)
        own = DatasetInfo(
            name="folder-pets",
            title=" then ".join(names),
            classes=names,
            colors=tuple((number, 0, 0) for number in range(count)),
            size=(64, 32 * count),
            splits={"train": 10, "val": 3, "test": 12},
            source="own data",
            synthetic=False,
            own=True,
        )
        digest = hashlib.sha256("".join(names).encode()).hexdigest()
        spec = store.spec("segnet", protocol=load_protocol("quick@2"), digest=digest, variant="folder-pets")
        changes = {"dataset": "folder-pets", "own_data": own, "num_classes": count, "protocol": protocol}
        matrices = np.stack([10 * np.eye(count, dtype=np.int64)] * 12)
        store.run(spec.model_copy(update=changes), {"half": matrices, "end": matrices})
    written = write_reports(store.results, tmp_path / "reports")
    pages = [path for path in written if path.name == "per-class.csv"]
    found = sorted(tuple(pd.read_csv(page)["class"].unique()) for page in pages)
    assert found == [("cat", "dog"), ("cat", "dog", "fish"), ("dog", "cat")]
    heads = [page.with_name("README.md").read_text("utf-8").splitlines()[2] for page in pages]
    assert sorted(tuple(head.partition(".")[0].split(" then ")) for head in heads) == found
    assert write_site(store.results, tmp_path / "site").exists()
