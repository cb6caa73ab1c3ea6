"""Table 1, against figures computed by hand; and the report of a suite that fills it."""

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import ValidationError

from harness.measure.record import PAPER_SIZE
from harness.protocol import Protocol, load_protocol
from harness.records import BEST, Failure
from harness.report import write_reports
from harness.report.collect import collect
from harness.report.families import Family, families
from harness.report.figures import palette
from harness.report.groups import input_size
from harness.report.resources import collect_measurements
from harness.report.table1 import measurement_for, table1
from harness.report.table1_plots import StorageContext, storage_plot
from harness.report.table1_tables import Table1, table1_files
from harness.spec import InitialWeights
from harness.suite import Suite, load_suite
from tests.harness.report.made_up import Store, matrix

SUITE = load_suite("decoders")
# Of class 0 60 of 100 pixels are right, the others are taken for class 1; all else is right.
PART = np.stack([matrix([60, *[100] * 10], wrong=40)] * 20)
WHOLE = np.stack([matrix([100] * 11)] * 20)
G_PART = 100 * 1060 / 1100
MIOU_PART = 100 * (0.6 + 100 / 140 + 9) / 11
# What the networks keep at 360 x 480, at the first pooled resolution: 64 maps of 2-bit codes are
# 180 * 240 * 64 / 4 bytes, a float map is 180 * 240 * 4.
CODES, FLOAT_MAP = 691_200, 172_800
KEPT = {
    "bilinear-interpolation": 0,
    "segnet-basic": CODES,
    "segnet-basic-encoder-addition": CODES + 64 * FLOAT_MAP,
    "segnet-basic-single-channel-decoder": CODES,
    "fcn-basic": 11 * FLOAT_MAP,
    "fcn-basic-no-addition": 0,
    "fcn-basic-no-dim-reduction": 64 * FLOAT_MAP,
    "fcn-basic-no-addition-no-dim-reduction": 0,
}


def of_balancing(protocol: Protocol, balancing: str) -> Protocol:
    return protocol.override({"balancing": balancing})


def add(store: Store, protocol: Protocol, name: str = "segnet-basic", balancing: str = "median") -> Path:
    """A run that is right in part on test, and wholly on train."""
    spec = store.spec(name, protocol=of_balancing(protocol, balancing))
    return store.run(spec, {"end": PART}, train=WHOLE, parameters=1_416_587)


def all_families(store: Store) -> tuple[Family, ...]:
    return families(SUITE, collect(store.results, SUITE).groups)


def made(store: Store) -> Table1:
    """Table 1 of the only family."""
    records = collect(store.results, SUITE)
    (family,) = families(SUITE, records.groups)
    size = input_size(family.first.protocol, records.dataset)
    measured = measurement_for(family, size, collect_measurements(store.results, records))
    frame = table1(family, SUITE, measured)
    return Table1(family=family, dataset=records.dataset, frame=frame, measured=measured)


def row(frame: pd.DataFrame, variant: str, balancing: str = "median", split: str = "test") -> pd.Series:
    wanted = frame["variant"].eq(variant) & frame["balancing"].eq(balancing) & frame["split"].eq(split)
    (index,) = frame.index[wanted]
    return frame.loc[index]


