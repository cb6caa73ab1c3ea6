"""The site in a real browser, opened from disk: what a reader clicks, and what then stands there."""

import csv
from pathlib import Path

import pandas as pd
import pytest

from harness.report import frames
from tests.harness.report.site.conftest import COMMITTED, GROUP, column, numbers, show

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    """Scores of test at the last iteration of the group that the site shows first, by network."""
    frame = frames.load_results(COMMITTED)
    own = frame[(frame["group"] == GROUP) & (frame["split"] == "test") & (frame["checkpoint"] == "end")]
    return own.set_index("network")


def test_every_page_works_from_disk_in_both_themes_and_on_a_phone(page, site):
    names = sorted(path.stem for path in site.glob("*.html"))
    assert {"index", "leaderboard", "tradeoff", "pictures", "claims", "protocols", "network-segnet"} <= set(names)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for name in names:
            show(page, site, name)
            beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert (name, width, beyond) == (name, width, 0)
            assert page.locator("h1").count() == 1
            unnamed = page.evaluate(
                "[...document.querySelectorAll('input, select, button')].filter(e => !e.closest('template') && "
                "!(e.labels?.length || e.getAttribute('aria-label') || e.innerText?.trim())).length"
            )
            assert (name, unnamed) == (name, 0)


def test_theme_is_toggled_and_kept(page, site):
    show(page, site, "index")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.get_attribute("#theme", "aria-pressed") == "true"
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != before
    show(page, site, "claims")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_command_is_copied(page, site):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    show(page, site, "index")
    page.click("button[data-copy] >> nth=0")
    page.wait_for_selector("button[data-copy]:has-text('Copied')")
    assert page.evaluate("navigator.clipboard.readText()") == page.inner_text(".command code >> nth=0")


# -- leaderboard --------------------------------------------------------------------------------------------


def test_leaderboard_holds_the_frames_scores_and_sorts(page, site, scores):
    show(page, site, "leaderboard", f"protocol={GROUP}")
    assert numbers(column(page, "#tables", 4)) == sorted(scores["miou"].round(2), reverse=True)
    for order in ("descending", "ascending"):
        page.click("#tables th[data-key=bf]")
        page.wait_for_selector(f"#tables th[data-key=bf][aria-sort={order}]")
        assert numbers(column(page, "#tables", 5)) == sorted(scores["bf"].round(2), reverse=order == "descending")
    assert "sort=bf.asc" in page.url
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert numbers(column(page, "#tables", 5)) == sorted(scores["bf"].round(2))


def test_filters_narrow_the_tables_and_stay_in_the_address(page, site):
    show(page, site, "leaderboard")
    groups = len({path.stem for path in site.glob("data/pairs-*.js")})
    page.select_option("[name=protocol]", "")
    assert page.locator("#tables table").count() == groups > 1
    page.select_option("[name=protocol]", GROUP)
    assert page.locator("#tables table").count() == 1
    page.select_option("[name=checkpoint]", "half")
    assert page.locator("#tables tbody tr").count() == 4
    page.select_option("[name=checkpoint]", "end")
    assert page.locator("#tables tbody tr").count() == 5
    page.select_option("[name=device]", "cpu-amd-epyc-2c")
    assert "AMD EPYC (2 cores)" in page.inner_text("#tables thead")
    page.select_option("[name=seeds]", "3")
    assert page.locator("#tables tbody tr").count() == 0
    assert page.is_visible("#empty")
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.input_value("[name=seeds]") == "3"
    assert page.input_value("[name=device]") == "cpu-amd-epyc-2c"


def test_costs_follow_device_and_batch(page, site):
    measured = frames.load_measurements(COMMITTED)
    own = measured[(measured["architecture"] == "segnet") & (measured["height"] == 360)]
    own = own[(own["phase"] == "forward") & (own["statistic"] == "median") & (own["quantity"] == "latency_ms")]
    show(page, site, "leaderboard", f"protocol={GROUP}")
    row = page.locator("#tables tr[data-id$='/segnet']")
    for device in ("cuda-nvidia-h200", "cpu-amd-epyc-2c"):
        page.select_option("[name=device]", device)
        heads = page.locator("#tables thead tr:last-child th")
        place = 1 + heads.evaluate_all("heads => heads.findIndex(head => head.dataset.key === 'latency_ms')")
        value = own[(own["device"] == device) & (own["batch"] == 1) & (own["precision"] == "fp32")]["value"].iloc[0]
        shown = float(row.locator(f":scope > :nth-child({place})").inner_text().replace(",", ""))
        assert shown == pytest.approx(value, rel=0.005)


