"""Two networks side by side, from made-up records; and `harness compare` as a user meets it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import datasets
from harness.config.protocol import Protocol, load_protocol
from harness.config.run_spec import InitialWeights
from harness.config.suite import suite_names
from harness.report.compare import compare
from harness.system.errors import UserError
from tests.harness.commands import harness
from tests.harness.report.made_up import FIRST, PART, SECOND, WHOLE, Store

ROOT = Path(__file__).resolve().parents[3]
VGG = InitialWeights(kind="file", sha256="ab" * 32, title="VGG16")


def fill(store: Store, camvid: Protocol) -> None:
    store.run(store.spec("segnet", protocol=camvid), {"half": FIRST, "end": WHOLE}, bf=0.4)
    store.run(store.spec("deconvnet", protocol=camvid), {"half": SECOND, "end": PART}, bf=0.5)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of one group of two networks."""
    store = Store(results=tmp_path_factory.mktemp("pair") / "results")
    fill(store, load_protocol("camvid-epochs@2"))
    return store.results


class TestCompare:
    def test_every_checkpoint_and_score(self, pair: Path) -> None:
        frame = compare(pair, "segnet", "deconvnet", suite_names())
        scores = frame[frame["class"] == ""].set_index(["checkpoint", "metric"])
        assert len(scores) == 3 * 4
        assert scores.loc["end", "higher"].to_dict() == {"G": "first", "C": "first", "mIoU": "first", "BF": "second"}
        assert scores.loc[("half", "G"), "higher"] == "tie"
        gap = scores.loc[("end", "G"), ["difference", "low", "high"]]
        assert list(gap) == pytest.approx([40 / 11] * 3)

    def test_every_class(self, pair: Path) -> None:
        frame = compare(pair, "segnet", "deconvnet", ["camvid"])
        classes = frame[(frame["checkpoint"] == "end") & (frame["metric"] == "IoU")]
        assert list(classes["class"]) == list(datasets.info("camvid").classes)
        assert list(classes["difference"])[:3] == pytest.approx([40.0, 100 - 100 / 1.4, 0.0])
        assert list(classes["higher"])[:3] == ["first", "first", "tie"]

    def test_is_the_other_way_round_with_the_other_sign(self, pair: Path) -> None:
        one, other = compare(pair, "segnet", "deconvnet", ["camvid"]), compare(pair, "deconvnet", "segnet", ["camvid"])
        assert list(one["difference"]) == pytest.approx(list(-other["difference"]))
        assert list(one["low"]) == pytest.approx(list(-other["high"]))

    def test_only_within_a_group(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": PART, "end": WHOLE})
        store.run(store.spec("deconvnet", protocol=camvid, weights=VGG), {"half": PART, "end": WHOLE})
        with pytest.raises(UserError, match="no finished runs of the same protocol, data, precision and"):
            compare(store.results, "segnet", "deconvnet", ["camvid"])

    def test_each_group_by_itself(self, store: Store, camvid: Protocol) -> None:
        fill(store, camvid)
        fill(store, camvid.override({"iterations": "300"}))
        frame = compare(store.results, "segnet", "deconvnet", ["camvid"])
        assert [bool(text) for text in frame.drop_duplicates("group")["reduced"]] == [False, True]

    def test_few_images_have_no_interval(self, store: Store, camvid: Protocol) -> None:
        for name in ("segnet", "deconvnet"):
            store.run(store.spec(name, protocol=camvid), {"half": PART[:5], "end": WHOLE[:5]})
        frame = compare(store.results, "segnet", "deconvnet", ["camvid"])
        assert set(frame["higher"]) == {""} and set(frame["reason"]) == {"too few images for an interval"}

    def test_a_class_that_is_nowhere_is_nobody_s(self, store: Store, camvid: Protocol) -> None:
        values = WHOLE.copy()
        values[:, 3], values[:, :, 3] = 0, 0
        for name in ("segnet", "deconvnet"):
            store.run(store.spec(name, protocol=camvid), {"half": values, "end": values})
        frame = compare(store.results, "segnet", "deconvnet", ["camvid"])
        rows = frame[frame["class"] == datasets.info("camvid").classes[3]]
        assert set(rows["higher"]) == {""} and set(rows["reason"]) == {"undefined in some resamples"}
        done = harness("compare", "segnet", "deconvnet", "--results", str(store.results))
        assert done.returncode == 0 and "nan" not in done.stdout

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (("segnet", "segnet"), "with another network than itself"),
            (("segnet", "deconvnat"), "no finished run of 'deconvnat' in .*did you mean 'deconvnet'"),
            (("fcn8s", "segnet"), "no finished run of 'fcn8s' in .*there are runs of segnet, deconvnet"),
        ],
    )
    def test_what_cannot_be_compared(self, pair: Path, names: tuple[str, str], message: str) -> None:
        with pytest.raises(UserError, match=message):
            compare(pair, *names, ["camvid"])

    def test_without_records(self, store: Store) -> None:
        with pytest.raises(UserError, match="no finished run of suite camvid in"):
            compare(store.results, "segnet", "deconvnet", ["camvid"])


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full and a reduced group of two networks; of the full one two seeds each."""
    store, camvid = (
        Store(results=tmp_path_factory.mktemp("compare") / "results"),
        load_protocol("camvid-epochs@2"),
    )
    fill(store, camvid.override({"size": "90x120"}))
    for seed, values in enumerate((PART, WHOLE)):
        for name in ("segnet", "deconvnet"):
            store.run(store.spec(name, protocol=camvid, seed=seed), {"half": values, "end": values})
    return store.results


class TestCommand:
    def test_prints_both_groups(self, results: Path) -> None:
        done = harness("compare", "segnet", "deconvnet", "--results", str(results))
        assert done.returncode == 0, done.stderr
        full, reduced = done.stdout.split("REDUCED: input 90 x 120 instead of 360 x 480")
        assert "98.18 ± 2.57" in full
        assert "A: SegNet (seeds: 2), B: DeconvNet (seeds: 2)" in full
        assert "tie" in full
        assert "+3.64 to +3.64" in reduced

    def test_imports_no_torch(self, results: Path) -> None:
        program = (
            "import sys; from pathlib import Path; from harness.cli.compare import compare_architectures; "
            "compare_architectures('segnet', 'deconvnet', None, Path(sys.argv[1])); "
            "sys.exit('torch' in sys.modules)"
        )
        command = [sys.executable, "-c", program, str(results)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        assert subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0