class TestScores:
    def test_both_balancings_and_splits_beside_the_papers(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        add(store, decoders, balancing="natural")
        frame = made(store).frame
        assert len(frame) == 8 * 2 * 2
        assert list(dict.fromkeys(frame["variant"]))[:3] == [
            "Bilinear-Interpolation",
            "SegNet-Basic",
            "SegNet-Basic-EncoderAddition",
        ]
        found = row(frame, "SegNet-Basic")
        assert (found["G_paper"], found["C_paper"], found["mIoU_paper"]) == (82.7, 62.0, 47.7)
        assert found["G_ours"] == pytest.approx(G_PART)
        assert found["G_difference"] == pytest.approx(96.363636 - 82.7)
        assert found["mIoU_difference"] == pytest.approx(MIOU_PART - 47.7)
        assert found["BF_difference"] == pytest.approx(50 - 35.78)
        natural = row(frame, "SegNet-Basic", "natural")
        assert natural["G_difference"] == pytest.approx(96.363636 - 84.0)
        assert natural["architecture"] == "segnet-basic"

    def test_train_is_scored_without_bf(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        found = row(made(store).frame, "SegNet-Basic", split="train")
        assert found["G_ours"] == pytest.approx(100)
        assert found["G_difference"] == pytest.approx(100 - 94.7)
        assert np.isnan(found["BF_ours"])
        assert np.isnan(found["BF_paper"])

    def test_scores_are_of_the_chosen_iteration(self, store: Store, decoders: Protocol) -> None:
        spec = store.spec("fcn-basic", protocol=decoders)
        store.run(spec, {"end": WHOLE, BEST: PART}, chosen=4000, trained=7000)
        table = made(store)
        found = row(table.frame, "FCN-Basic")
        assert (found["chosen_iteration"], found["trained_iterations"]) == ("4,000", "7,000")
        assert found["G_ours"] == pytest.approx(G_PART)
        assert row(table.frame, "FCN-Basic", split="train")["G_ours"] == pytest.approx(G_PART)
        text = table1_files(table)["table1.md"]
        assert (
            "| FCN-Basic | He et al. | 1 | 7,000 | 4,000 | 81.70 | 96.36 [96.4, 96.4] | +14.66 | 62.40 |"
            in text
        )
        assert "the iteration of highest val global accuracy" in text

    def test_missing_and_failed_variants_stay_as_rows(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        failure = Failure(kind="diverged", message="loss is NaN", iteration=3)
        store.failed(store.spec("fcn-basic", protocol=decoders), failure)
        table = made(store)
        assert row(table.frame, "FCN-Basic")["status"] == "failed (diverged)"
        assert row(table.frame, "FCN-Basic-NoAddition")["status"] == "not run"
        assert row(table.frame, "SegNet-Basic", "natural")["status"] == "not run"
        text = table1_files(table)["table1.md"]
        assert "| FCN-Basic | He et al. | 0 (1 failed) | – | – | 81.70 | failed (diverged) | – |" in text
        assert "| FCN-Basic-NoAddition | He et al. | – | – | – | 80.50 | not run | – |" in text

    def test_several_seeds_have_mean_and_deviation(self, store: Store, decoders: Protocol) -> None:
        for seed, values in ((0, PART), (1, WHOLE)):
            store.run(store.spec("segnet-basic", protocol=decoders, seed=seed), {"end": values})
        found = row(made(store).frame, "SegNet-Basic")
        assert found["seeds"] == 2
        assert found["G_ours"] == pytest.approx((G_PART + 100) / 2)
        assert found["G_std"] == pytest.approx((100 - G_PART) / 2**0.5)

    def test_network_that_the_paper_does_not_have(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders, "smp:Unet/resnet34")
        found = row(made(store).frame, "smp:Unet/resnet34")
        assert found["G_ours"] == pytest.approx(G_PART)
        assert np.isnan(found["G_paper"])
        assert np.isnan(found["infer_ms_paper"])


class TestFamilies:
    def test_only_the_balancing_may_differ(self, store: Store, decoders: Protocol) -> None:
        for protocol in (decoders, decoders.override({"lr": "0.05"})):
            for balancing in ("natural", "median"):
                add(store, protocol, balancing=balancing)
        others: list[dict[str, object]] = [
            {"precision": "bf16"},
            {"variant": "camvid-jpeg93"},
            {"digest": "e" * 64},
            {"weights": InitialWeights(kind="file", sha256="ab" * 32, title="VGG16")},
        ]
        for other in others:
            store.run(store.spec("segnet-basic", protocol=decoders, **other), {"end": PART})  # type: ignore[arg-type]
        found = all_families(store)
        assert sorted(len(family.groups) for family in found) == [1, 1, 1, 1, 2, 2]
        assert {family.name for family in found} == {"decoders@1", "decoders@1+lr=0.05"}
        assert len({family.slug for family in found}) == len(found)
        joined = next(family for family in found if family.name == "decoders@1+lr=0.05")
        assert [group.protocol.balancing for group in joined.groups] == ["median", "natural"]

    def test_full_and_reduced_never_mix(self, store: Store, decoders: Protocol) -> None:
        small = decoders.override({"size": "120x160", "iterations": "200"})
        add(store, decoders)
        add(store, small, "fcn-basic", "natural")
        full, reduced = all_families(store)
        assert (full.networks, reduced.networks) == (["segnet-basic"], ["fcn-basic"])
        assert not full.first.reduced
        assert reduced.first.reduced == (
            "input 120 x 160 instead of 360 x 480",
            "200 of 10,000 iterations",
        )

    def test_further_balancing_stands_after_the_suites_without_the_papers(
        self, store: Store, decoders: Protocol
    ) -> None:
        add(store, decoders, balancing="segnet-release")
        table = made(store)
        assert table.family.balancings == ("median", "natural", "segnet-release")
        found = row(table.frame, "SegNet-Basic", "segnet-release")
        assert found["G_ours"] == pytest.approx(G_PART)
        assert np.isnan(found["G_paper"])


class TestResources:
    def test_storage_is_bytes_and_multiples_of_segnet_basics(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        for name, kept in KEPT.items():
            store.measurement(name, kept=(kept, 0, 0, 0), forward_ms=12.5)
        table = made(store)
        rows = table.frame.drop_duplicates("variant")
        assert list(rows["storage_bytes"]) == list(KEPT.values())
        assert list(rows["storage_ratio"]) == pytest.approx([0, 1, 17, 1, 2.75, 0, 16, 0])
        assert rows["storage_multiplier_paper"].fillna(-1).tolist() == [0, 1, 64, 1, 11, -1, 64, 0]
        text = table1_files(table)["table1.md"]
        assert "| FCN-Basic | 0.650 | 29.450 | 117.8 | 11 | 1,900,800 | 2.75 | 24.2 | 12.5 |" in text
        assert "| SegNet-Basic | 1.425 | 1.417 |" in text
        assert "64 maps of 2-bit codes (180 x 240) are 691,200 bytes, 4 float maps" in text
        assert "11 float maps are 1,900,800 and 64 are 11,059,200 bytes" in text
        assert "measured on Made-up CPU (2 cores), 2 threads, input 360 x 480, fp32, effort cpu" in text

    def test_what_is_missing_is_na_with_its_reason(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        store.measurement("segnet-basic")
        store.measurement("fcn-basic", kept=(11 * FLOAT_MAP, 0, 0, 0), forward_ms=None)
        table = made(store)
        basic, fcn = row(table.frame, "SegNet-Basic"), row(table.frame, "FCN-Basic")
        old = "no network whose decoder the measurement knows"
        assert basic["storage_bytes_reason"] == old
        assert fcn["storage_ratio_reason"] == f"SegNet-Basic: {old}"
        assert fcn["forward_ms_reason"] == "not tried"
        missing = row(table.frame, "Bilinear-Interpolation")
        assert missing["parameters_reason"] == "not measured on this device at this size"
        text = table1_files(table)["table1.md"]
        assert f"n/a (2): {old}" in text
        assert "| Bilinear-Interpolation | 0.625 | n/a (1) | n/a (1) | 0 | n/a (1) | n/a (1) | 24.2 |" in text

    def test_without_any_measurement(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        found = row(made(store).frame, "SegNet-Basic")
        assert found["parameters"] == 1_416_587
        assert found["forward_ms_reason"].startswith("no measurement in the runs' precision")

    def test_the_papers_size_comes_first_then_the_runs(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders.override({"size": "120x160"}))
        store.measurement("segnet-basic", size=(120, 160))
        first = made(store)
        assert first.measured is not None
        assert first.measured.size == (120, 160)
        assert "**REDUCED: input 120 x 160 instead of 360 x 480.**" in table1_files(first)["table1.md"]
        store.measurement("segnet-basic", device="cuda", effort="lease")
        for name in ("segnet-basic", "fcn-basic"):
            store.measurement(name)
        second = made(store)
        assert second.measured is not None
        assert second.measured.size == PAPER_SIZE
        assert second.measured.first.spec.device == "cpu"  # it holds more of the networks
        assert "; the runs' input is 120 x 160." in table1_files(second)["table1.md"]


class TestFiles:
    def test_difference_of_a_full_run_is_like_for_like(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        files = table1_files(made(store))
        assert "| G %, paper | G %, ours | G %, difference |" in files["table1.md"]
        assert "like for like" not in files["table1.md"]
        assert ",G_difference," in files["table1.csv"].splitlines()[0]

    @pytest.mark.parametrize(
        ("changes", "unlike"),
        [
            ({"size": "120x160", "iterations": "200"}, "reduced run, not like for like"),
            ({"lr": "0.05"}, "changed recipe, not like for like"),
        ],
    )
    def test_difference_says_what_it_is_not(
        self, store: Store, decoders: Protocol, changes: dict[str, str], unlike: str
    ) -> None:
        add(store, decoders.override(changes))
        files = table1_files(made(store))
        assert f"| G %, difference ({unlike}) |" in files["table1.md"]
        head = files["table1.csv"].splitlines()[0]
        assert f"G_difference_{unlike.replace(',', '').replace(' ', '_')}" in head
        assert f"ours minus the paper's: {unlike}" in files["table1.tex"]

    def test_markdown_tables_are_well_formed(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        for part in table1_files(made(store))["table1.md"].split("## ")[1:]:
            lines = [line for line in part.splitlines() if line.startswith("|")]
            assert len(lines) == 10
            assert len({line.count("|") for line in lines}) == 1

    def test_csv_reads_back(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        store.measurement("segnet-basic", kept=(CODES, 0, 0, 0))
        back = pd.read_csv(io.StringIO(table1_files(made(store))["table1.csv"]))
        assert len(back) == 32
        found = row(back, "SegNet-Basic")
        assert found["protocol"] == "decoders@1"
        assert found["G_ours"] == pytest.approx(G_PART, abs=1e-4)
        assert found["storage_bytes"] == CODES
        assert found["resources_measured_on"].startswith("Made-up CPU")

    def test_latex_braces_and_tables_match(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        text = table1_files(made(store))["table1.tex"]
        assert text.count("{") == text.count("}")
        assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 5
        assert r"\multicolumn{3}{c}{mIoU}" in text


class TestPlots:
    def test_small_and_the_same_bytes_each_time(self, store: Store, decoders: Protocol) -> None:
        for name, kept in KEPT.items():
            add(store, decoders, name)
            store.measurement(name, kept=(kept, 0, 0, 0))
        table = made(store)
        assert table.measured is not None
        context = StorageContext(
            family=table.family,
            dataset=table.dataset,
            palette=palette(SUITE, []),
            frame=table.frame,
            measured=table.measured,
        )
        first, second = storage_plot(context, "BF"), storage_plot(context, "BF")
        assert first is not None
        assert first == second
        assert len(first) < 100_000

    def test_none_without_storage(self, store: Store, decoders: Protocol) -> None:
        add(store, decoders)
        store.measurement("segnet-basic")
        write_reports(store.results, store.results.parent / "reports", ["decoders"])
        page = (store.results.parent / "reports" / "decoders" / "README.md").read_text("utf-8")
        assert (
            "- Storage versus BF: no plot, since no network has both a score and a storage: "
            "no network whose decoder the measurement knows"
        ) in page


FULL = "decoders@1-camvid-fp32-weights-none"
NATURAL = "decoders@1+balancing=natural-camvid-fp32-weights-none"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of all eight variants with both balancings, and of one reduced run."""
    folder = tmp_path_factory.mktemp("decoders")
    store, protocol = Store(results=folder / "results"), load_protocol("decoders@1")
    for name, kept in KEPT.items():
        store.pictures(name, protocol, accuracy=0.6)
        store.measurement(name, kept=(kept, 0, 0, 0))
    add(store, protocol, balancing="natural")
    add(store, protocol.override({"size": "120x160", "iterations": "200"}), "fcn-basic")
    write_reports(store.results, folder / "reports")
    return folder / "reports"


class TestReport:
    def test_only_the_suite_with_records_and_table1_alone(self, report: Path) -> None:
        assert {path.name for path in report.iterdir()} == {"decoders", "claims.md", "claims.json"}
        found = {
            str(path.relative_to(report / "decoders"))
            for path in (report / "decoders").rglob("*")
            if path.is_file()
        }
        own = {"table1.md", "table1.csv", "table1.tex", "storage-miou.png", "storage-bf.png"}
        assert {f"table1-{FULL}/{name}" for name in own} <= found
        assert {f"{slug}/per-class.png" for slug in (FULL, NATURAL)} <= found
        assert not [name for name in found if "table3" in name]

    def test_page(self, report: Path) -> None:
        page = (report / "decoders" / "README.md").read_text("utf-8")
        full, reduced = page.split("## REDUCED runs")
        assert "Table 3 (" not in page
        assert page.index("#### Test split, balancing median") < page.index("storage-miou.png")
        assert "(of batch-norm shifts too), local response normalisation, classes weighted by median" in full
        assert "best iteration by val global accuracy every 1,000" in full
        assert "ended early where the mean loss over 1,000 iterations is not lower by 1 %" in full
        assert "reduced run, not like for like" in reduced
        assert "reduced run, not like for like" not in full
        assert "So few iterations show" in reduced
        assert "this is another DeconvNet" not in page

    def test_every_link_leads_somewhere(self, report: Path) -> None:
        page = (report / "decoders" / "README.md").read_text("utf-8")
        heads = {
            re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in page.splitlines()
        }
        for target in re.findall(r"\]\(([^)]+)\)", page):
            name = target.replace("%40", "@").replace("%2B", "+").replace("%3D", "=")
            assert target[1:] in heads if target.startswith("#") else (report / "decoders" / name).is_file()

    def test_pictures_are_small(self, report: Path) -> None:
        pictures = list(report.rglob("*.png"))
        assert len(pictures) > 10
        for path in pictures:
            assert path.stat().st_size < 100_000, path
            assert 500 <= Image.open(path).width <= 1000, path

    def test_trained_iterations_where_the_loss_stopped_falling(
        self, store: Store, decoders: Protocol
    ) -> None:
        store.run(store.spec("fcn-basic", protocol=decoders), {"end": PART}, trained=7000)
        write_reports(store.results, store.results.parent / "reports")
        page = (store.results.parent / "reports" / "decoders" / "README.md").read_text("utf-8")
        assert "| finished after 7,000 of 10,000 | 10,000 |" in page


def test_table1_needs_the_papers_data() -> None:
    values = {
        "name": "x",
        "title": "x",
        "dataset": "roads",
        "protocol": "quick@1",
        "architectures": ("segnet",),
    }
    with pytest.raises(ValidationError, match="no figure of roads; choose table3"):
        Suite.model_validate({**values, "table": "table1"})
