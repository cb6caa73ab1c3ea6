"""The plots of a group: the numbers, names and colors in their axes."""

import numpy as np
import pytest

import datasets
from harness import paper
from harness.config.protocol import Protocol
from harness.config.run_spec import InitialWeights
from harness.config.suite import load_suite
from harness.report.collect import collect
from harness.report.plots import Drawing, NoPlot, drawings
from harness.report.plots.classes import class_figure, confusion_figure
from harness.report.plots.learning_curves import curves_figure, loss_frame, miou_frame
from harness.report.plots.overall import overall_frame
from harness.report.plots.predictions import (
    RIGHT_COLOR,
    VOID_COLOR,
    WRONG_COLOR,
    errors,
    image_scores,
    panel_cells,
    scores_figure,
    worst_cells,
)
from harness.report.plots.trade_off import cost_of, pareto_front, trade_off_frame
from harness.report.resources import MeasurementGroup
from harness.report.scored_data import open_source
from harness.report.sections import sections
from tests.harness.report.made_up import HE, MIOU_PART, PART, WHOLE, Store
from tests.harness.report.made_up_measurements import measured
from tests.harness.report.plots.conftest import Data

GPU = {"device": "cuda", "preset": "lease"}


def two(store: Store, protocol: Protocol) -> None:
    """SegNet right in part, DeconvNet wholly."""
    for name, matrices in (("segnet", PART), ("deconvnet", WHOLE)):
        store.run(store.spec(name, protocol=protocol), {"half": matrices, "end": matrices})


class TestRegistry:
    def test_titles_and_files_of_a_group_are_unique(self, store: Store, camvid: Protocol, data: Data) -> None:
        two(store, camvid)
        store.measurement("segnet", energy_mj=900, **GPU)
        made = drawings("group", data())
        found = [one for one in made if isinstance(one, Drawing)]
        assert not [one for one in made if isinstance(one, NoPlot)]
        assert len({one.name for one in found}) == len({one.title for one in found}) == len(found) == 8
        assert all(one.caption and "\n" not in one.caption for one in found)

    def test_why_there_is_no_plot(self, store: Store, camvid: Protocol, data: Data) -> None:
        two(store, camvid)
        store.measurement("segnet")
        (missing,) = [one for one in drawings("group", data()) if isinstance(one, NoPlot)]
        assert missing.title == "Energy versus accuracy"
        assert "measured on a CPU" in missing.reason

    def test_what_the_measurements_beside_the_scores_lack_is_from_other_ones(
        self, store: Store, camvid: Protocol, data: Data
    ) -> None:
        two(store, camvid)
        for name in ("segnet", "deconvnet"):
            store.measurement(name)
        store.measurement("segnet", energy_mj=900, **GPU)
        found = {one.name: one.caption for one in drawings("group", data()) if isinstance(one, Drawing)}
        assert (
            "Made-up GPU" in found["energy-accuracy.png"]
            and "No measurement: DeconvNet." in found["energy-accuracy.png"]
        )
        assert "Made-up CPU" in found["time-accuracy.png"] and "No measurement" not in found["time-accuracy.png"]


class TestOverall:
    def test_networks_of_all_initial_weights_at_one_input(self, store: Store, camvid: Protocol) -> None:
        """FCN-8s's memory is of another input. Runs from a file stand first."""
        other = InitialWeights(kind="file", title="Others (2020), by name", sha256="e" * 64)
        for name, weights in (("segnet", HE), ("fcn8s", HE), ("deeplab-largefov", other)):
            store.run(store.spec(name, protocol=camvid, weights=weights), {"half": PART, "end": PART})
        store.measurement("segnet", inference_mib=200)
        store.measurement("deeplab-largefov", inference_mib=150)
        store.measurement("fcn8s", inference_mib=90, size=(90, 120))
        found = sections(collect(store.results, load_suite("camvid")))
        frame = overall_frame(found, (360, 480))
        here = frame[frame["source"] == "here"].set_index("network")
        assert here["cost"].to_dict() == {"SegNet": 200, "DeepLab-LargeFOV": 150}
        assert here["sign"].to_dict() == {"SegNet": "*", "DeepLab-LargeFOV": ""}
        assert frame["source"].eq("paper").sum() == len(paper.resources()), "of the first section alone"
        (made,) = [one for one in drawings("home", found) if isinstance(one, Drawing)]
        assert "Others (no sign), He et al. (\\*)." in made.caption
        assert "Not measured: FCN (learnt deconv)." in made.caption
        assert drawings("home", found[:1]) == []


