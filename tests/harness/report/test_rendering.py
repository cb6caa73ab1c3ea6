"""Tables as text, shared sentences, and figures."""

import io

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from harness.config.initial_weights import HE
from harness.config.protocol import Protocol, load_protocol
from harness.config.run_spec import InitialWeights
from harness.config.suite import load_suite
from harness.records.run import Failure
from harness.report.collect import collect
from harness.report.figures import MAX_BYTES, palette, png, small_png
from harness.report.plots import bars_words, legend_columns
from harness.report.tables import csv, latex, markdown, signed, significant, spread
from harness.report.wording import commands, decoder_input_notes, input_notes, map_size, small_input_notes
from tests.harness.report.made_up import Store


class TestText:
    def test_markdown(self) -> None:
        frame = pd.DataFrame({"network": ["a|b", "c\nd"], "mIoU": ["1", "2"]})
        assert markdown(frame).splitlines() == [
            "| network | mIoU |",
            "| :--- | ---: |",
            "| a\\|b | 1 |",
            "| c d | 2 |",
        ]

    def test_csv_has_four_digits_and_empty_cells(self) -> None:
        frame = pd.DataFrame({"a": [1 / 3, np.nan], "b": ["x, y", None]})
        assert csv(frame) == 'a,b\n0.3333,"x, y"\n,\n'

    def test_latex_escapes_and_spans(self) -> None:
        frame = pd.DataFrame([["a_b", "1 ± 2", "−3"]])
        frame.columns = pd.MultiIndex.from_tuples([("", "network"), ("G", "ours"), ("G", "diff.")])
        text = latex(frame, caption="50 % of x_y", label="tab:x", notes=["2^20 `bytes`"])
        assert r"\multicolumn{2}{c}{G}" in text
        assert r"a\_b & 1 $\pm$ 2 & $-$3 \\" in text
        assert r"\caption{50 \% of x\_y}" in text
        assert r"2\^{}20 bytes\par" in text
        assert text.count("{") == text.count("}")

    @pytest.mark.parametrize(
        ("value", "digits", "text"),
        [(422.5, 3, "422"), (5.125, 3, "5.12"), (12345.6, 3, "12,346"), (117.797, 4, "117.8"), (0, 3, "0")],
    )
    def test_significant(self, value: float, digits: int, text: str) -> None:
        assert significant(value, digits) == text

    def test_significant_of_nothing(self) -> None:
        assert significant(None) == "n/a"

    def test_signed_and_spread(self) -> None:
        nan = float("nan")
        assert [signed(1.234), signed(-1.234), signed(nan)] == ["+1.23", "−1.23", "–"]
        assert spread(57.18, std=1.1, low=nan, high=nan) == "57.18 ± 1.10"
        assert spread(57.18, std=nan, low=54.94, high=59.06) == "57.18 [54.9, 59.1]"
        assert spread(57.18, std=nan, low=nan, high=nan) == "57.18"


class TestWording:
    def test_maps_round_up(self) -> None:
        assert map_size((360, 480), 32) == (12, 15)
        assert map_size((360, 480), 8) == (45, 60)
        assert map_size((90, 120), 32) == (3, 4)

    def test_nothing_to_say_at_the_papers_size(self) -> None:
        assert input_notes((360, 480), "table3") == []
        assert input_notes((360, 480), "table1") == []

    def test_small_maps(self) -> None:
        deeplab, fcn, deconvnet = small_input_notes((90, 120))
        assert "25 x 25: larger than its map of 12 x 15" in deeplab
        assert "7 x 7: larger than the pool5 map of 3 x 4" in fcn
        assert "3 x 4 here and 12 x 15 at 360 x 480" in deconvnet

    def test_says_larger_only_where_it_is(self) -> None:
        deeplab, fcn, _ = small_input_notes((180, 240))
        assert "25 x 25: higher than its map of 23 x 30" in deeplab
        assert "7 x 7: higher than the pool5 map of 6 x 8" in fcn
        deeplab, fcn, _ = small_input_notes((270, 360))
        assert "no larger than its map of 34 x 45" in deeplab
        assert "no larger than the pool5 map of 9 x 12" in fcn

    def test_small_maps_of_the_decoders(self) -> None:
        pool4, field = decoder_input_notes((120, 160))
        assert input_notes((120, 160), "table1") == [pool4, field]
        assert "pool4, is 8 x 10 here and 23 x 30 at 360 x 480" in pool4
        assert "0.88 of the input's height here, 0.29 at 360 x 480" in field

    def test_command_of_one_balancing_names_it(self, store: Store) -> None:
        decoders = load_protocol("decoders@2")
        for class_weighting in ("median", "natural"):
            protocol = decoders.override({"class_weighting": class_weighting})
            store.failed(store.spec("fcn-basic", protocol=protocol), Failure(kind="oom", message="OOM"))
        records = collect(store.results, load_suite("decoders"))
        assert [group.protocol.class_weighting for group in records.groups] == ["median", "natural"]
        for group in records.groups:
            assert commands(group, records.suite) == (
                "`python -m harness run fcn-basic --suite decoders --data-root FOLDER "
                f"--override 'class_weighting={group.protocol.class_weighting}' --seeds 0 "
                "--encoder-weights none`"
            )

    def test_command_of_a_group(self, store: Store, camvid: Protocol) -> None:
        protocol = camvid.override({"size": "90x120", "iterations": "300", "lr": "1e-2"})
        weights = InitialWeights(kind="file", sha256="ab" * 32, title="VGG16")
        store.pictures("segnet", protocol, accuracy=0.5, seed=2, weights=weights, precision="bf16")
        failed = store.spec("deconvnet", protocol=protocol, weights=weights, precision="bf16")
        store.failed(failed, Failure(kind="oom", message="OOM at batch 5"))
        store.pictures("fcn8s", protocol, accuracy=0.5, seed=2, weights=weights, precision="bf16")
        records = collect(store.results, load_suite("camvid"))
        changed = (
            "--suite camvid --data-root FOLDER --iterations 300 --override 'lr=0.01' --size 90x120 --precision bf16"
        )
        assert commands(records.groups[0], records.suite) == (
            f"`python -m harness run fcn8s segnet {changed} --seeds 2 --encoder-weights FILE` and "
            f"`python -m harness run deconvnet {changed} --seeds 0 --encoder-weights FILE`"
        )

    def test_command_of_a_whole_suite(self, store: Store, quick: Protocol) -> None:
        for name in load_suite("quick").architectures:
            store.failed(store.spec(name, protocol=quick, weights=HE), Failure(kind="killed", message="ended"))
        records = collect(store.results, load_suite("quick"))
        expected = "`python -m harness run --all --suite quick --seeds 0 --encoder-weights none`"
        assert commands(records.groups[0], records.suite) == expected


