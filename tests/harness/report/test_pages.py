"""Whole reports: what is in them, how long they are, that they come out the same, what must never be in them."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import datasets
from harness import paper
from harness.config.protocol import Protocol, load_protocol
from harness.config.suite import load_suite
from harness.records.run import Failure
from harness.report.frames import load_measurements, load_results
from harness.report.terminal import print_results
from harness.report.write import write_reports
from harness.system.errors import UserError
from tests.harness.report.conftest import fill
from tests.harness.report.links import dead_links
from tests.harness.report.made_up import WHOLE, Store, matrix, noisy_matrices

BOTH = {"half": WHOLE, "end": WHOLE}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def pages(folder: Path) -> dict[str, str]:
    return {name: data.decode() for name, data in contents(folder).items() if name.endswith(".md")}


class TestForm:
    def test_pages_are_short_and_paths_plain(self, example: Path) -> None:
        found = contents(example / "reports")
        assert not [name for name in found if len(f"reports/{name}") > 100 or set(name) & set("=+@%")]
        own = {name: text for name, text in pages(example / "reports").items() if name != "claims.md"}
        assert not [name for name, text in own.items() if text.count("\n") > 200]
        assert own["README.md"].count("\n") <= 150

    @pytest.mark.slow
    def test_the_largest_suites_keep_to_that(self, store: Store) -> None:
        for suite in ("decoders", "sunrgbd"):
            found = load_suite(suite)
            protocol = load_protocol(found.protocol)
            whole = np.stack([matrix([100] * datasets.info(found.dataset).num_classes)] * 20)
            for weights in ("median", "natural"):
                own = protocol.override({"class_weighting": weights})
                for name in found.architectures:
                    store.run(store.spec(name, protocol=own), dict.fromkeys(protocol.report_at, whole))
            for name in found.architectures:
                store.measurement(name)
        write_reports(store.results, store.results.parent / "reports", ["decoders", "sunrgbd"])
        made = pages(store.results.parent / "reports")
        assert len(made) == 5  # the decoders' costs, measured with their classes, have a page of their own
        assert {name: text.count("\n") for name, text in made.items() if text.count("\n") > 200} == {}

    def test_every_link_leads_somewhere(self, example: Path) -> None:
        for name, page in pages(example / "reports").items():
            if name != "claims.md":
                assert dead_links(page, (example / "reports" / name).parent) == [], name

    def test_notes_stand_once_and_no_value_is_missing(self, example: Path) -> None:
        for name, page in pages(example / "reports").items():
            notes = [line for line in page.splitlines() if line.startswith("- ")]
            assert name == "claims.md" or len(notes) == len(set(notes)), name
            assert "None" not in page and "nan" not in re.findall(r"\b\w+\b", page), name


class TestContent:
    def test_full_and_reduced_runs_have_pages_of_their_own(self, example: Path) -> None:
        found = [page for name, page in pages(example / "reports" / "camvid").items() if "/" in name]
        reduced = [page for page in found if "not to be compared with full ones" in page]
        assert (len(found), len(reduced)) == (2, 1)
        assert "DeconvNet" in next(page for page in found if page not in reduced)
        assert "300 of 8,560 iterations" in reduced[0]

    def test_failed_and_unreadable_runs_stay_visible(self, example: Path) -> None:
        found = pages(example / "reports")
        (page,) = [page for page in found.values() if "OOM at batch 5" in page]
        assert re.search(r"`deconvnet-camvid-s1-\w{8}`: oom at iteration 7: OOM at batch 5", page)
        for name in ("README.md", "camvid/README.md"):
            assert "runs/segnet-camvid-s9-deadbeef/record.json: not a record" in found[name]

    def test_the_flat_files_are_the_frames(self, example: Path) -> None:
        results = pd.read_csv(example / "reports" / "results.csv")
        frame = load_results(example / "results")
        assert results["run_id"].tolist() == frame["run_id"].tolist()
        assert results["miou"].tolist() == pytest.approx(frame["miou"].tolist(), nan_ok=True)
        assert results["aAcc"].tolist() == pytest.approx(frame["global_accuracy"].tolist(), nan_ok=True)
        measured = pd.read_csv(example / "reports" / "measurements.csv")
        values = load_measurements(example / "results")["value"].tolist()
        assert measured["value"].tolist() == pytest.approx(values, rel=1e-8, nan_ok=True)

    def test_a_sign_of_ours_is_one_that_latex_knows(self, example: Path) -> None:
        tables = [data.decode() for name, data in contents(example / "reports").items() if name.endswith(".tex")]
        assert tables and all(text.isascii() for text in tables)
        assert any(r"$\approx$" in text for text in tables)

    def test_runs_on_drawn_data_alone_are_found(self, store: Store, quick: Protocol) -> None:
        store.run(store.spec("segnet", protocol=quick), {"end": WHOLE})
        reports = store.results.parent / "reports"
        write_reports(store.results, reports)
        home = (reports / "README.md").read_text("utf-8")
        assert "No run is recorded" not in home and "](quick/" in home

    def test_a_run_without_validations_has_its_curve_of_the_loss(self, store: Store, quick: Protocol) -> None:
        folder = store.run(store.spec("segnet", protocol=quick), {"end": WHOLE})
        history = json.loads((folder / "history.json").read_text("utf-8")) | {"validation": []}
        (folder / "history.json").write_text(json.dumps(history), "utf-8")
        (folder / "SHA256SUMS").unlink()
        write_reports(store.results, store.results.parent / "reports", ["quick"])
        assert list((store.results.parent / "reports").rglob("learning-curves*.png"))

    def test_no_host_path_and_no_date(self, example: Path) -> None:
        for name, data in contents(example / "reports").items():
            if not name.endswith(".png"):
                assert str(example) not in data.decode() and "2020-01-02" not in data.decode(), name

    def test_no_figure_of_the_paper_beside_drawn_data(self, example: Path) -> None:
        figures = {f"{value:.2f}" for row in paper.accuracies() for value in row.scores.values()}
        figures |= {f"{row.forward_ms:g}" for row in paper.resources()}
        for name, data in contents(example / "reports" / "quick").items():
            if not name.endswith(".png"):
                assert set(re.findall(r"[\d.,]*\d", data.decode())) & figures == set(), name
                assert "not like for like" not in data.decode(), name

    def test_groups_that_would_be_called_alike_are_told_apart(self, store: Store, camvid: Protocol) -> None:
        for digest in ("a" * 64, "b" * 64):
            spec = store.spec("segnet", protocol=camvid, variant="camvid-unknown", digest=digest)
            store.failed(spec, Failure(kind="killed", message="ended by SIGTERM"))
        write_reports(store.results, store.results.parent / "reports")
        found = pages(store.results.parent / "reports" / "camvid")
        heads = [page.splitlines()[0] for name, page in found.items() if "/" in name]
        assert len(heads) == len(set(heads)) == 2
        assert all("failed (killed)" in page for name, page in found.items() if "/" in name)

    def test_measurements_alone(self, store: Store) -> None:
        store.measurement("segnet")
        write_reports(store.results, store.results.parent / "reports")
        found = pages(store.results.parent / "reports")
        assert "No run of this suite is recorded yet" in found["camvid/README.md"]
        assert "Made-up CPU (2 cores), 2 threads, input 360 x 480, fp32, preset cpu" in found["camvid/costs.md"]
        assert "no run by its own protocol is recorded yet" in found["README.md"]

    def test_the_terminal_has_the_same_scores(self, example: Path) -> None:
        console = Console(width=200, record=True, file=io.StringIO())
        print_results(example / "results", [load_suite("camvid")], console)
        text = console.export_text()
        frame = load_results(example / "results")
        rows = frame[(frame["split"] == "test") & (frame["checkpoint"] == "end") & (frame["network"] == "fcn8s")]
        assert f"{rows['miou'].iloc[0]:.2f}" in text and "300 of 8,560 iterations" in text
        once = Console(width=200, record=True, file=io.StringIO())
        print_results(example / "results", [load_suite("camvid")], once, list(rows["run_id"]))
        assert "FCN" in once.export_text() and "DeconvNet" not in once.export_text()


class TestWriting:
    @pytest.mark.slow
    def test_same_bytes_each_time_and_from_elsewhere(self, example: Path, tmp_path: Path) -> None:
        store = Store(results=tmp_path / "elsewhere" / "results")
        fill(store)
        write_reports(store.results, tmp_path / "reports")
        first, second = contents(example / "reports"), contents(tmp_path / "reports")
        assert first.keys() == second.keys()
        assert [name for name in first if first[name] != second[name]] == []

    def test_what_is_written_is_returned_and_what_no_longer_applies_goes(self, store: Store, camvid: Protocol) -> None:
        folder = store.results.parent / "reports" / "camvid"
        (folder / "old-group").mkdir(parents=True)
        (folder / "old-group" / "table3.csv").write_text("former", "utf-8")
        own = folder / "notes.txt"
        own.write_text("somebody's own", "utf-8")
        store.run(store.spec("segnet", protocol=camvid), BOTH)
        written = write_reports(store.results, folder.parent)
        assert written[0] == folder / "README.md"
        assert sorted([*written, own]) == sorted(path for path in folder.parent.rglob("*") if path.is_file())
        assert not (folder / "old-group").exists()

    def test_only_the_suites_named_without_torch_and_results_untouched(self, example: Path, tmp_path: Path) -> None:
        before = contents(example / "results")
        program = (
            "import sys; from pathlib import Path; from harness.report.write import write_reports; "
            "write_reports(Path(sys.argv[1]), Path(sys.argv[2]), ['quick']); sys.exit('torch' in sys.modules)"
        )
        command = [sys.executable, "-c", program, str(example / "results"), str(tmp_path)]
        assert subprocess.run(command, cwd=Path(__file__).parents[3], check=False).returncode == 0
        assert [path.name for path in tmp_path.iterdir()] == ["quick"]
        assert (tmp_path / "quick" / "README.md").exists()
        assert contents(example / "results") == before

    def test_nothing_where_there_is_no_record(self, tmp_path: Path) -> None:
        assert write_reports(tmp_path / "results", tmp_path / "reports") == []
        assert not (tmp_path / "reports").exists()

    def test_what_cannot_be_done(self, store: Store, camvid: Protocol, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="unknown suite 'camvod'; did you mean 'camvid'"):
            write_reports(tmp_path, tmp_path, ["camvod"])
        store.run(store.spec("segnet", protocol=camvid), BOTH)
        blocked = store.results.parent / "reports"
        blocked.write_text("a file", "utf-8")
        with pytest.raises(UserError, match="can't write"):
            write_reports(store.results, blocked)


@pytest.mark.slow
class TestRealData:
    def test_drawn_roads_with_their_pictures(self, store: Store, quick: Protocol) -> None:
        _, digest = datasets.content_hash("roads")
        image_ids = {"test_003": np.zeros(datasets.info("roads").size, dtype=np.uint8)}
        matrices = {"end": noisy_matrices(0, 60, 0.9)}
        store.run(store.spec("segnet", protocol=quick, digest=digest), matrices, image_ids=image_ids)
        reports = store.results.parent / "reports"
        write_reports(store.results, reports)
        first = contents(reports)
        (panel,) = [name for name in first if "/panel-" in name]
        assert len(first[panel]) < 100_000
        write_reports(store.results, reports)
        assert contents(reports) == first

    def test_panels_of_camvid_stay_local(self, store: Store, camvid: Protocol, shared: Path) -> None:
        root = str(shared / "data")
        variant, digest = datasets.content_hash("camvid", root)
        stem = datasets.load("camvid", "test", root).image_ids[100]
        picture = np.zeros((360, 480), dtype=np.uint8)
        spec = store.spec("segnet", protocol=camvid, digest=digest, variant=variant)
        store.run(spec, BOTH, image_ids={stem: picture})
        reports = store.results.parent / "reports"
        write_reports(store.results, reports)
        without = contents(reports)
        write_reports(store.results, reports, None, root)
        found = contents(reports)
        local = found.keys() - without.keys()
        assert {Path(name).parts[:2] for name in local} == {("camvid", "local")}
        assert "panel-1.png" in {Path(name).name for name in local}
        assert {name: found[name] for name in without} == without

    def test_data_root_of_another_edition_is_refused(self, store: Store, camvid: Protocol, shared: Path) -> None:
        store.run(store.spec("segnet", protocol=camvid), BOTH)
        with pytest.raises(datasets.DatasetError, match="on which no recorded run was scored"):
            write_reports(store.results, store.results.parent / "reports", None, str(shared / "data"))