class TestTradeOff:
    def test_points_here_and_in_the_paper(self, store: Store, camvid: Protocol, data: Data) -> None:
        two(store, camvid)
        store.measurement("segnet", forward_ms=8, **GPU)
        store.measurement("deconvnet", forward_ms=9, **GPU)
        found = data()
        frame = trade_off_frame(found, found.costs_by_fit[0], "time").set_index(["source", "network"])
        assert frame.loc[("here", "SegNet"), "cost"] == 8
        assert frame.loc[("here", "SegNet"), "miou"] == pytest.approx(MIOU_PART)
        assert frame.loc[("here", "DeconvNet"), ["low", "high"]].tolist() == [100, 100]
        rows = {row.network: row.forward_ms for row in paper.resources()}
        scores = {row.network: row.scores["mIoU"] for row in paper.accuracies() if row.checkpoint == "end"}
        theirs = frame.loc["paper"]
        assert theirs["cost"].to_dict() == rows
        assert theirs["miou"].to_dict() == {name: scores[name] for name in rows}

    def test_no_point_of_the_paper_on_drawn_data_nor_under_another_recipe(
        self, store: Store, quick: Protocol, data: Data
    ) -> None:
        store.pictures("segnet", quick, accuracy=0.5)
        assert not data("quick").with_paper

    def test_energy_is_in_joules_and_parameters_in_millions(self) -> None:
        record = measured("segnet", energy_mj=900, **GPU)  # type: ignore[arg-type]
        group = MeasurementGroup(records=(record,))
        assert cost_of("energy", group).read(record).value == pytest.approx(0.9)
        assert "(J)" in cost_of("energy", group).header

    def test_parameters_are_the_runs_own(self, store: Store, camvid: Protocol, data: Data) -> None:
        spec = store.spec("segnet", protocol=camvid)
        store.run(spec, {"half": PART, "end": PART}, parameters=29_450_000)
        store.measurement("segnet", forward_ms=None, **GPU)
        found = data()
        frame = trade_off_frame(found, found.costs_by_fit[0], "parameters")
        assert frame[frame["source"] == "here"]["cost"].tolist() == [pytest.approx(29.45)]
        drawn = {one.title for one in drawings("group", found) if isinstance(one, Drawing)}
        assert "Parameters versus accuracy" in drawn and "Time versus accuracy" not in drawn

    def test_memory_is_the_allocators_on_a_gpu_and_live_tensors_elsewhere(self) -> None:
        gpu = measured("segnet", inference_mib=400, workspace_mib=50, **GPU)  # type: ignore[arg-type]
        cost = cost_of("memory", MeasurementGroup(records=(gpu,)))
        assert (cost.read(gpu).value, "allocator" in cost.header) == (450.0, True)
        cpu = measured("segnet", inference_mib=400)
        cost = cost_of("memory", MeasurementGroup(records=(cpu,)))
        assert (cost.read(cpu).value, "analytic" in cost.header) == (400.0, True)

    @pytest.mark.parametrize(
        ("points", "front"),
        [
            ([], []),
            ([(1.0, 1.0)], [0]),
            ([(2.0, 60.0), (1.0, 50.0)], [1, 0]),  # dearer and better: both, by cost
            ([(1.0, 50.0), (2.0, 50.0)], [0]),  # dearer and no better
            ([(1.0, 50.0), (1.0, 60.0)], [1]),  # as dear and better
            ([(1.0, 50.0), (1.0, 50.0)], [0, 1]),  # equals
            ([(3.0, 70.0), (2.0, 40.0), (1.0, 50.0), (4.0, 69.0)], [2, 0]),
        ],
    )
    def test_front(self, points: list[tuple[float, float]], front: list[int]) -> None:
        assert pareto_front(points) == front


