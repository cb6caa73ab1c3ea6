"""The plan of the search: complete, coarse to fine, and the same after every interruption."""

from harness.postprocess.crf.search import TRIALS, best_of, first_round, second_round, spread, to_do
from harness.records.crf import CrfParameters, SubsetScores, Trial


def tried(parameters: CrfParameters, miou: float, g: float = 0.5) -> Trial:
    scores = SubsetScores(global_accuracy=g, class_accuracy=0.5, miou=miou)
    return Trial(parameters=parameters, scores=scores)


def quality(parameters: CrfParameters) -> float:
    """Highest at weight 7.5, sigma 80, color 6."""
    return (
        1.0
        - abs(parameters.bilateral_weight - 7.5) / 100
        - abs(parameters.bilateral_sigma_px - 80) / 1000
        - abs(parameters.color_sigma - 6) / 100
    )


def carried_out() -> list[Trial]:
    trials: list[Trial] = []
    while ahead := to_do(trials, "mIoU"):
        trials += [tried(parameters, quality(parameters)) for parameters in ahead[0]]
    return trials


def test_the_coarse_grid_is_deeplab_s_with_every_second_sigma() -> None:
    grid = first_round()
    assert len(grid) == 2 * 3 * 4 == len(set(grid))
    assert {one.bilateral_weight for one in grid} == {5, 10}
    assert {one.bilateral_sigma_px for one in grid} == {50, 70, 90}
    assert {one.color_sigma for one in grid} == {3, 5, 7, 9}
    assert {(one.gaussian_weight, one.gaussian_sigma_px, one.iterations) for one in grid} == {(3, 3, 10)}


def test_the_whole_search_finds_the_best_between_the_coarse_points() -> None:
    trials = carried_out()
    assert len(trials) == TRIALS == len({trial.parameters for trial in trials})
    best = best_of(trials, "mIoU").parameters
    assert (best.bilateral_weight, best.bilateral_sigma_px, best.color_sigma) == (7.5, 80, 6)


def test_trials_come_in_lists_that_share_their_kernels() -> None:
    ahead = to_do([], "mIoU")
    assert [len(trials) for trials in ahead] == [2] * 12
    assert all(len({one.sigmas for one in trials}) == 1 for trials in ahead)
    fine = to_do([tried(one, quality(one)) for one in first_round()], "mIoU")
    assert sum(len(trials) for trials in fine) == 26
    assert all(len({one.sigmas for one in trials}) == 1 for trials in fine)


def test_an_interrupted_search_goes_on_where_it_was() -> None:
    trials = carried_out()
    for done in (1, 23, 24, 25, 49):
        ahead = [one for group in to_do(trials[:done], "mIoU") for one in group]
        expected = [trial.parameters for trial in trials[done:]]
        assert ahead == (expected if done >= 24 else expected[: 24 - done])
    assert to_do(trials, "mIoU") == []


def test_the_second_round_surrounds_the_first_one_s_best_alone() -> None:
    """A fine trial that is better still does not move the grid in its midst."""
    best = CrfParameters(bilateral_weight=5, bilateral_sigma_px=50, color_sigma=3)
    fine = second_round(best)
    assert len(fine) == 26 and best not in fine
    assert {one.bilateral_weight for one in fine} == {2.5, 5, 7.5}
    assert {one.bilateral_sigma_px for one in fine} == {40, 50, 60}
    assert {one.color_sigma for one in fine} == {2, 3, 4}
    trials = [tried(one, 0.5 if one == best else 0.4) for one in first_round()] + [tried(fine[0], 0.9)]
    assert [one for group in to_do(trials, "mIoU") for one in group] == fine[1:]


def test_the_first_wins_a_tie_and_the_protocol_s_score_decides() -> None:
    one, other, third = first_round()[:3]
    trials = [tried(one, 0.6, g=0.7), tried(other, 0.6, g=0.8), tried(third, 0.5, g=0.8)]
    assert best_of(trials, "mIoU").parameters == one
    assert best_of(trials, "G").parameters == other


def test_images_are_spread_evenly() -> None:
    assert spread(101, 20) == [2, 7, 12, 17, 22, 27, 32, 37, 42, 47, 53, 58, 63, 68, 73, 78, 83, 88, 93, 98]
    assert spread(3, 20) == [0, 1, 2]
    assert spread(4, 2) == [1, 3]
