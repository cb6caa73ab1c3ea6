"""Costs beside scores in a real browser: of which input size they are, and what of the paper stands beside them."""

import csv
from pathlib import Path

import pytest

import architectures
from harness import paper
from harness.report import frames
from harness.report.tables.render import significant
from tests.harness.report.site.conftest import COMMITTED, GROUP, numbers, show

pytestmark = pytest.mark.slow

HALF = "camvid-half-1-953d0dbb"  # at 180 x 240, where times alone were measured
PAPER_SIZE = " x ".join(map(str, paper.RESOURCE_SIZE))
CPU = "cpu-amd-epyc-2c"


def test_a_record_of_times_alone_hides_no_full_one(page, site):
    measured = frames.load_measurements(COMMITTED)
    own = measured[(measured["device"] == CPU) & (measured["variant"] == "") & (measured["precision"] == "fp32")]
    live = own[(own["phase"] == "inference-memory") & (own["quantity"] == "live_peak_mib")].set_index(
        ["architecture", "height"]
    )["value"]
    assert ("segnet", 180) not in live.index
    show(page, site, "leaderboard", f"protocol={HALF}&device={CPU}")
    row = page.locator("#tables tr[data-id$='/segnet']")
    cells = dict(zip(keys(page), row.locator("> td, > th").all(), strict=True))
    assert numbers([cells["live_mib"].inner_text()]) == [pytest.approx(live["segnet", 360], rel=0.005)]
    assert "batch" not in (cells["energy_j"].get_attribute("title") or "")
    assert numbers([cells["gmacs"].inner_text()])[0] > 0


def keys(page) -> list[str]:
    return page.locator("#tables thead tr:last-child th").evaluate_all("heads => heads.map(h => h.dataset.key)")


@pytest.mark.parametrize(("group", "size"), [(HALF, PAPER_SIZE), (GROUP, "")])
def test_the_leaderboard_names_the_size_of_its_costs(page, site, group, size):
    show(page, site, "leaderboard", f"protocol={group}")
    assert page.locator("#tables strong > [data-slot=size]").all_inner_texts() == ([size] if size else [])
    with page.expect_download() as download:
        page.click("#export")
    rows = list(csv.DictReader(Path(download.value.path()).read_text("utf-8").splitlines()))
    measured = {row["network"]: row["cost_size"] for row in rows if row["gmacs"]}
    assert set(measured.values()) == {PAPER_SIZE}


def test_figures_are_written_as_in_the_reports(page, site):
    show(page, site, "leaderboard")
    values = [6.9, 4.4, 0.019, 134.4, 976, 999.6, 1234.6, 23456.7, 0]
    shown = page.evaluate("values => values.map(value => Site.number(value, 'significant'))", values)
    assert shown == [significant(value) for value in values]


@pytest.mark.parametrize("name", ["index", "leaderboard", "tradeoff"])
def test_costs_of_other_parameters_are_said_to_be(page, site, name):
    show(page, site, name, f"protocol={HALF}")
    page.wait_for_function("document.querySelector('[data-slot=titles]')")
    titles = page.inner_text("[data-slot=titles]").split(", ")
    assert titles == [info.title for info in map(architectures.info, architectures.names()) if info.fixed_size]


def test_the_papers_points_stand_beside_costs_at_its_own_size(page, site):
    show(page, site, "tradeoff", f"protocol={HALF}&x=memory_mib")
    page.wait_for_selector("#plot[data-drawn]")
    hollow = "document.querySelector('#plot').data.filter(t => t.marker.symbol === 'circle-open').length"
    checkpoint = page.input_value("[name=checkpoint]")
    measured = {one.network for one in paper.resources()}
    rows = [one for one in paper.accuracies() if one.checkpoint == checkpoint and one.network in measured]
    assert page.evaluate(hollow) == len(rows) > 0
    assert page.is_visible("#paper-note")
    page.select_option("[name=x]", "energy_j")
    page.wait_for_function(f"{hollow} === 0")
    assert page.is_hidden("#paper-note"), "the paper has none of energy"
    page.evaluate("for (const one of SITE.costs) if (one.size === SITE.paper_size) one.size = '180 x 240'")
    page.select_option("[name=x]", "memory_mib")
    page.wait_for_function("document.querySelector('#plot').layout.xaxis.title.text.startsWith('Memory')")
    assert page.evaluate(hollow) == 0, "costs at another size"
    page.select_option("[name=x]", "parameters_m")
    page.wait_for_function(f"{hollow} > 0")
