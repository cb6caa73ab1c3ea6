"""The page: its figures by hand, what it leaves out and says so, the same bytes each time, the command."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.config.protocol import load_protocol
from harness.config.suite import load_suite
from harness.records.measurement import save_measurement
from harness.records.run import load_run, load_runs, save_run
from harness.report.costs.checks import checks, record_size
from harness.report.costs.matrix import load_matrix
from harness.report.costs.page import page
from harness.report.costs.plan import Plan, hours, make_plan
from harness.report.costs.schedules import forecast
from harness.report.costs.tables import disk_table, figure, network_table, parts_table, postprocessing_table
from harness.system.quantities import NotMeasured
from tests.harness.cli.test_cli import ROOT, assert_one_line, harness
from tests.harness.report.made_up import Store
from tests.harness.report.made_up_measurements import measured

FIVE = load_suite("camvid").architectures
MATRIX = load_matrix().model_copy(update={"suites": ("camvid",)})
# Made-up networks need 2 * 480.25 GFLOP for an image in training and 2 * 160.5 forward.
# Six regular evaluations and one at the last iteration, where train is scored too.
TRAINED, SCORED = 43_000, 7 * (370 + 101) + 2 * 233 + 367 + (101 + 233)
RUN_FLOP = 2e9 * (480.25 * TRAINED + 160.5 * SCORED)


def filled(results: Path, *names: str) -> Path:
    for name in names:
        save_measurement(results, measured(name, step_ms=2000.0))
    return results


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Of suite camvid, all five networks measured on a CPU."""
    return make_plan(MATRIX, filled(tmp_path / "results", *FIVE), [1, 8])


def test_hours_are_work_over_rate(plan: Plan) -> None:
    cpu, gpu = plan.machines
    assert len(plan.own) == 25 and len(plan.all) == 75
    assert sum(run.flop for run in plan.own) == pytest.approx(25 * RUN_FLOP)
    training_s = 2e9 * 480.25 * TRAINED / (2 * 480.25e9 * 5 / 2.0)
    scoring_s = 0.1 * SCORED
    assert training_s == pytest.approx(2.0 * TRAINED / 5)
    assert hours(plan.own, cpu) == pytest.approx(25 * (training_s + scoring_s) / 3600)
    assert hours(plan.own, gpu) == pytest.approx(25 * RUN_FLOP / 200e12 / 3600)


def test_the_forecast_adds_starts_and_losses(plan: Plan) -> None:
    cpu, _ = plan.machines
    one = forecast(plan.own, cpu, 8, MATRIX.assumed, draws=20)
    run_s = plan.own[0].duration_s(cpu) + 60
    # 25 equal runs on 8 devices: three rounds of 8 and one more
    assert one.quiet.makespan_s == pytest.approx(4 * run_s)
    assert one.mean_load_s == pytest.approx(25 * run_s / 8) and one.longest_s == pytest.approx(run_s)
    assert one.makespan.low > 3 * run_s and one.busy.median > one.quiet.busy_s
    # one loss in 24 h of computing
    assert one.losses.median == pytest.approx(one.busy.median / 86400, rel=0.5)


def test_the_parts_and_their_sums(plan: Plan) -> None:
    table = parts_table(plan).set_index("part")
    assert list(table.index) == [
        "camvid, camvid-epochs@2",
        "camvid, camvid@2",
        "camvid, camvid-tuned@1",
        "all with the suite's own protocol",
        "all",
    ]
    assert table.loc["all", "runs"] == "75"
    assert table.loc["camvid, camvid-epochs@2", "PFLOP"] == figure(25 * RUN_FLOP / 1e15)
    assert table.loc["camvid, camvid-epochs@2", "images trained, 10^6"] == figure(25 * TRAINED / 1e6)


def test_disk_and_network_by_hand(plan: Plan) -> None:
    disk = disk_table(plan, NotMeasured(reason="nothing")).set_index("part").loc["camvid, camvid-epochs@2"]
    # 29.45 million parameters: weights and momentum, and the scores of 3 * 334 images and of train
    checkpoint = 8 * 29_450_000 + (3 * 334 + 367) * 121 * 4 + 3 * 233 * 11 * 4
    assert disk["largest checkpoint, MB"] == figure(checkpoint / 1e6)
    assert disk["largest run at work, GB"] == figure((3 * checkpoint + 4 * 29_450_000) / 1e9)
    assert disk["weights that stay, GB"] == figure(25 * 2 * 4 * 29_450_000 / 1e9)
    assert disk["decoded data, GB"] == figure(701 * 360 * 480 * 4 / 1e9)
    assert disk["records, MB"] == "n/a"
    gpu = plan.machines[1]
    found = [forecast(plan.own, gpu, devices, MATRIX.assumed, draws=2) for devices in (1, 9)]
    rows = network_table(plan, plan.own, gpu, found).to_dict("records")
    assert [row["machines"] for row in rows] == ["1", "2"]
    assert [row["decoded data to them, GB"] for row in rows] == ["0.485", "0.969"]
    # runs of under ten minutes: a checkpoint at each of seven evaluations
    assert plan.own[0].duration_s(gpu) < 600
    assert rows[0]["checkpoints written, GB"] == figure(25 * 7 * checkpoint / 1e9)


def test_rows_made_of_a_finished_run(plan: Plan) -> None:
    camvid, sun = postprocessing_table(plan).to_dict("records")
    assert camvid["images searched on"] == "1,000" and camvid["images scored"] == "334"
    assert camvid["core hours"] == figure(5 * 1334 * 1.5 * 2 / 3600)
    assert sun["core hours"] == "n/a"


