"""Making the site: pages from templates, data as scripts, the libraries' files, all put in place at once."""

import json
import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from harness import paper
from harness.config.run_spec import EVALUATION_REVISION, METRICS_REVISION
from harness.config.suite import OWN, load_suite
from harness.records.measurement import measurements_folder
from harness.records.run import runs_folder
from harness.report import grouping
from harness.report.claims import load_claims
from harness.report.collect import collect, suites_of
from harness.report.commands import commands
from harness.report.metrics import CLASS_METRICS
from harness.report.render import render
from harness.report.site import claims as claims_page
from harness.report.site import networks, protocols
from harness.report.site.content import Content, SiteGroup, collect_site
from harness.report.site.pictures import Images, collect_images, script
from harness.report.site.quantities import QUANTITIES, SECTIONS, Row, quantities, significant
from harness.report.store import Store, architecture_info, output_stride
from harness.system.errors import UserError
from harness.system.files import replacing_folder

MARKER = ".segnet-site"
PAGES = (
    *(("index", "Overview"), ("leaderboard", "Leaderboard"), ("tradeoff", "Trade-off"), ("pictures", "Pictures")),
    *(("claims", "Claims"), ("protocols", "Protocols and measuring")),
)
_PAPER_SIZE = " x ".join(map(str, paper.RESOURCE_SIZE))
_HOME_COLUMNS = ("miou", "bf", "parameters_m", "latency_ms", "energy_j")


def write_site(
    results: Path | Store, out: Path, data_root: str | None = None, suites: Sequence[str] | None = None
) -> Path:
    """Write the site anew, whole or not at all.

    Args:
        results: the results folder, or what was read from it.
        out: the site's folder; an earlier site there is replaced.
        data_root: folder that holds the datasets, for pictures of test images and their truth, which stay on this
            machine; none: such pictures are made for drawn data only, which is embedded.
        suites: only runs of these; none: all.

    Returns:
        The page to open first.

    Raises:
        UserError: unknown suite, no record at all, a folder that can't be written or that holds something else.
        datasets.DatasetError: `data_root` was given and the data there can't be used.
    """
    content = collect_site(results, suites)
    if not content.groups and content.measurements.empty:
        raise UserError(f"no records in {content.store.results} to make a site of; `python -m harness run` makes some")
    if out.exists() and not (out / MARKER).exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} holds something else than a site; choose another folder with --out")
    images = collect_images(content.groups, data_root)
    with replacing_folder(out, "choose another folder with --out") as staging:
        for path, data in _files(content, images):
            target = staging / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    return out / "index.html"


def _files(content: Content, images: Sequence[Images]) -> Iterator[tuple[str, bytes]]:
    """Path and content of every file."""
    yield MARKER, b""
    yield from _assets()
    words = json.loads(render("site/words.json.j2"))
    judged = claims_page.claims(load_claims(content.store))
    groups = [_group(group, content) for group in content.groups]
    yield "data/site.js", script("window.SITE", _data(content, groups, images, words))
    for group in content.groups:
        yield f"data/pairs-{group.id}.js", script(f'SITE.pairs["{group.id}"]', group.pairs())
    for one in images:
        yield f"data/images-{one.group.id}.js", script(f'SITE.images["{one.group.id}"]', one.data())
        yield from ((f"pictures/{path}", data) for path, data in one.files())
    plots = {plot["id"]: plot for claim in judged for plot in claim["plots"]}
    yield "data/claims.js", script("SITE.claims", plots)
    yield "data/curves.js", script("SITE.curves", networks.curves(content))
    yield from _pages(content, groups, images, judged)
    yield from _records(content)


def _pages(
    content: Content, groups: Sequence[Row], images: Sequence[Images], judged: Sequence[Row]
) -> Iterator[tuple[str, bytes]]:
    about = list(networks.network_pages(content, images))
    shared: Row = {
        "pages": PAGES,
        "colors": content.colors,
        "significant": significant,
        "coarse": {title: stride for name, title in content.titles.items() if (stride := output_stride(name)) > 1},
        "paper_size": _PAPER_SIZE,
        "groups": groups,
        "column_sections": _sections(),
        # of a class accuracy is the same as recall
        "class_metrics": [metric for metric in CLASS_METRICS if metric.name != "accuracy"],
        "image_groups": [one.group.id for one in images],
        "networks": [{"page": page, **values} for page, values in about],
    }
    own: dict[str, Row] = {
        "index": _home(content),
        "claims": {"claims": judged},
        "protocols": {
            "cards": protocols.cards(content),
            "systems": protocols.systems(content),
            "versions": protocols.versions(content),
            "revisions": {"evaluation": EVALUATION_REVISION, "metrics": METRICS_REVISION},
            "left_out": protocols.left_out(content),
        },
    }
    for name, _ in PAGES:
        yield f"{name}.html", render(f"site/{name}.html.j2", page=name, **shared, **own.get(name, {})).encode()
    for name, values in about:
        yield f"{name}.html", render("site/network.html.j2", page=name, **shared, **values).encode()


