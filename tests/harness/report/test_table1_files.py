"""Table 1 as files, its plots, and the report of a suite that fills it."""

import io
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from harness.config.protocol import Protocol, load_protocol
from harness.report import write_reports
from harness.report.figures import palette
from harness.report.table1_plots import StorageContext, storage_plot
from harness.report.table1_tables import table1_files
from tests.harness.report.links import dead_links
from tests.harness.report.made_up import PART, Store
from tests.harness.report.made_up_table1 import CODES, G_PART, KEPT, SUITE, add, made, row


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
        assert found["protocol"] == "decoders@2"
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


FULL = "decoders@2-camvid-fp32-weights-none"
NATURAL = "decoders@2+class_weighting=natural-camvid-fp32-weights-none"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of all eight variants with both class_weightings, and of one reduced run."""
    folder = tmp_path_factory.mktemp("decoders")
    store, protocol = Store(results=folder / "results"), load_protocol("decoders@2")
    for name, kept in KEPT.items():
        store.pictures(name, protocol, accuracy=0.6)
        store.measurement(name, kept=(kept, 0, 0, 0))
    add(store, protocol, class_weighting="natural")
    add(store, protocol.override({"size": "120x160", "iterations": "200"}), "fcn-basic")
    write_reports(store.results, folder / "reports")
    return folder / "reports"


class TestReport:
    def test_only_the_suite_with_records_and_table1_alone(self, report: Path) -> None:
        assert {path.name for path in report.iterdir()} == {"decoders", "claims.md", "claims.json"}
        found = {
            str(path.relative_to(report / "decoders")) for path in (report / "decoders").rglob("*") if path.is_file()
        }
        own = {"table1.md", "table1.csv", "table1.tex", "storage-miou.png", "storage-bf.png"}
        assert {f"table1-{FULL}/{name}" for name in own} <= found
        assert {f"{slug}/per-class.png" for slug in (FULL, NATURAL)} <= found
        assert not [name for name in found if "table3" in name]

    def test_page(self, report: Path) -> None:
        page = (report / "decoders" / "README.md").read_text("utf-8")
        full, reduced = page.split("## REDUCED runs")
        assert "Table 3 (" not in page
        assert page.index("#### Test split, median weighting") < page.index("storage-miou.png")
        assert "(of batch-norm shifts too), local response normalization, classes weighted by median" in full
        assert "best iteration by val global accuracy every 1,000" in full
        assert "ended early where the mean loss over 1,000 iterations is not lower by 1 %" in full
        assert "reduced run, not like for like" in reduced
        assert "reduced run, not like for like" not in full
        assert "So few iterations show" in reduced
        assert "this is another DeconvNet" not in page

    def test_every_link_leads_somewhere(self, report: Path) -> None:
        page = (report / "decoders" / "README.md").read_text("utf-8")
        assert dead_links(page, report / "decoders") == []

    def test_pictures_are_small(self, report: Path) -> None:
        pictures = list(report.rglob("*.png"))
        assert len(pictures) > 10
        for path in pictures:
            assert path.stat().st_size < 100_000, path
            assert 500 <= Image.open(path).width <= 1000, path

    def test_trained_iterations_where_the_loss_stopped_falling(self, store: Store, decoders: Protocol) -> None:
        store.run(store.spec("fcn-basic", protocol=decoders), {"end": PART}, trained=7000)
        write_reports(store.results, store.results.parent / "reports")
        page = (store.results.parent / "reports" / "decoders" / "README.md").read_text("utf-8")
        assert "| finished after 7,000 of 10,000 | 10,000 |" in page
