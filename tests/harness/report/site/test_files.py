"""The site's files: figures as in the frames, whole or not at all, nothing from elsewhere."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest

from harness.config.initial_weights import HE
from harness.config.protocol import load_protocol
from harness.config.run_spec import InitialWeights
from harness.records.run import Failure, load_runs
from harness.report import frames
from harness.report.site.build import MARKER, _as_script, write_site
from harness.report.site.content import collect_site
from harness.report.site.quantities import QUANTITIES, SECTIONS, costs, paper_points
from harness.system.errors import UserError
from tests.harness.commands import assert_one_line, harness
from tests.harness.report.made_up import FIRST, PART, SECOND, WHOLE, Store
from tests.harness.report.site.conftest import COMMITTED


def data(site: Path, name: str):
    """What a data file sets its variable to."""
    return json.loads((site / "data" / f"{name}.js").read_text("utf-8").partition("=")[2].rstrip(";\n"))


def pair(store: Store, first: np.ndarray, second: np.ndarray, **changes) -> Path:
    """Two networks with these matrices on test, of one protocol but for the changes of the second's spec."""
    camvid = load_protocol("camvid-epochs@2")
    store.run(store.spec("segnet", protocol=camvid), {"half": first, "end": first})
    store.run(store.spec("deconvnet", protocol=camvid, **changes), {"half": second, "end": second})
    return store.results


def made(store: Store, **choice) -> Path:
    """Folder of the site of what is in the store."""
    return write_site(store.results, store.results.parent / "site", **choice).parent


def test_rows_are_the_means_of_the_frames(site):
    found = {row["id"]: row for row in data(site, "site")["rows"]}
    results = frames.load_results(COMMITTED)
    results = results[(results["split"] == "test") & (results["outdated"] == "")]
    assert len(results) > 10
    for (group, checkpoint, network), rows in results.groupby(["group", "checkpoint", "network"]):
        row, values = rows.iloc[0], found[f"{group}/{checkpoint}/{network}"]["values"]
        assert values["miou"][0] == pytest.approx(rows["miou"].mean(), rel=1e-6)
        if len(rows) == 1:  # the frame has a row a seed, with the interval of that seed alone
            ends = [] if np.isnan(row["miou_low"]) else [row["miou_low"], row["miou_high"]]
            assert values["miou"][1:] == pytest.approx(ends, rel=1e-6)
        else:  # which reaches no further than those of its seeds do
            mean, low, high = values["miou"]
            assert rows["miou_low"].min() - 1e-4 <= low < mean < high <= rows["miou_high"].max() + 1e-4
        assert values["bf"][0] == pytest.approx(rows["bf"].mean(), rel=1e-6)
        assert values["parameters_m"] == pytest.approx([row["parameters"] / 1e6])


def test_costs_are_those_of_the_frame(site):
    measured = frames.load_measurements(COMMITTED)
    found = {(row["network"], row["size"], row["device"], row["precision"]): row for row in data(site, "site")["costs"]}
    wanted = {"memory_mib": "peak_allocated_mib", "latency_ms@1": "latency_ms", "energy_j@1": "energy_j_per_image"}
    for name in ("segnet", "fcn8s", "deeplab-largefov", "deconvnet"):
        row = found[name, "360 x 480", "cuda-nvidia-h200", "fp32"]
        own = measured[(measured["architecture"] == name) & (measured["device"] == "cuda-nvidia-h200")]
        own = own[own["phase"].isin(["forward", "inference-memory"])]
        own = own[own["statistic"].isin(["value", "median", "above_idle"])].set_index("quantity")["value"]
        for key, quantity in wanted.items():
            assert row["values"][key] == pytest.approx(own[quantity], rel=1e-6)
    cpu = found["segnet", "360 x 480", "cpu-amd-epyc-2c", "fp32"]
    assert cpu["why"]["memory_mib"] == "measured on a CPU"
    assert "memory_mib" not in cpu["values"]