def test_bars_are_named_by_how_many_seeds_there_are() -> None:
    assert bars_words([1, 1]) == "95 % bootstrap interval"
    assert bars_words([3, 2]) == "± standard deviation over seeds"
    assert bars_words([2, 1]) == "± standard deviation over seeds; of one seed: 95 % bootstrap interval"


def draw(figure: Figure) -> None:
    figure.subplots().plot([0, 1], [1, 0])


class TestFigures:
    def test_same_bytes_whatever_the_users_settings(self) -> None:
        first = png(draw, 3.0)
        with matplotlib.rc_context({"lines.linewidth": 9.0, "font.size": 20.0}):
            assert png(draw, 3.0) == first
            assert matplotlib.rcParams["lines.linewidth"] == 9.0

    def test_no_time_and_no_software_in_it(self) -> None:
        assert set(Image.open(io.BytesIO(png(draw, 3.0))).info) <= {"dpi"}

    def test_large_picture_is_made_small_and_keeps_its_colors(self) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, size=(400, 600, 3), dtype=np.uint8)
        pixels[:50] = (60, 40, 222)
        pixels[50:100] = 255
        image = Image.fromarray(pixels)
        target = io.BytesIO()
        image.save(target, format="PNG")
        assert target.tell() > MAX_BYTES
        data = small_png(image, keep=[(60, 40, 222)])
        assert len(data) < MAX_BYTES
        back = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        tenth = len(back) // 8
        assert (back[: tenth // 2] == (60, 40, 222)).all()
        assert (back[tenth + tenth // 4 : tenth + tenth // 2] == 255).all()

    def test_picture_of_few_colors_is_left_alone(self) -> None:
        pixels = np.zeros((40, 60, 3), dtype=np.uint8)
        pixels[:10], pixels[10:20], pixels[20:30] = (60, 40, 222), (255, 255, 255), (7, 8, 9)
        data = small_png(Image.fromarray(pixels))
        assert (np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) == pixels).all()

    def test_a_network_has_one_color_whatever_else_is_shown(self) -> None:
        suite = load_suite("camvid")
        few = palette(suite, ["segnet"])
        more = palette(suite, ["deconvnet", "smp:Unet/resnet34", "segnet"])
        assert few.colors["SegNet"] == more.colors["SegNet"]
        assert len(set(more.colors.values())) == len(more.colors)

    def test_eight_decoders_have_eight_colors_and_markers(self) -> None:
        found = palette(load_suite("decoders"), [])
        assert len(set(found.colors.values())) == len(set(found.markers.values())) == 8

    def test_long_names_take_fewer_columns_of_a_legend(self) -> None:
        assert legend_columns(["SegNet", "FCN (learnt deconv)", "FCN", "DeepLab-LargeFOV", "DeconvNet"]) == 5
        assert legend_columns(["FCN-Basic-NoAddition-NoDimReduction"] * 6) == 2
        assert legend_columns(["SegNet"] * 4 + ["FCN-Basic-NoAddition-NoDimReduction"] * 2) == 4
        assert legend_columns(["SegNet"]) == 1
