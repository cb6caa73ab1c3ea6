"""Whole reports: what is in them, that they come out the same, and what must never be in them."""

import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import datasets
from harness import paper
from harness.config.protocol import Protocol
from harness.records.run import Failure
from harness.report import write_reports
from harness.system.errors import UserError
from tests.harness.report.conftest import fill
from tests.harness.report.links import dead_links
from tests.harness.report.made_up import Store, matrix, noisy_matrices

FULL = "camvid-epochs@2-camvid-fp32-weights-file-abababab"
REDUCED = "camvid-epochs@2+iterations=300+size=90x120-camvid-fp32-weights-none"
QUICK = "quick@1-roads-fp32-weights-none"
PLOTS = {"learning-curves.png", "per-class.png", "confusion.png", "memory-accuracy.png", "time-accuracy.png"}
TABLES = {"table3.md", "table3.csv", "table3.tex", "splits.md", "splits.csv", "per-class.md", "per-class.csv"}
TITLES = ("SegNet", "Position prior", "Pixel MLP")
WHOLE = np.stack([matrix([100] * 11)] * 3)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def page_of(folder: Path, suite: str) -> str:
    return (folder / "reports" / suite / "README.md").read_text("utf-8")


class TestFiles:
    def test_every_group_has_tables_and_plots(self, example: Path) -> None:
        for slug in (FULL, REDUCED):
            found = {path.name for path in (example / "reports" / "camvid" / slug).iterdir()}
            assert found >= TABLES | {"learning-curves.png", "per-class.png", "confusion.png"}
        assert {path.name for path in (example / "reports" / "camvid" / FULL).iterdir()} >= PLOTS

    def test_camvid_has_predictions_and_no_picture_of_the_data(self, example: Path) -> None:
        found = contents(example / "reports" / "camvid")
        assert f"{FULL}/predictions.png" in found
        assert not [name for name in found if name.endswith("panels.png")]

    def test_pictures_are_small_and_of_readable_width(self, example: Path) -> None:
        pictures = {name: data for name, data in contents(example / "reports").items() if name.endswith(".png")}
        assert len(pictures) > 12
        for name, data in pictures.items():
            assert len(data) < 100_000, name
            assert 500 <= Image.open(io.BytesIO(data)).width <= 1000, name

    def test_every_link_of_a_page_leads_somewhere(self, example: Path) -> None:
        for suite in ("camvid", "quick"):
            assert dead_links(page_of(example, suite), example / "reports" / suite) == []

    def test_written_files_are_returned_page_first(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": WHOLE, "end": WHOLE})
        reports = store.results.parent / "reports"
        written = write_reports(store.results, reports)
        assert written[0] == reports / "camvid" / "README.md"
        assert sorted(written) == sorted(path for path in reports.rglob("*") if path.is_file())

    def test_same_bytes_each_time(self, example: Path, tmp_path: Path) -> None:
        write_reports(example / "results", tmp_path, ["camvid"])
        first, second = contents(example / "reports" / "camvid"), contents(tmp_path / "camvid")
        assert first.keys() == second.keys()
        assert [name for name in first if first[name] != second[name]] == []

    def test_same_bytes_from_results_that_lie_elsewhere(self, tmp_path: Path, example: Path) -> None:
        store = Store(results=tmp_path / "elsewhere" / "results")
        fill(store)
        write_reports(store.results, tmp_path / "reports", ["quick"])
        moved = contents(tmp_path / "reports" / "quick")
        assert moved == contents(example / "reports" / "quick")

    def test_what_no_longer_applies_goes_and_the_rest_stays(self, store: Store, camvid: Protocol) -> None:
        folder = store.results.parent / "reports" / "camvid"
        (folder / "old-group").mkdir(parents=True)
        (folder / "old-group" / "table3.csv").write_text("former", "utf-8")
        (folder / "notes.txt").write_text("somebody's own", "utf-8")
        store.run(store.spec("segnet", protocol=camvid), {"half": WHOLE, "end": WHOLE})
        write_reports(store.results, folder.parent)
        assert not (folder / "old-group").exists()
        assert (folder / "notes.txt").exists()
        assert (folder / "README.md").exists()

    def test_no_torch_is_imported(self, example: Path, tmp_path: Path) -> None:
        program = (
            "import sys; from pathlib import Path; from harness.report import write_reports; "
            "write_reports(Path(sys.argv[1]), Path(sys.argv[2]), ['quick']); sys.exit('torch' in sys.modules)"
        )
        command = [sys.executable, "-c", program, str(example / "results"), str(tmp_path)]
        assert subprocess.run(command, cwd=Path(__file__).parents[3], check=False).returncode == 0
        assert (tmp_path / "quick" / "README.md").exists()


class TestPage:
    def test_full_before_reduced_and_never_in_one_table(self, example: Path) -> None:
        page = page_of(example, "camvid")
        assert page.index("## Full runs") < page.index("## REDUCED runs")
        mark = "**REDUCED: input 90 x 120 instead of 360 x 480; 300 of 8,560 iterations**"
        full, reduced = page.split("## REDUCED runs")
        assert mark in reduced
        assert "| FCN (learnt deconv) | end | 80,000 | – |" in full
        assert "| FCN (learnt deconv) | end | 80,000 | 300 |" in reduced
        assert "this is another DeconvNet" in reduced
        assert "this is another DeconvNet" not in full

    def test_says_what_the_figures_were_made_on(self, example: Path) -> None:
        page = page_of(example, "camvid")
        assert "variant `camvid`, train 367, val 101, test 233; SHA-256 of its content `dddd" in page
        assert "Trained on: Made-up CPU (2 cores). torch 2.15.0." in page
        assert "they set 3 of 13 layers: conv1_1, conv1_2, conv2_1." in page
        assert "`python -m harness run segnet deconvnet --suite camvid" not in page
        assert "`python -m harness run deconvnet segnet --suite camvid --data-root FOLDER --seeds 0,1" in page

    def test_failed_and_unreadable_runs_stay_visible(self, example: Path) -> None:
        page = page_of(example, "camvid")
        assert re.search(r"- `deconvnet-camvid-s1-\w{8}`: oom at iteration 7: OOM at batch 5", page)
        assert re.search(r"\| deconvnet-camvid-s1-\w{8} \| DeconvNet \| .* \| FAILED: oom \|", page)
        assert "- unreadable: runs/segnet-camvid-s9-deadbeef/record.json: not a record" in page

    def test_no_host_path_and_no_date(self, example: Path) -> None:
        for name, data in contents(example / "reports").items():
            if not name.endswith(".png"):
                text = data.decode()
                assert str(example) not in text, name
                assert "2020-01-02" not in text, name

    def test_missing_plot_is_said(self, example: Path) -> None:
        reduced = page_of(example, "camvid").split("## REDUCED runs")[1]
        assert "Memory versus accuracy: no plot, since no network here has a measurement in fp32." in reduced

    def test_two_editions_of_the_data_have_headings_of_their_own(self, store: Store, camvid: Protocol) -> None:
        for digest in ("a" * 64, "b" * 64):
            spec = store.spec("segnet", protocol=camvid, variant="camvid-unknown", digest=digest)
            store.failed(spec, Failure(kind="killed", message="ended by SIGTERM"))
        write_reports(store.results, store.results.parent / "reports")
        page = page_of(store.results.parent, "camvid")
        assert "### camvid-epochs@2 on camvid-unknown aaaaaaaa, fp32, He et al." in page
        assert "### camvid-epochs@2 on camvid-unknown bbbbbbbb, fp32, He et al." in page


class TestDrawnData:
    def test_no_figure_of_the_paper(self, example: Path) -> None:
        figures = {f"{value:.2f}" for row in paper.accuracies() for value in row.scores.values()}
        figures |= {f"{row.forward_ms:g}" for row in paper.resources()}
        figures |= {f"{row.inference_memory_mb:,.0f}" for row in paper.resources()}
        for name, data in contents(example / "reports" / "quick").items():
            if not name.endswith(".png"):
                words = set(re.findall(r"[\d.,]*\d", data.decode()))
                assert words & figures == set(), name
                assert "not like for like" not in data.decode(), name
                assert "Titan" not in data.decode(), name

    def test_other_edition_has_no_pictures_and_says_so(self, example: Path) -> None:
        assert "No pictures: the runs were scored on another edition" in page_of(example, "quick")

    def test_networks_without_context_are_rows_like_any_other(self, store: Store, quick: Protocol) -> None:
        for name, accuracy in (("pixel-mlp", 0.4), ("segnet", 0.6), ("position-prior", 0.3)):
            store.pictures(name, quick, accuracy=accuracy)
        write_reports(store.results, store.results.parent / "reports")
        page = page_of(store.results.parent, "quick")
        places = [page.index(f"| {name} | end | 250 | He et al. | 1 |") for name in TITLES]
        assert places == sorted(places)


class TestChoice:
    def test_only_the_suites_named_and_results_untouched(self, example: Path, tmp_path: Path) -> None:
        before = contents(example / "results")
        write_reports(example / "results", tmp_path, ["quick"])
        assert [path.name for path in tmp_path.iterdir()] == ["quick"]
        assert contents(example / "results") == before

    def test_nothing_where_there_is_no_record(self, tmp_path: Path) -> None:
        assert write_reports(tmp_path / "results", tmp_path / "reports") == []
        assert not (tmp_path / "reports").exists()

    def test_unknown_suite(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="unknown suite 'camvod'; did you mean 'camvid'"):
            write_reports(tmp_path, tmp_path, ["camvod"])

    def test_group_of_failed_runs_alone(self, store: Store, camvid: Protocol) -> None:
        spec = store.spec("segnet", protocol=camvid)
        store.failed(spec, Failure(kind="killed", message="ended by SIGKILL; out of memory?"))
        write_reports(store.results, store.results.parent / "reports")
        page = page_of(store.results.parent, "camvid")
        assert "failed (killed)" in page
        assert "ended by SIGKILL; out of memory?" in page
        assert ".png" not in page

    def test_measurements_alone(self, store: Store) -> None:
        store.measurement("segnet")
        write_reports(store.results, store.results.parent / "reports")
        page = page_of(store.results.parent, "camvid")
        assert "No run of this suite is recorded yet." in page
        assert "### Table 6 on Made-up CPU (2 cores), 2 threads, input 360 x 480, fp32, preset cpu" in page

    def test_reports_folder_that_cannot_be_written(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": WHOLE, "end": WHOLE})
        blocked = store.results.parent / "reports"
        blocked.write_text("a file", "utf-8")
        with pytest.raises(UserError, match="can't write"):
            write_reports(store.results, blocked)


@pytest.mark.slow
class TestRealData:
    def test_drawn_roads_with_their_pictures(self, store: Store, quick: Protocol) -> None:
        _, digest = datasets.content_hash("roads")
        matrices = {"end": noisy_matrices(0, 60, 0.9)}
        image_ids = {"test_003": np.zeros(datasets.info("roads").size, dtype=np.uint8)}
        store.run(store.spec("segnet", protocol=quick, digest=digest), matrices, image_ids=image_ids)
        reports = store.results.parent / "reports"
        write_reports(store.results, reports)
        first = contents(reports)
        assert len(first[f"quick/{QUICK}/panels.png"]) < 100_000
        write_reports(store.results, reports)
        assert contents(reports) == first

    def test_panels_of_camvid_stay_local(self, store: Store, camvid: Protocol, shared: Path) -> None:
        root = str(shared / "data")
        variant, digest = datasets.content_hash("camvid", root)
        stem = datasets.load("camvid", "test", root).image_ids[100]
        picture = np.zeros((360, 480), dtype=np.uint8)
        spec = store.spec("segnet", protocol=camvid, digest=digest, variant=variant)
        store.run(spec, {"half": WHOLE, "end": WHOLE}, image_ids={stem: picture})
        reports = store.results.parent / "reports"
        write_reports(store.results, reports)
        without = contents(reports)
        write_reports(store.results, reports, None, root)
        found = contents(reports)
        (local,) = found.keys() - without.keys()
        assert local == f"camvid/local/camvid-epochs@2-{variant}-fp32-weights-none/panels.png"
        assert {name: found[name] for name in without} == without

    def test_data_root_of_another_edition_is_refused(self, store: Store, camvid: Protocol, shared: Path) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": WHOLE, "end": WHOLE})
        with pytest.raises(datasets.DatasetError, match="on which no recorded run was scored"):
            write_reports(store.results, store.results.parent / "reports", None, str(shared / "data"))