def test_differences_of_a_pair_are_those_of_its_matrices(store):
    pair(store, WHOLE, PART)
    out = made(store)
    (name,) = (path.stem.removeprefix("pairs-") for path in (out / "data").glob("pairs-*.js"))
    found = data(out, f"pairs-{name}")["end"]["segnet|deconvnet"]
    assert found["by"] == "images"
    # class 0: 60 of 100 right; class 1 has 40 pixels too many: IoU 60 and 100 / 140; the other nine 100
    assert found["scores"]["global_accuracy"] == pytest.approx([100 * 40 / 1100] * 3, abs=1e-3)
    assert found["scores"]["miou"] == pytest.approx([(40 + 100 - 100 / 1.4) / 11] * 3, abs=1e-3)
    assert found["classes"][0] == pytest.approx([40.0] * 3)
    assert found["classes"][2] == pytest.approx([0.0] * 3)
    rows = {row["network"]: row for row in data(out, "site")["rows"] if row["checkpoint"] == "end"}
    assert rows["segnet"]["best"] == ["global_accuracy", "class_accuracy", "miou", "bf"]
    assert rows["deconvnet"]["best"] == ["bf"], "BF is the same in both"


def test_a_tie_shares_the_lead(store):
    pair(store, FIRST, SECOND)
    out = made(store)
    rows = [row for row in data(out, "site")["rows"] if row["checkpoint"] == "end"]
    assert [("miou" in row["best"]) for row in rows] == [True, True]


def test_runs_that_differ_in_more_than_the_network_are_groups_apart(store):
    weights = InitialWeights(kind="file", sha256="ab" * 32, title="VGG16 conv1-conv3")
    pair(store, WHOLE, PART, weights=weights)
    out = made(store)
    groups = data(out, "site")["groups"]
    one, other = (group["identity"] for group in groups)
    assert [name for name in one if one[name] != other[name]] == ["initial weights"]
    assert {group["title"].rpartition(", from ")[2] for group in groups} == {HE.title.partition(" (")[0], weights.title}


def test_seeds_are_averaged_and_counted(store, camvid):
    for seed, matrices in ((0, WHOLE), (1, PART)):
        store.run(store.spec("segnet", protocol=camvid, seed=seed), {"half": matrices, "end": matrices})
    out = made(store)
    (row,) = (row for row in data(out, "site")["rows"] if row["checkpoint"] == "end")
    assert row["seeds"] == [0, 1]
    assert row["values"]["global_accuracy"][0] == pytest.approx(100 - 100 * 20 / 1100)
    assert {badge["text"] for badge in data(out, "site")["groups"][0]["badges"]} >= {"seeds: 2", "schedule: 100 %"}


def test_scores_of_images_are_packed_to_hundredths(site):
    images = frames.load_image_scores(COMMITTED)
    shown = {group["id"]: group["shown"] for group in data(site, "site")["groups"]}
    for path in sorted((site / "data").glob("images-*.js")):
        name = path.stem.removeprefix("images-")
        found = data(site, path.stem)
        values = np.frombuffer(base64.b64decode(found["miou"]), dtype="<u2").reshape(-1, len(found["networks"]))
        own = images[(images["group"] == name) & (images["split"] == "test")]
        own = own[own["checkpoint"] == shown[name]]
        means = own.pivot_table(index="image", columns="network", values="miou", aggfunc="mean")  # over seeds
        expected = means[found["networks"]].to_numpy()
        assert np.abs(values / 100 - expected).max() <= 0.0051


def test_kept_predictions_find_their_image(site):
    """The three kept images of CamVid's 233 are those at 1/6, 1/2 and 5/6 of the split."""
    (path,) = (site / "data").glob("images-camvid-adamw-quarter*.js")
    found = data(site, path.stem)
    assert found["pictures"]["predicted"] == [38, 116, 194]
    assert [found["ids"][at] for at in (38, 116, 194)] == ["0001TP_009690", "Seq05VD_f01620", "Seq05VD_f03960"]
    assert found["ids"][0] == "image 0"
    shown = {picture.parent.name.partition("-")[0] for picture in (site / "pictures").rglob("*.jpg")}
    assert shown <= {"roads"}, "a picture of a dataset that isn't ours"  # roads: of quick runs made here