class TestLearningCurves:
    def test_val_and_train_and_deeplabs_loss_apart(self, store: Store, camvid: Protocol, data: Data) -> None:
        for name in ("segnet", "deeplab-largefov"):
            store.run(store.spec(name, protocol=camvid), {"half": PART, "end": PART}, train=WHOLE)
        context = data()
        frame = miou_frame(context.group.runs)
        assert frame[frame["split"].eq("train")]["value"].tolist() == [100.0, 100.0]
        assert frame[frame["split"].eq("val")]["value"].iloc[-1] == pytest.approx(MIOU_PART)
        assert loss_frame(context.group.runs).groupby("network")["stride"].first().to_dict() == {
            "SegNet": 1,
            "DeepLab-LargeFOV": 8,
        }
        panels = {axes.get_title(loc="left"): axes for axes in curves_figure(context).axes}
        assert [line.get_label() for line in panels["training loss"].lines] == ["SegNet"]
        coarse = panels["training loss, over cells of 8 × 8 pixels"]
        assert [line.get_label() for line in coarse.lines] == ["DeepLab-LargeFOV"]
        labels = {line.get_label(): line for line in panels["mIoU: val filled, train hollow"].lines}
        assert set(labels) == {"SegNet", "DeepLab-LargeFOV", "SegNet, train", "DeepLab-LargeFOV, train"}
        assert labels["SegNet, train"].get_markerfacecolor() == "white"

    def test_line_is_the_mean_over_seeds(self, store: Store, camvid: Protocol, data: Data) -> None:
        for seed, values in enumerate((PART, WHOLE)):
            store.run(store.spec("segnet", protocol=camvid, seed=seed), {"half": values, "end": values})
        axes = curves_figure(data()).axes[-1]
        assert axes.lines[0].get_ydata()[-1] == pytest.approx((MIOU_PART + 100) / 2)  # type: ignore[index]


class TestClasses:
    def test_iou_of_every_class_in_its_networks_color(self, store: Store, camvid: Protocol, data: Data) -> None:
        two(store, camvid)
        found = data()
        (axes,) = class_figure(found, found.per_class).axes
        lines = {line.get_label(): line for line in axes.lines}
        assert list(lines["SegNet"].get_xdata())[:2] == pytest.approx([60, 100 * 100 / 140])
        assert lines["DeconvNet"].get_color() == found.palette.colors["DeconvNet"]
        assert [text.get_text() for text in axes.get_yticklabels()] == list(found.dataset.classes)

    def test_confusion_in_percent_of_a_row(self, store: Store, camvid: Protocol, data: Data) -> None:
        two(store, camvid)
        first, second = confusion_figure(data()).axes
        assert [first.get_title(loc="left"), second.get_title(loc="left")] == ["SegNet", "DeconvNet"]
        assert [text.get_text() for text in first.texts if text.get_text()][:3] == ["60", "40", "100"]


class TestPictures:
    def test_errors_are_wrong_pixels_but_not_void(self) -> None:
        truth = np.array([[0, 1, 255]], dtype=np.uint8)
        found = errors(np.array([[0, 2, 2]], dtype=np.uint8), truth)
        assert [tuple(pixel) for pixel in found[0]] == [RIGHT_COLOR, WRONG_COLOR, VOID_COLOR]

    def test_worst_image_of_each_network(self, store: Store, camvid: Protocol, data: Data) -> None:
        matrices = np.concatenate([WHOLE[:3], PART[:1], WHOLE[:3]])
        store.run(store.spec("segnet", protocol=camvid), {"half": matrices, "end": matrices})
        context = data()
        frame = image_scores(context.group)
        assert frame["miou"].round(2).tolist() == [100.0] * 3 + [round(MIOU_PART, 2)] + [100.0] * 3
        (axes,) = scores_figure(context, frame).axes
        assert [text.get_text() for text in axes.texts] == ["no. 3: 94"]

    def test_drawn_data_has_image_truth_prediction_and_errors(self, store: Store, quick: Protocol, data: Data) -> None:
        source = open_source(datasets.info("roads"), None)
        assert source is not None
        place = source.test.image_ids.index("test_003")
        image, truth = source.test[place]
        _, digest = datasets.content_hash("roads")
        prediction = truth.copy()
        prediction[truth == 0] = 1
        spec = store.spec("segnet", protocol=quick, digest=digest)
        store.run(spec, {"end": np.repeat(WHOLE[:1], 60, axis=0)}, image_ids={"test_003": prediction})
        found = data("quick", source)
        cells = panel_cells(found.group, source, "test_003")
        share = 100 * (truth == 0).sum() / (truth != 255).sum()
        assert [cell.name for cell in cells] == ["image", "truth", "SegNet", f"errors: {share:.1f} % of pixels"]
        assert (cells[0].picture == image).all()
        assert len(worst_cells(image_scores(found.group), source)) == 4
        made = {one.name: one for one in drawings("group", found) if isinstance(one, Drawing)}
        assert {"panel-1.png", "worst.png"} <= made.keys()
        assert "predictions.png" not in made

    def test_predictions_of_real_data_stand_alone_and_its_pictures_stay_local(
        self, store: Store, camvid: Protocol, data: Data
    ) -> None:
        store.pictures("segnet", camvid, accuracy=0.5)
        made = {one.name for one in drawings("group", data()) if isinstance(one, Drawing)}
        assert "predictions.png" in made
        assert not [name for name in made if name.startswith(("panel", "worst"))]
