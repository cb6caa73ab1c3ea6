"""Networks trained for several lengths, against figures computed by hand."""

import pandas as pd

from harness.report.training_length import training_length, training_length_text
from tests.harness.report.made_up_results import rows


def length(iterations: int, scores: dict[str, float], more: str = "", **changes: object) -> pd.DataFrame:
    overrides = f"iterations={iterations} eval_interval={iterations // 10} {more}".strip()
    return rows(scores, iteration=iterations, planned_iterations=iterations, overrides=overrides, **changes)


def test_a_row_for_each_length_of_networks_with_several() -> None:
    results = pd.concat(
        [
            length(1000, {"segnet": 40, "fcn8s": 70, "deeplab-largefov": 60}),
            length(1000, {"segnet": 50}, seed=1),
            length(2000, {"segnet": 75, "deconvnet": 10, "deeplab-largefov": 65}),
        ]
    )
    frame = training_length(results)
    assert frame["title"].tolist() == ["DeepLab-LargeFOV"] * 2 + ["SegNet"] * 2
    assert frame["iterations"].tolist() == [1000, 2000] * 2
    assert frame["seeds"].tolist() == [1, 1, 2, 1]
    assert frame["test"].tolist() == [60, 65, 45, 75]
    assert frame["train"].tolist() == [80, 85, 65, 95] and set(frame["bf"]) == {50.0}
    text = training_length_text(frame)
    assert "+30.00" in text and "1,000 iterations: DeepLab-LargeFOV > SegNet" in text


def test_runs_that_stopped_early_are_no_other_length() -> None:
    early = length(1000, {"segnet": 50}, seed=1).assign(iteration=700)
    assert training_length(pd.concat([length(1000, {"segnet": 40}), early])).empty


def test_other_recipes_weights_and_refined_networks_do_not_mix() -> None:
    apart = [
        length(1000, {"segnet": 40}),
        length(2000, {"segnet": 40}, "lr=0.01"),
        length(3000, {"segnet": 40}, initial_weights_title="He et al.", initial_weights_sha256=None),
        length(4000, {"segnet": 40}, postprocess="dense-crf@1"),
    ]
    found = training_length(pd.concat(apart))
    assert found.empty and training_length_text(found) == ""