def test_a_network_without_counts_is_named_and_sums_say_at_least(tmp_path: Path) -> None:
    results = filled(tmp_path / "results", *FIVE[:-1])
    plan = make_plan(MATRIX.model_copy(update={"suites": ("camvid", "nowhere")}), results, [1])
    table = parts_table(plan).set_index("part")
    assert table.loc["camvid, camvid-epochs@2", "runs"] == "≥ 20 of 25"
    assert table.loc["nowhere", "PFLOP"] == "n/a"
    assert table.loc["all", "PFLOP"].startswith("≥ ")
    text = page(plan, results)
    command = "`python -m harness measure deconvnet --size 360x480 --classes 11 --phase shapes`"
    left_out = "LEFT OUT, so that sums are at least so much:"
    assert f"{left_out} deconvnet: not counted yet; {command} does it." in text
    assert "LEFT OUT, so that sums are at least so much: there is no suite nowhere yet." in text


def test_without_any_record_the_page_says_what_is_missing(tmp_path: Path) -> None:
    text = page(make_plan(MATRIX, tmp_path / "results", [1, 8, 64]), tmp_path / "results")
    assert f"not counted yet; `python -m harness measure {' '.join(FIVE)} --size 360x480" in text
    assert "## In short" not in text and "there is no finished run" in text


def test_the_page_is_the_same_each_time_and_marks_what_is_assumed(tmp_path: Path) -> None:
    results = filled(tmp_path / "results", *FIVE)
    first, second = (page(make_plan(MATRIX, results, [1, 8, 64]), results) for _ in range(2))
    assert first == second
    assert "B is an assumed GPU that reaches 200 TFLOP/s: ASSUMED" in first
    assert "A is Made-up CPU (2 cores), 2 threads, fp32, preset cpu: measured, 5 networks, at 360" in first
    for value in (getattr(MATRIX.assumed, name) for name in type(MATRIX.assumed).model_fields):
        assert f"{value.value:g} {value.unit}" in first


def with_threads(store: Store, folder: Path, threads: int) -> None:
    """Put the record again, as one that says with how many threads it was made."""
    record = load_run(folder).record.model_copy(update={"environment": {"torch_threads": threads}})
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "record.json"}
    save_run(store.results, record, files)


def test_runs_that_were_made_are_compared_with_what_is_computed(tmp_path: Path) -> None:
    store = Store(results=filled(tmp_path / "results", "segnet", "fcn8s-bilinear"))
    protocol = load_protocol("camvid-epochs@2").override({"iterations": "300"})
    with_threads(store, store.pictures("segnet", protocol, accuracy=0.7), 2)
    with_threads(store, store.pictures("segnet", protocol, accuracy=0.7, seed=1), 1)
    with_threads(store, store.pictures("segnet", protocol, accuracy=0.7, precision="bf16"), 2)
    with_threads(store, store.pictures("fcn8s", protocol, accuracy=0.7), 2)
    plan = make_plan(MATRIX, store.results, [1])
    stored, _ = load_runs(store.results)
    (check,), left_out = checks(stored, plan.machines, plan.records)
    assert (check.architecture, check.train_s, check.score_s) == ("segnet", 600, 60)
    assert check.computed_train_s == pytest.approx(300 * 2.0)
    # two evaluations of val after re-estimation; of 25 images each, test at both and train at the last
    assert check.computed_score_s == pytest.approx(0.1 * (2 * (370 + 101) + 3 * 25))
    assert check.train_ratio == pytest.approx(1) and check.reduced
    reasons = " ".join(left_out)
    assert len(left_out) == 3
    assert "made with 1 threads, rates are of 2" in reasons and "in bf16" in reasons
    assert "not counted" in reasons
    text = page(plan, store.results)
    assert "Recorded over computed, 1 runs: training 1.00 [1.00, 1.00], scoring 0.59 [0.59, 0.59]" in text


def test_records_are_sized_by_the_images_they_score(tmp_path: Path) -> None:
    store = Store(results=tmp_path / "results")
    folder = store.pictures("segnet", load_protocol("camvid-epochs@2"), accuracy=0.7)
    stored, _ = load_runs(store.results)
    size = record_size(stored)
    assert not isinstance(size, NotMeasured) and size.runs == 1
    scores = (folder / "scores.npz").stat().st_size
    assert size.image_bytes == scores / (5 * 25)  # val and test twice, train once
    assert size.rest_bytes == sum(path.stat().st_size for path in folder.iterdir()) - scores
    assert isinstance(record_size([]), NotMeasured)


def test_the_command_prints_the_page_or_writes_it(tmp_path: Path) -> None:
    results = filled(tmp_path / "results", *FIVE)
    printed = harness("plan-cost", "--results", str(results), "--devices", "2", "--seeds", "1")
    assert printed.returncode == 0, printed.stderr
    assert "1 seed each" in printed.stdout and "## Time on B" in printed.stdout
    target = tmp_path / "docs" / "scaling.md"
    written = harness("plan-cost", "--results", str(results), "--page", str(target))
    assert written.returncode == 0 and target.read_text("utf-8").startswith("# What the full matrix")
    assert_one_line(harness("plan-cost", "--devices", "1,0"), "devices '1,0'")
    assert_one_line(harness("plan-cost", "--tflops", "-3"), "gpu_tflops")


def test_the_command_imports_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness.cli.plan_cost import plan_cost_command as go; "
        f"go(devices='1', seeds=1, gpu_tflops=None, written=Path({str(tmp_path / 'page.md')!r}), "
        f"results=Path({str(filled(tmp_path / 'results', *FIVE))!r})); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=ROOT)