def test_export_holds_what_is_shown(page, site, scores):
    show(page, site, "leaderboard", f"protocol={GROUP}")
    page.uncheck("[name=show_size]")
    page.uncheck("[name=show_inference]")
    with page.expect_download() as download:
        page.click("#export")
    rows = list(csv.DictReader(Path(download.value.path()).read_text("utf-8").splitlines()))
    assert [row["network"] for row in rows] == scores["miou"].sort_values(ascending=False).index.tolist()
    assert "latency_ms" not in rows[0]
    for row in rows:
        own = scores.loc[row["network"]]
        assert float(row["miou"]) == pytest.approx(own["miou"], rel=1e-6)
        assert float(row["bf_low"]) == pytest.approx(own["bf_low"], rel=1e-6)


def tick(page, *networks: str) -> None:
    for network in networks:
        page.check(f"#tables tr[data-id$='/{network}'] input")


def test_two_ticked_rows_are_compared_score_by_score_and_class_by_class(page, site, scores):
    show(page, site, "leaderboard", f"protocol={GROUP}")
    assert page.is_hidden("#differences")
    tick(page, "segnet", "fcn8s")
    page.wait_for_selector("#differences")
    names, shown = column(page, "#differences", 1), numbers(column(page, "#differences", 4))
    found = dict(zip(names, shown, strict=True))
    for name, metric in (("mIoU", "miou"), ("BF", "bf")):
        expected = scores.loc["segnet", metric] - scores.loc["fcn8s", metric]
        assert found[name] == pytest.approx(expected, abs=0.006)
    classes = frames.load_class_scores(COMMITTED)
    own = classes[(classes["group"] == GROUP) & (classes["split"] == "test") & (classes["checkpoint"] == "end")]
    iou = own.pivot(index="class", columns="network", values="iou")
    by_class = dict(
        zip(column(page, "#class-differences", 1), numbers(column(page, "#class-differences", 4)), strict=True)
    )
    assert len(by_class) == 11
    for name, value in by_class.items():
        assert value == pytest.approx(iou.loc[name, "segnet"] - iou.loc[name, "fcn8s"], abs=0.006)


def test_rows_of_two_protocols_are_refused_with_the_reason(page, site):
    show(page, site, "leaderboard", "protocol=&checkpoint=end")
    page.check(f"#tables tr[data-id='{GROUP}/end/segnet'] input")
    page.check("#tables tr[data-id^='recipes'][data-id$='/segnet'] input")
    page.wait_for_selector(".refused")
    reasons = page.inner_text(".refused ul")
    assert "camvid-adamw-quarter@1 | recipes@1" in reasons
    assert "scored on: test | val" in reasons
    assert "precision" not in reasons
    assert page.locator("#differences").count() == 0


# -- trade-off ----------------------------------------------------------------------------------------------


def set_budget(page, key: str, limit: float) -> None:
    """Click on a slider where its limit is."""
    slider = page.locator(f"[data-budget={key}]")
    stops = (slider.get_attribute("data-stops") or "").split()  # the last place behind them is no limit
    place, thumb = stops.index(f"{limit:g}"), 16
    box = slider.bounding_box()
    across = thumb / 2 + (box["width"] - thumb) * place / len(stops)
    slider.click(position={"x": across, "y": box["height"] / 2})
    assert slider.get_attribute("data-limit") == f"{limit:g}"


def test_budget_sliders_grey_out_what_does_not_fit(page, site):
    show(page, site, "tradeoff")
    page.wait_for_selector("#plot[data-drawn]")
    names = "rows => rows.map(r => r.dataset.id.split('/').pop()).sort()"
    everything = page.locator("#ranking tr[data-id]").evaluate_all(names)
    assert page.inner_text("#fitting") == f"{len(everything)} / {len(everything)}"
    set_budget(page, "memory_mib", 250)
    assert page.inner_text("#fitting") == f"2 / {len(everything)}"
    off = page.locator("#ranking tr.off").evaluate_all(names)
    assert sorted(set(everything) - set(off)) == ["deeplab-largefov", "segnet"]
    page.wait_for_function(
        "document.querySelector('#plot').data.find(t => t.name === 'DeconvNet').marker.color.startsWith('#d5')"
    )
    kept = page.evaluate("document.querySelector('#plot').data.find(t => t.name === 'SegNet').marker.color")
    assert kept == page.evaluate("SITE.colors.segnet")
    assert "max_memory_mib=250" in page.url
    page.click("#reset")
    assert page.inner_text("#fitting") == f"{len(everything)} / {len(everything)}"