def _data(content: Content, groups: Sequence[Row], images: Sequence[Images], words: Row) -> Row:
    checkpoints = dict.fromkeys(one for group in content.groups for one in group.checkpoints)
    return {
        "words": words,
        "quantities": [quantity.as_json() for quantity in QUANTITIES],
        "sections": _sections(),
        "defaults": content.defaults,
        "home": [one.key for one in quantities([*_HOME_COLUMNS, content.defaults["cost"]])],
        "checkpoints": sorted(checkpoints, key=lambda name: name == "best"),
        "groups": groups,
        "devices": content.devices,
        "networks": {name: {"title": title} for name, title in content.titles.items()},
        "colors": content.colors,
        "rebuilt": [name for name in content.titles if (info := architecture_info(name)) and info.fixed_size],
        "rows": content.rows,
        "costs": content.costs,
        "paper_size": _PAPER_SIZE,
        "image_groups": [one.group.id for one in images],
        "pairs": {},
        "images": {},
        "maps": {},
        "claims": {},
        "curves": {},
    }


def _sections() -> list[Row]:
    titles = json.loads(render("site/sections.json.j2"))
    return [
        {
            "id": name,
            "title": titles[name],
            "keys": list(keys),
            "measured": name == "inference",
            "on": name != "training",
        }
        for name, keys in SECTIONS.items()
    ]


def _group(group: SiteGroup, content: Content) -> Row:
    spec, info = group.spec, group.info
    return {
        "id": group.id,
        "title": group.title,
        "dataset": spec.dataset,
        "dataset_title": info.title if info else spec.dataset,
        "protocol": spec.protocol.title,
        "precision": spec.precision,
        "size": f"{group.size[0]} x {group.size[1]}",
        "split": group.split,
        "classes": list(group.classes),
        "colors": [list(color) for color in info.colors] if info else [],
        "checkpoints": list(group.checkpoints),
        "shown": group.shown,
        "reduced": "; ".join(group.group.reduced),
        "badges": protocols.badges(group),
        "identity": dict(protocols.identity(group)),
        "paper": content.paper(group),
    }


def _home(content: Content) -> Row:
    """What the first page says of its device, and its commands."""
    device = next(iter(content.devices), {"title": "no device", "kind": ""})
    shown = next(iter(content.groups), None)
    named = [suite.name for suite in grouping.suites_of(shown.spec)] if shown else []
    named = [OWN] if shown and shown.spec.own_data else named or ["quick"]
    every = [suite for _, suite in suites_of(content.store, named[:1])]
    suite, groups = every[0] if every else load_suite("quick"), []
    for one in every:
        if found := [group for group in collect(content.store, one).groups if shown and group.slug == shown.id]:
            suite, groups = one, found
    lines = [line for group in groups for line in commands(group, suite)]
    again = lines or [f"python -m harness run --all --suite {suite.name}"]
    return {"device": device, "defaults": content.defaults, "commands": again}


# -- files that are not made here ---------------------------------------------------------------------------


def _assets() -> Iterator[tuple[str, bytes]]:
    """The site's own scripts and styles, and those of plotly and DataTables out of the installed packages."""
    for file in sorted(files("harness.report.site").joinpath("static").iterdir(), key=lambda one: one.name):
        yield f"assets/{file.name}", file.read_bytes()
    yield "assets/plotly.min.js", _installed("plotly", "package_data/plotly.min.js").read_bytes()
    yield "assets/datatables.css", _installed("itables", "html/dt_bundle.css").read_bytes()
    yield "assets/datatables.js", _as_script(_installed("itables", "html/dt_bundle.js").read_text("utf-8")).encode()


def _installed(package: str, path: str) -> Path:
    spec = find_spec(package)
    found = Path(spec.origin).parent / path if spec and spec.origin else None
    if found is None or not found.is_file():
        raise UserError(f"{package} is not installed, or without its {path}; `pip install {package}` brings it")
    return found


def _as_script(module: str) -> str:
    """A JavaScript module as a plain script that sets `window.Tables`: a page from disk may not load modules."""
    match = re.search(r"export\s*\{([^{}]*)\}", module)
    if match is None:
        raise UserError("itables: its dt_bundle.js exports nothing; `pip install 'itables>=2.2'` brings one that does")
    names = [re.split(r"\s+as\s+", one.strip()) for one in match[1].split(",")]
    exported = ",".join(f"{json.dumps(one[-1])}:{one[0]}" for one in names)
    return f"(()=>{{{module[: match.start()]}window.Tables={{{exported}}};{module[match.end() :]}}})();\n"


def _records(content: Content) -> Iterator[tuple[str, bytes]]:
    """Copies of the records that the pages link to."""
    results = content.store.results
    for group in content.groups:
        for run in group.group.runs:
            path = runs_folder(results) / run.record.run_id / "record.json"
            yield f"records/runs/{run.record.run_id}.json", path.read_bytes()
    for name in content.measurements["measurement_id"].unique():
        yield f"records/measurements/{name}.json", (measurements_folder(results) / f"{name}.json").read_bytes()
