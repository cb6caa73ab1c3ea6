"""The page of test images in a real browser: what it sorts by, and the pictures that it shows."""

import pytest

from harness.report import frames
from tests.harness.report.site.conftest import COMMITTED, GROUP, column, numbers, show

pytestmark = pytest.mark.slow


def drawn(page) -> None:
    page.wait_for_selector("#images[data-drawn]")


def test_pictures_are_toggled(page, drawn_site):
    show(page, drawn_site, "pictures", "only=1")
    drawn(page)
    assert page.locator("#images tbody tr").count() == 1
    tiles = "#images tbody tr >> nth=0"
    page.wait_for_function("document.querySelectorAll('#images img').length === 1")
    page.wait_for_function("document.querySelectorAll('#images canvas').length === 3")  # truth, two predictions
    page.check("[name=error]")
    page.wait_for_function("document.querySelectorAll('#images canvas').length === 5")
    wrong = page.evaluate(
        """() => { const c = document.querySelector("[data-tile=segnet] canvas:last-of-type");
        const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;
        for (let i = 0; i < p.length; i += 4) n += p[i] === 214 && p[i + 1] === 40; return n; }"""
    )
    assert wrong > 0
    page.uncheck("[name=image]")
    page.uncheck("[name=truth]")
    page.uncheck("[name=prediction]")
    page.wait_for_function("document.querySelectorAll('#images canvas').length === 2")
    assert page.locator(f"{tiles} >> img").count() == 0


def test_class_filter_shows_the_classs_own_score(page, drawn_site):
    show(page, drawn_site, "pictures", "a=segnet&order=low")
    drawn(page)
    page.select_option("[name=class]", label="Car")
    page.wait_for_function("document.querySelector('#what').textContent.includes('Car')")
    assert set(column(page, "#images", 4)) == {"100.00"}
    page.select_option("[name=class]", label="Road")
    page.wait_for_function("document.querySelector('#what').textContent.includes('Road')")
    low = numbers(column(page, "#images", 4))
    assert low == sorted(low)
    assert 0 <= low[0] < 60
    page.select_option("[name=order]", "high")
    page.wait_for_function(f"parseFloat(document.querySelector('#images tbody tr').children[3].innerText) > {low[0]}")


def test_without_the_data_only_predictions_are_shown(page, site):
    show(page, site, "pictures", "only=1")
    drawn(page)
    assert page.is_visible("#no-pictures")
    assert page.is_hidden("[name=truth]")
    assert column(page, "#images", 1).count("0001TP_009690") == 1
    page.wait_for_function("document.querySelectorAll('#images canvas').length === 18")


def test_a_network_is_kept_by_its_name_from_group_to_group(page, site):
    show(page, site, "network-deeplab-largefov")
    page.click("section[data-group]:visible >> text=All of them")
    drawn(page)
    page.select_option("[name=group]", GROUP)
    page.wait_for_function(
        f"document.querySelector('[name=a]').options.length === SITE.images['{GROUP}']?.networks.length"
    )
    places = page.evaluate("Object.values(SITE.images).map((one) => one.networks.indexOf('deeplab-largefov'))")
    assert len(set(places)) > 1, "else its place would do"
    assert page.input_value("[name=a]") == "deeplab-largefov"
    assert "a=deeplab-largefov" in page.url
    place = 1 + page.locator("#images thead th").all_inner_texts().index("DeepLab-LargeFOV")
    shown = numbers(column(page, "#images", place))
    assert shown == sorted(shown)


def test_ten_images_where_segnet_loses_most_against_fcn8s(page, site):
    show(page, site, "index")
    page.click("nav >> text=Pictures")
    page.select_option("[name=group]", GROUP)
    drawn(page)
    page.select_option("[name=a]", label="SegNet")
    page.select_option("[name=b]", label="FCN (learnt deconv)")
    page.wait_for_function("document.querySelector('#images th:nth-child(2)').innerText.includes('−')")
    images = frames.load_image_scores(COMMITTED)
    own = images[(images["group"] == GROUP) & (images["split"] == "test") & (images["checkpoint"] == "end")]
    miou = own.pivot(index="image", columns="network", values="miou")
    expected = (miou["segnet"] - miou["fcn8s"]).sort_values(kind="stable").head(10)
    assert numbers(column(page, "#images", 2)[:10]) == [pytest.approx(value, abs=0.011) for value in expected]
    kept = {38: "0001TP_009690", 116: "Seq05VD_f01620", 194: "Seq05VD_f03960"}  # those that a prediction names
    assert column(page, "#images", 1)[:10] == [kept.get(at, f"image {at}") for at in expected.index]