def test_axes_and_log_scale(page, site, scores):
    show(page, site, "tradeoff", f"protocol={GROUP}")
    page.wait_for_selector("#plot[data-drawn]")
    page.select_option("[name=y]", "bf")
    page.select_option("[name=x]", "energy_j")
    page.check("[name=log]")
    page.wait_for_function("document.querySelector('#plot').layout.xaxis.type === 'log'")
    assert page.evaluate("document.querySelector('#plot').layout.xaxis.title.text").startswith("Energy, J")
    shown = page.evaluate("document.querySelector('#plot').data.map(t => [t.customdata?.[0], t.x[0], t.y[0]])")
    values = {one[0].split("/")[-1]: one[1:] for one in shown if one[0]}
    assert values["segnet"][0] == pytest.approx(3.356449)
    assert values["segnet"][1] == pytest.approx(scores.loc["segnet", "bf"])
    assert not any(one[0] is None for one in shown), "the paper gives no energy"
    page.select_option("[name=x]", "memory_mib")
    page.wait_for_function("document.querySelector('#plot').data.length === 8")
    page.uncheck("[name=paper]")
    page.wait_for_function("document.querySelector('#plot').data.length === 4")


def test_a_point_leads_to_its_records(page, site):
    show(page, site, "tradeoff", f"point={GROUP}/end/segnet")
    links = page.locator("#detail a").evaluate_all("links => links.map(a => a.getAttribute('href'))")
    assert "records/runs/segnet-camvid-s0-0f477930.json" in links
    assert "records/measurements/cuda-nvidia-h200/segnet-360x480-k11-fp32-lease.json" in links
    for link in links:
        assert (site / link).is_file(), link


# -- claims -------------------------------------------------------------------------------------------------


def test_claims_open_with_a_forest_plot_and_filter_by_verdict(page, site):
    show(page, site, "claims")
    verdicts = page.locator("details[data-claim]").evaluate_all("all => all.map(d => d.dataset.verdict)")
    page.click("#claim-16 summary")
    page.wait_for_selector("#claim-16 [data-drawn]")
    points = page.evaluate(
        "document.querySelector('#claim-16 [data-forest]').data.map(t => [t.name, t.x.length, t.marker.symbol])"
    )
    rows = pd.read_csv(COMMITTED.parent / "reports" / "claims.csv").query(
        "number == 16 and decides and outcome != 'repeated'"
    )
    compared = rows[rows["difference"].notna()]
    assert sum(count for name, count, _ in points if name != "paper") == len(compared) > 0
    assert ["paper", compared["paper_difference"].count(), "circle-open"] in points
    rarest = min(set(verdicts), key=lambda verdict: (verdicts.count(verdict), verdict))
    page.select_option("[name=verdict]", rarest)
    assert len(verdicts) > page.locator("details[data-claim]:visible").count() == verdicts.count(rarest)
    assert page.inner_text("#claim-count") == str(verdicts.count(rarest))


# -- the three questions, by clicks alone -------------------------------------------------------------------


def test_most_accurate_network_under_250_mib_and_10_ms(page, site):
    show(page, site, "index")
    page.click("nav >> text=Trade-off")
    page.wait_for_selector("#budgets input")
    set_budget(page, "memory_mib", 250)
    set_budget(page, "latency_ms", 10)
    assert page.inner_text("#fitting").startswith("2 / ")
    assert page.inner_text("#ranking tbody tr >> nth=0 >> th") == "DeepLab-LargeFOV"


def test_whether_segnet_and_deeplab_differ_in_bf(page, site):
    show(page, site, "index")
    page.click("nav >> text=Leaderboard")
    page.select_option("[name=protocol]", GROUP)
    tick(page, "segnet", "deeplab-largefov")
    page.wait_for_selector("#differences")
    row = page.locator("#differences tr", has_text="BF")
    low, high = numbers(row.locator("td >> nth=3").inner_text().split(" … "))
    assert 0 < low < 3.93 < high
    assert row.locator(".verdict").inner_text() == "yes"
