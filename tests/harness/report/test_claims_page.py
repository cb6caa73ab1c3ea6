"""The page of the paper's claims, from made-up records."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from harness.config.protocol import Protocol, load_protocol
from harness.config.suite import load_suite
from harness.report import write_reports
from harness.report.claims import Collected, claims_files
from harness.report.collect import collect
from harness.report.resources import collect_measurements
from tests.harness.report.links import dead_links
from tests.harness.report.made_up import PART, WHOLE, Store, matrix
from tests.harness.report.made_up_claims import FOUR, collected, seven


def filled(folder: Path) -> Store:
    """Full runs for claim 7, reduced ones, and measurements."""
    store, decoders = Store(results=folder / "results"), load_protocol("decoders@2")
    seven(store, decoders)
    seven(store, decoders.override({"size": "120x160"}), better=PART, worse=WHOLE)
    for name in FOUR:
        store.measurement(name, inference_mib=300.0 if name == "segnet" else 400.0)
    return store


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The text of both files, by name."""
    found = claims_files(collected(filled(tmp_path_factory.mktemp("claims"))))
    return {name: data.decode() for name, data in found.items()}


class TestPage:
    def test_every_claim_with_verdict_and_the_papers_own(self, page: dict[str, str]) -> None:
        text = page["claims.md"]
        rows = [line for line in text.splitlines() if re.match(r"\| \[\d+\. ", line)]
        assert len(rows) == 15
        assert "| **reproduced** | – | 3 hold | bear it out | Table 6 |" in rows[0]
        assert "| **reproduced** | – | 28 hold | bear it out | Table 1 |" in rows[6]
        assert "do not bear it out" in rows[4]
        assert "| **not tested** | no record of suite `sunrgbd` or `nyuv2` | – | bear it out | Table 4 |" in rows[13]

    def test_says_where_the_paper_does_not_bear_a_claim_out(self, page: dict[str, str]) -> None:
        text = page["claims.md"]
        assert (
            "**The paper's own figures do not bear this out**: 1 of 21 comparisons fail: best: G, %, "
            "FCN (learnt deconv) > FCN: 83.14 − 83.27 = −0.13."
        ) in text

    def test_figures_beside_the_papers(self, page: dict[str, str]) -> None:
        text = page["claims.md"]
        assert (
            "| median | SegNet-Basic > FCN-Basic-NoAddition | G, % | 82.70 − 80.50 = +2.20 | yes "
            "| 100.00 − 96.36 = +3.64 [+3.64, +3.64] | 1 | holds |"
        ) in text
        assert "SegNet-Basic over FCN-Basic-NoAddition by more in BF than in G" in text
        assert "inference memory, MB by nvidia-smi; here MiB, live tensors' peak" in text
        assert "| 1,993 − 1,052 = +941 | yes | 400.0 − 300.0 = +100 | – | holds |" in text

    def test_reduced_evidence_stands_in_a_table_of_its_own_and_is_marked(self, page: dict[str, str]) -> None:
        text = page["claims.md"]
        seventh = text.split("\n## 7.")[1].split("\n## 8.")[0]
        full, reduced = seventh.split("### ")[1:]
        assert "reduced" not in full
        assert "**reduced: input 120 x 160 instead of 360 x 480.**" in reduced
        assert "Not decisive here." in reduced
        assert "| **against** |" in reduced
        assert "**against**" not in full

    @pytest.mark.slow
    def test_evidence_without_any_comparison_has_no_table(self, store: Store, decoders: Protocol) -> None:
        seven(store, decoders)
        alone = store.spec("segnet-basic", protocol=decoders.override({"iterations": "20000"}))
        store.run(alone, {"end": WHOLE})
        text = claims_files(collected(store))["claims.md"].decode()
        parts = text.split("\n## 7.")[1].split("\n## 8.")[0].split("### ")[1:]
        only, judged = sorted(parts, key=lambda part: "iterations=20000" not in part)
        assert "| at | should be |" in judged
        assert "28 missing" in only and "Not judged: " in only and "| at | should be |" not in only
        never = text.split("\n## 10.")[1].split("\n## 11.")[0]
        assert "| at | should be |" in never  # the paper's own figures, where there are no others

    def test_written_with_the_reports_and_links_lead_there(self, tmp_path: Path, page: dict[str, str]) -> None:
        store = filled(tmp_path)
        written = write_reports(store.results, tmp_path / "reports")
        assert [path.name for path in written[-2:]] == ["claims.md", "claims.json"]
        text = (tmp_path / "reports" / "claims.md").read_text("utf-8")
        assert text == page["claims.md"]
        assert dead_links(text, tmp_path / "reports") == []

    def test_a_part_of_the_data_is_marked_and_its_table_is_linked(self, tmp_path: Path) -> None:
        store = Store(results=tmp_path / "results")
        part, whole = (np.stack([matrix([n, *[100] * 36], wrong=100 - n)] * 20) for n in (60, 100))
        nyu = load_protocol("nyuv2@1")
        for name in FOUR:
            found = whole if name == "segnet" else part
            store.run(store.spec(name, protocol=nyu), {"half": found, "end": found}, bf=0.5)
        balanced = store.spec("segnet", protocol=nyu.override({"class_weighting": "median"}))
        store.run(balanced, {"half": part, "end": part})
        write_reports(store.results, tmp_path / "reports")
        text = (tmp_path / "reports" / "claims.md").read_text("utf-8")
        section = text.split("\n## 14.")[1].split("\n## 15.")[0]
        mark = "not like for like: 795 of 5285 training images, a part of SUN RGB-D"
        assert f"Verdict here: **indicated (against)**: {mark}." in section
        first, second = section.split("### ")[1:]
        assert first.startswith("14, by nyuv2@1, data nyuv2") and f"**{mark}.** Of 13 comparisons" in first
        assert f"**{mark}; changed recipe: class_weighting=median.**" in second
        assert dead_links(text, tmp_path / "reports") == []

    def test_json(self, page: dict[str, str]) -> None:
        values = json.loads(page["claims.json"])["claims"]
        assert len(values) == 15
        seventh = values[6]
        assert (seventh["verdict"], seventh["paper_bears_it_out"], seventh["leaning"]) == (
            "reproduced",
            True,
            None,
        )
        assert [one["outcome"] for one in seventh["evidence"]] == ["holds", "against"]
        first = seventh["evidence"][0]["comparisons"][0]
        assert first["above"] == {"mean": 100.0, "n": 1}
        assert first["difference"] == {"estimate": 3.6364, "low": 3.6364, "high": 3.6364, "by": "images"}

    def test_drawn_data_bears_on_no_claim(self, store: Store, quick: Protocol) -> None:
        store.run(store.spec("segnet", protocol=quick), {"end": WHOLE})
        records = collect(store.results, load_suite("quick"))
        measurements = collect_measurements(store.results, records)
        found = {"camvid": Collected(records=records, measurements=measurements)}
        assert claims_files(found) == {}