def test_drawn_data_comes_with_its_pictures(drawn_site):
    (path,) = (drawn_site / "data").glob("images-*.js")
    found = data(drawn_site, path.stem)
    assert found["pictures"]["image"] is True
    assert len(list((drawn_site / "pictures").rglob("*.jpg"))) == len(found["ids"]) == 60


def test_every_link_of_every_page_leads_to_a_file(site):
    for page in site.glob("*.html"):
        text = page.read_text("utf-8")
        for link in re.findall(r'(?:href|src)="([^"]+)"', text):
            target = link.partition("#")[0]
            if target and not target.startswith("data:"):
                assert (site / target).is_file(), f"{page.name}: {link}"


def test_nothing_points_to_a_network_and_the_size_is_bounded(site):
    for path in [*site.glob("*.html"), *(site / "data").glob("*.js")]:
        assert not re.search(r'(?:src|href)="(?:https?:)?//', path.read_text("utf-8")), path
    files = [path for path in site.rglob("*") if path.is_file() and site / "pictures" not in path.parents]
    assert sum(path.stat().st_size for path in files) < 10 * 2**20


@pytest.mark.slow
def test_the_same_bytes_each_time_and_only_over_a_site(tmp_path, site):
    again = write_site(COMMITTED, tmp_path / "site").parent
    files = sorted(path.relative_to(site) for path in site.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    for name in files:
        assert (site / name).read_bytes() == (again / name).read_bytes(), name


def test_a_folder_that_holds_something_else_is_left_alone(store, tmp_path):
    results = pair(store, WHOLE, PART)
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work", "utf-8")
    with pytest.raises(UserError, match=r"mine holds something else than a site; choose another folder with --out"):
        write_site(results, out)
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]
    write_site(results, tmp_path / "site")
    (tmp_path / "site" / "old.html").touch()
    write_site(results, tmp_path / "site")
    assert (tmp_path / "site" / MARKER).exists()
    assert not (tmp_path / "site" / "old.html").exists()
    assert not list(tmp_path.glob(".*.tmp"))


def test_no_record_and_an_unknown_suite_are_one_line(tmp_path):
    with pytest.raises(UserError, match=r"no records in .*; `python -m harness run` makes some"):
        write_site(tmp_path / "nothing", tmp_path / "site")
    with pytest.raises(UserError, match="unknown suite 'camvit'"):
        write_site(tmp_path, tmp_path / "site", suites=["camvit"])
    assert list(tmp_path.iterdir()) == []


def test_only_the_suites_that_are_asked_for(store):
    results = pair(store, WHOLE, PART)
    out = made(store, suites=["camvid"])
    assert len(data(out, "site")["groups"]) == 1
    store.measurement("segnet")
    write_site(results, out, suites=["sunrgbd"])
    assert data(out, "site")["groups"] == []


@pytest.mark.slow
def test_the_command_names_the_page(store, tmp_path):
    command = ["site", "--results", str(pair(store, WHOLE, PART))]
    done = harness(*command, "--out", str(tmp_path / "out"))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"site: {tmp_path / 'out' / 'index.html'}" in done.stdout
    assert_one_line(harness(*command, "--suite", "camvit"), "unknown suite 'camvit'")


def test_damaged_and_failed_records_are_listed_and_stop_nothing(store, tmp_path):
    results = pair(store, WHOLE, PART)
    failed = store.spec("fcn8s", protocol=load_protocol("camvid-epochs@2"))
    store.failed(failed, Failure(kind="oom", message="OOM at batch 5", iteration=7))
    broken = results / "runs" / "segnet-camvid-s9-deadbeef"
    broken.mkdir()
    (broken / "record.json").write_text("{}", "utf-8")
    out = write_site(results, tmp_path / "site").parent
    text = (out / "protocols.html").read_text("utf-8")
    assert "oom: OOM at batch 5" in text
    assert "segnet-camvid-s9-deadbeef" in text


