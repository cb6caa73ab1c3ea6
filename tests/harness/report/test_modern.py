"""The report of a suite whose recipe is not the paper's: no figure of the paper stands in it."""

import pytest

from harness.config.protocol import Protocol, load_protocol
from harness.config.run_spec import InitialWeights
from harness.config.suite import load_suite
from harness.report import write_reports
from harness.report.collect import collect
from tests.harness.report.made_up import Store

UNET, FCN = "smp:Unet/resnet34", "torchvision:fcn_resnet50"
SLUG = "camvid-modern@2-camvid-fp32-weights-none"


@pytest.fixture
def modern() -> Protocol:
    return load_protocol("camvid-modern@2")


def started(title: str) -> InitialWeights:
    return InitialWeights(kind="none", title=title)


def test_no_figure_of_the_paper_stands_in_it(store: Store, modern: Protocol) -> None:
    for name, title in (("segnet", "He et al."), (UNET, "random, as smp draws it"), (FCN, "random, of FCN")):
        store.pictures(name, modern, accuracy=0.5, weights=started(title))
        store.measurement(name)
    reports = store.results.parent / "reports"
    write_reports(store.results, reports)
    page = (reports / "modern" / "README.md").read_text("utf-8")
    table = (reports / "modern" / SLUG / "accuracy.md").read_text("utf-8")
    for text in (page, table):
        assert "Table 3" not in text and "Table 6" not in text and "paper %" not in text
        assert f"| {UNET} | end |" in text and "| SegNet | end |" in text
    assert "initial weights random, each network's own" in table
    row = next(line for line in table.splitlines() if line.startswith(f"| {UNET} "))
    assert "random, as smp draws it" in row
    assert "scaled by 0.5 to 2 and cropped to the input's size" in page
    assert "brightness, contrast and saturation changed by up to 40 %" in page
    assert r"torchvision:fcn\_resnet50" in (reports / "modern" / SLUG / "accuracy.tex").read_text("utf-8")
    assert not (reports / "modern" / SLUG / "table3.md").exists()


def test_a_reduced_group_says_what_a_small_input_does(store: Store, modern: Protocol) -> None:
    reduced = modern.override({"size": "90x120", "iterations": "300"})
    store.pictures(UNET, reduced, accuracy=0.4)
    reports = store.results.parent / "reports"
    write_reports(store.results, reports)
    page = (reports / "modern" / "README.md").read_text("utf-8")
    assert "REDUCED" in page
    assert "end at 1/32 of the input: 3 x 4 here, 12 x 15 at 360 x 480" in page
    assert "fc6" not in page


def test_measurements_of_references_alone_make_no_report(store: Store) -> None:
    store.measurement("segnet")
    reports = store.results.parent / "reports"
    write_reports(store.results, reports)
    assert not (reports / "modern").exists()
    store.measurement(UNET)
    write_reports(store.results, reports)
    page = (reports / "modern" / "README.md").read_text("utf-8")
    assert f"| {UNET} |" in page and "| SegNet |" in page


def test_an_unreadable_run_of_a_reference_is_the_other_suite_s(store: Store) -> None:
    for name in ("segnet", "smp-Unet-resnet34"):
        (store.results / "runs" / f"{name}-camvid-s0-00000000").mkdir(parents=True)
    (line,) = collect(store.results, load_suite("modern")).unreadable
    assert line.startswith("runs/smp-Unet-resnet34-camvid-s0-00000000/")
    (other,) = collect(store.results, load_suite("camvid")).unreadable
    assert other.startswith("runs/segnet-camvid-s0-00000000/")
