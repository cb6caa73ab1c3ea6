"""Fixtures: the site of the committed records, one of drawn data with pictures, and pages in a real browser."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

import datasets
from harness.config.protocol import load_protocol
from harness.metrics import confusion_matrix
from harness.report.site.build import write_site
from tests.conftest import MakeOnce
from tests.harness.report.made_up import Store

REPOSITORY = Path(__file__).parents[4]
COMMITTED = REPOSITORY / "results"
GROUP = "camvid-adamw-quarter-1-9bce7f9e"  # of full-size runs


@pytest.fixture(scope="session")
def site(made_once: MakeOnce) -> Path:
    """The site of the records that the repository holds."""
    return made_once("site-of-committed", lambda folder: write_site(COMMITTED, folder))


@pytest.fixture(scope="session")
def drawn_site(made_once: MakeOnce) -> Path:
    """A site of drawn data: segnet (two seeds) takes roads in the left half for sky, fcn8s (one) has all right."""
    return made_once("site-of-drawn", _make_drawn_site) / "site"


def _make_drawn_site(folder: Path) -> None:
    folder.mkdir()
    store, quick = Store(results=folder / "results"), load_protocol("quick@2")
    test = datasets.load("roads", "test", None)
    truths = [test[at][1] for at in range(len(test.image_ids))]
    classes = test.info.num_classes
    for name, seeds in (("segnet", (0, 1)), ("fcn8s", (0,))):
        maps = [_wrong(truth) if name == "segnet" else np.where(truth == 255, 0, truth) for truth in truths]
        matrices = np.stack([confusion_matrix(one, truth, classes) for truth, one in zip(truths, maps, strict=True)])
        for seed in seeds:
            spec = store.spec(name, protocol=quick, seed=seed)
            kept = {test.image_ids[3]: maps[3].astype(np.uint8)}
            store.run(spec, {"end": matrices}, image_ids=kept)
    store.measurement("segnet", forward_ms=30.0, inference_mib=300.0)
    write_site(store.results, folder / "site")


def _wrong(truth: np.ndarray) -> np.ndarray:
    """The truth, but for roads in the left half, which are taken for sky."""
    found = np.where(truth == 255, 0, truth)
    left = found[:, : found.shape[1] // 2]
    left[left == 3] = 0
    return found


# -- browser ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What a page did that it must not do."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """A headless Chromium; without one the tests skip, unless SEGNET_NO_SKIPPED_BROWSER is set."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        message = "no Chromium on this machine"
        if os.environ.get("SEGNET_NO_SKIPPED_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    quiet = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=[*quiet, "--no-first-run"])
        yield started
        started.close()


@pytest.fixture
def page(browser) -> Iterator[object]:
    """A page of 1280 pixels. A console error, or a request for anything but the site's own files, fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(20_000)
    opened, watch = context.new_page(), Watch()
    opened.on("console", lambda said: watch.errors.append(said.text) if said.type == "error" else None)
    opened.on("pageerror", lambda error: watch.errors.append(str(error)))
    opened.on("request", lambda request: watch.requests.append(request.url))
    yield opened
    context.close()
    assert watch.errors == []
    assert [url for url in watch.requests if not url.startswith(("file:", "data:", "blob:"))] == []


def show(page, site: Path, name: str, state: str = ""):
    """Open a page and wait until its scripts have run."""
    page.goto("about:blank")
    page.goto(f"{(site / f'{name}.html').as_uri()}{'#' if state else ''}{state}")
    page.wait_for_selector("body[data-ready]")
    return page


def column(page, table: str, place: int) -> list[str]:
    """Texts of a column, without intervals."""
    cells = page.locator(f"{table} tbody tr > :nth-child({place})")
    return [text.split("\n")[0].split(" [")[0].strip() for text in cells.all_inner_texts()]


def numbers(texts: list[str]) -> list[float]:
    return [float(text.replace(",", "").replace("−", "-").replace("+", "")) for text in texts]