@pytest.mark.parametrize("odd", [PART[:19], 0 * PART], ids=["an image less", "all void"])
def test_an_odd_evaluation_is_left_out_and_stops_nothing(store, camvid, odd):
    for network, end in (("segnet", WHOLE), ("deconvnet", WHOLE), ("fcn8s", odd)):
        store.run(store.spec(network, protocol=camvid), {"half": PART, "end": end})
    out = made(store)
    rows = data(out, "site")["rows"]
    assert {row["network"] for row in rows if row["checkpoint"] == "end"} == {"segnet", "deconvnet"}
    assert "group-choice" in (out / "network-segnet.html").read_text("utf-8")
    assert "group-choice" not in (out / "network-fcn8s.html").read_text("utf-8")


def test_measurements_alone_make_a_site(store):
    store.measurement("segnet", forward_ms=30.0, energy_mj=2500.0, device="cuda", preset="lease")
    out = made(store)
    (row,) = data(out, "site")["costs"]
    assert row["values"]["latency_ms@1"] == 30.0
    assert row["values"]["energy_j@1"] == 2.5
    assert (out / "network-segnet.html").is_file()


def test_presets_and_variants_do_not_mix(store):
    store.measurement("segnet", forward_ms=99.0, device="cuda", preset="quick")
    store.measurement("segnet", forward_ms=30.0, device="cuda", preset="full")
    store.measurement("segnet", forward_ms=10.0, device="cuda", preset="full", options=("channels-last",))
    (row,) = costs(frames.load_measurements(store.results))
    assert row["values"]["latency_ms@1"] == 30.0


def test_the_papers_points_are_table_3_and_6():
    found = paper_points("camvid", {"segnet": "SegNet"})
    points = {(one["title"], one["checkpoint"]): one for one in found}
    assert points["SegNet", "end"]["network"] == "segnet"
    assert points["SegNet", "end"]["values"]["miou"] == 57.18
    assert points["SegNet", "best"]["values"]["miou"] == 60.10
    assert points["SegNet", "half"]["values"]["memory_mib"] == 1052
    assert points["DeconvNet", "end"]["values"]["latency_ms"] == 474.65
    assert paper_points("roads", {}) == []


@pytest.mark.parametrize(
    ("network", "protocol", "beside"),
    [
        ("segnet", "camvid-epochs@2", True),
        ("segnet", "recipes@1", False),  # scored on val
        ("segnet-basic", "decoders@2", False),  # beside Table 1
        ("pixel-mlp", "camvid-epochs@2", False),  # no network of the suite
        ("segnet", "quick@2", False),  # drawn data
    ],
)
def test_the_papers_scores_stand_beside_those_they_compare_to(store, network, protocol, beside):
    known = load_protocol(protocol)
    store.run(store.spec(network, protocol=known), {"end": WHOLE})
    content = collect_site(store.results, None)
    (group,) = content.groups
    assert bool(content.paper(group)) == beside


def test_an_outdated_run_is_left_out_of_the_tables(store, camvid):
    store.run(store.spec("segnet", protocol=camvid), {"half": WHOLE, "end": WHOLE})
    store.run(store.spec("deconvnet", protocol=camvid, revision=99), {"half": PART, "end": PART})
    assert len(load_runs(store.results)[0]) == 2
    content = collect_site(store.results, None)
    assert {row["network"] for row in content.rows} == {"segnet"}


def test_every_column_of_the_leaderboard_is_a_quantity():
    keys = [one.key for one in QUANTITIES]
    assert len(keys) == len(set(keys))
    assert {key for section in SECTIONS.values() for key in section} <= set(keys)


def test_a_module_becomes_a_script():
    assert _as_script("var a=1,b=2;export{a as Apple,b as default};") == (
        '(()=>{var a=1,b=2;window.Tables={"Apple":a,"default":b};;})();\n'
    )
    with pytest.raises(UserError, match="exports nothing"):
        _as_script("var a=1;")
