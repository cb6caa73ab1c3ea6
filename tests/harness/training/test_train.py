"""Whole runs on drawn scenes, made small: repeatable, resumable, and honest about failure."""

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from harness.config.protocol import Protocol, load_protocol
from harness.config.request import RunRequest
from harness.config.suite import load_suite
from harness.config.worker_job import WorkerJob
from harness.metrics import ImageCounts, scores
from harness.records.content import pack_scores
from harness.records.run import BEST, load_run, save_run
from harness.report.frames import load_class_scores, load_image_scores, load_results
from harness.system.environment import Device, environment
from harness.system.errors import UserError
from harness.system.signals import Interrupted
from harness.training.progress import RunProgress
from harness.training.run_record import run_record
from harness.training.train_state import Diverged
from harness.training.trainer import Trainer
from tests.harness.commands import link_cache
from tests.harness.helpers import spec, tiny_protocol

# Loss of the first iterations of SegNet on `roads` under `GOLDEN`, on a CPU. Processors sum in another order,
# and float32 amplifies that: with AVX-512 instructions SegNet's fourth loss is 0.8 % off the one with AVX2.
# Float64 gives the same losses to seven digits with SSE, AVX2 and AVX-512; its initial weights and dropout
# are other draws than float32's.
GOLDEN = tiny_protocol(lr="0.01", optimizer="sgd", class_weighting="natural", dropout="0.5", standardize="false")
GOLDEN_TRACE = (2.54869, 2.64019, 2.41303, 2.28974)
GOLDEN_TRACE_64 = (3.0219927, 2.8198092, 2.6277411, 2.4344544)
TOLERANCES = (1e-5, 1e-3, 2e-2, 2e-2, 2e-2, 2e-2)
TOLERANCE_64 = 1e-6


def decoders(**changes: str) -> Protocol:
    """decoders@2 on drawn roads, made so small that a run takes seconds."""
    values = load_protocol("decoders@2").model_dump() | {"dataset": "roads", "name": "decoders@2"}
    roads = Protocol.model_validate(values)
    return roads.override({"size": "32x40", "batch_size": "2", "iterations": "12", "eval_interval": "2", **changes})


# The same of other architectures, in float32 and in float64, between them every way from a stored picture to
# a step: six iterations. Those in float32 are from before batches were sent ahead and matrices counted
# without a mask, which changed no bit of them.
OTHER_TRACES = {
    "segnet-basic": (  # local response, SGD, balanced weights, nothing mirrored
        decoders(iterations="6"),
        (2.028779, 2.823336, 1.677475, 2.280608, 2.225701, 2.664708),
        (1.9501883, 2.7797165, 1.6950411, 2.2109659, 2.2088833, 2.6290591),
    ),
    "bilinear-interpolation": (  # standardized, mirrored, SGD
        tiny_protocol(lr="0.01", optimizer="sgd", iterations="6"),
        (2.656032, 3.686394, 1.867169, 2.224516, 2.578219, 3.155592),
        (3.5349369, 3.8441725, 2.365685, 2.1686604, 2.6049702, 2.3985581),
    ),
    "deeplab-largefov": (  # logits at an eighth of the size, AdamW
        tiny_protocol(iterations="6"),
        (2.605681, 2.471592, 1.864161, 1.819695, 3.100496, 2.340484),
        (2.4858603, 2.4325318, 1.934006, 1.8362042, 3.2334068, 2.3367469),
    ),
}


def make_run(
    work: Path, cache: Path, stop: Callable[[], bool] = lambda: False, device: Device = "cpu", **changes: object
) -> Trainer:
    link_cache(work, cache)
    job = WorkerJob(
        spec=spec(**changes), request=RunRequest(device=device, threads=1, results=work / "results", work=work)
    )
    protocol = job.spec.protocol
    progress = RunProgress(Console(quiet=True), job.spec.architecture, protocol.iterations, protocol.batch_size)
    run = Trainer(job, progress, stop)
    run.prepare()
    return run


def losses_of(run: Trainer, steps: int) -> list[float]:
    """Losses of the next steps, without the evaluations in between, which training does not depend on."""
    run.model.train()
    for _ in range(steps):
        run._timed_step()
    run._flush()
    return [loss for _, loss, _ in run.state.history[-steps:]]


@pytest.fixture(scope="module")
def counted_run(tmp_path_factory: pytest.TempPathFactory, drawn_cache: Path) -> tuple[Trainer, int]:
    """A finished run, and how often it looked whether to stop."""
    looks = 0

    def stop() -> bool:
        nonlocal looks
        looks += 1
        return False

    run = make_run(tmp_path_factory.mktemp("run"), drawn_cache, stop, protocol=GOLDEN)
    run.train()
    run.finish()
    return run, looks


@pytest.fixture(scope="module")
def finished_run(counted_run: tuple[Trainer, int]) -> Trainer:
    return counted_run[0]


def test_the_loss_trace_is_the_golden_one(finished_run: Trainer) -> None:
    assert_golden([loss for _, loss, _ in finished_run.state.history], GOLDEN_TRACE)


@pytest.mark.parametrize("name", OTHER_TRACES)
def test_other_loss_traces_are_golden_too(name: str, tmp_path: Path, drawn_cache: Path) -> None:
    protocol, expected, _ = OTHER_TRACES[name]
    run = make_run(tmp_path, drawn_cache, architecture=name, protocol=protocol)
    assert_golden(losses_of(run, 6), expected)


@pytest.mark.parametrize("name", ["segnet", *OTHER_TRACES])
def test_in_float64_the_loss_traces_are_those_of_any_processor(
    name: str, tmp_path: Path, drawn_cache: Path, float64: None
) -> None:
    protocol, _, expected = OTHER_TRACES.get(name, (GOLDEN, GOLDEN_TRACE, GOLDEN_TRACE_64))
    run = make_run(tmp_path, drawn_cache, architecture=name, protocol=protocol)
    assert losses_of(run, len(expected)) == pytest.approx(expected, rel=TOLERANCE_64)


@pytest.fixture
def float64() -> Iterator[None]:
    """All that follows is in float64, but for the loss itself."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def assert_golden(trace: Sequence[float], expected: Sequence[float]) -> None:
    """Each loss is the expected one, within what rounding has grown to by its iteration."""
    assert len(trace) == len(expected)
    for found, wanted, tolerance in zip(trace, expected, TOLERANCES[: len(trace)], strict=True):
        assert found == pytest.approx(wanted, rel=tolerance), (trace, expected)


def test_the_record_holds_every_evaluation_and_its_scores(finished_run: Trainer, tmp_path: Path) -> None:
    record, files = run_record(finished_run, environment())
    stored = load_run(save_run(tmp_path, record, files))
    assert stored.record == record
    assert record.reduced[0] == "quick protocol on drawn data"
    at_end = {(e.split, e.labels) for e in record.evaluations if e.iteration == 4}
    best = (BEST,) if record.best_iteration == 4 else ()
    assert at_end == {("val", ("end", *best)), ("test", ("end", *best)), ("train", ("end",))}
    for evaluation in record.evaluations:
        matrices = stored.matrices(evaluation)
        assert matrices.shape == (evaluation.images, 11, 11)
        assert matrices.sum() > 0.8 * evaluation.images * 180 * 240  # all but void, at full label size
        if evaluation.boundary:
            boundary = stored.boundary(evaluation)
            assert boundary.shape == (evaluation.images, 11)
            assert 0 <= np.nanmin(boundary) <= np.nanmax(boundary) <= 1
    history = stored.history()
    assert history.iteration == [1, 2, 3, 4]
    mious = [scores(np.array(v.matrix)).miou for v in history.validation]
    assert record.best_iteration == history.validation[int(np.argmax(mious))].iteration
    size = sum(file.stat().st_size for file in stored.folder.iterdir())
    assert size < 150_000
    assert len(record.image_ids) == 3
    assert all(stored.prediction_path(stem).exists() for stem in record.image_ids)


def test_a_record_without_the_matrices_of_images_has_the_same_scores(finished_run: Trainer, tmp_path: Path) -> None:
    record, files = run_record(finished_run, environment())
    save_run(tmp_path / "whole", record, files)
    kept: dict[str, np.ndarray] = {}
    for name, array in np.load(io.BytesIO(files["scores.npz"])).items():
        key, _, kind = name.rpartition("-")
        counts = ImageCounts.of(array) if kind == "matrices" else None
        kept |= {f"{key}-pixels": counts.pixels, f"{key}-matrix": counts.matrix} if counts else {name: array}
    stored = load_run(save_run(tmp_path / "less", record, {**files, "scores.npz": pack_scores(kept)}))
    stored.check()
    for frame in (load_results, load_class_scores, load_image_scores):
        pd.testing.assert_frame_equal(frame(tmp_path / "whole"), frame(tmp_path / "less"))


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_stopped_and_resumed_run_agrees_to_the_bit(
    counted_run: tuple[Trainer, int], tmp_path: Path, drawn_cache: Path, share: float
) -> None:
    """Stops at the first look, in the midst of evaluations, and at the last; then goes on in a new Trainer.

    So that two runs of one spec agree, too.
    """
    finished_run, looks = counted_run
    stop_after = max(1, round(share * looks))
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls == stop_after

    stopped = make_run(tmp_path, drawn_cache, stop, protocol=GOLDEN)
    with pytest.raises(Interrupted):
        stopped.train()
        stopped.finish()
    resumed = make_run(tmp_path, drawn_cache, protocol=GOLDEN)
    assert resumed.state.segments == 2
    resumed.train()
    resumed.finish()
    assert_same_outcome(resumed, finished_run)


@pytest.mark.slow
def test_in_bfloat16_too_a_resumed_run_agrees_to_the_bit(tmp_path: Path, drawn_cache: Path) -> None:
    """There maps and the optimizer's state are laid out channels-last."""
    changes = {"architecture": "segnet-basic", "precision": "bf16", "protocol": GOLDEN}
    whole = make_run(tmp_path / "whole", drawn_cache, **changes)
    whole.train()
    stopped = make_run(tmp_path / "stopped", drawn_cache, lambda: True, **changes)
    with pytest.raises(Interrupted):
        stopped.train()
    resumed = make_run(tmp_path / "stopped", drawn_cache, **changes)
    assert 0 < resumed.state.iteration < GOLDEN.iterations
    resumed.train()
    assert resumed.state.history == whole.state.history
    assert resumed.state.validations == whole.state.validations
    expected = whole.model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.model.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize("name", load_suite("decoders").architectures)
def test_every_decoder_of_table_1_learns_at_the_papers_rate(name: str, tmp_path: Path, drawn_cache: Path) -> None:
    """SGD at 0.1 with momentum 0.9, in batches of 12."""
    recipe = load_protocol("decoders-half@1").override({"size": "32x40", "iterations": "40"})
    run = make_run(tmp_path, drawn_cache, architecture=name, protocol=recipe.model_copy(update={"dataset": "roads"}))
    losses = losses_of(run, 40)
    assert np.isfinite(losses).all()
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:5])


def test_gradients_of_a_larger_norm_are_scaled_down(tmp_path: Path, drawn_cache: Path) -> None:
    found = {}
    for limit in ("none", "0.01"):
        protocol = tiny_protocol(max_grad_norm=limit, optimizer="sgd")
        run = make_run(tmp_path / limit, drawn_cache, architecture="segnet-basic", protocol=protocol)
        norms = found.setdefault(limit, [])

        def note(*_: object, run: Trainer = run, norms: list[float] = norms) -> None:
            gradients = [one.grad for one in run.model.parameters() if one.grad is not None]
            norms.append(float(torch.nn.utils.get_total_norm(gradients)))

        run.optimizer.register_step_pre_hook(note)
        losses_of(run, 2)
    assert min(found["none"]) > 0.1
    assert found["0.01"] == pytest.approx([0.01, 0.01], rel=1e-3)


def test_data_that_changed_since_the_plan_is_refused(tmp_path: Path, drawn_cache: Path) -> None:
    with pytest.raises(UserError, match="has changed since the run was planned"):
        make_run(tmp_path, drawn_cache, dataset_hash="0" * 64)


def test_a_diverging_run_says_at_which_iteration(tmp_path: Path, drawn_cache: Path) -> None:
    run = make_run(tmp_path, drawn_cache, protocol=tiny_protocol(lr="1e30", optimizer="sgd"))
    with pytest.raises(Diverged) as caught:
        run.train()
    assert 2 <= caught.value.iteration <= 4


def assert_same_outcome(one: Trainer, other: Trainer) -> None:
    assert one.state.history == other.state.history
    assert one.state.validations == other.state.validations
    assert one.state.evaluations == other.state.evaluations
    assert one.state.predictions == other.state.predictions
    for name, array in other.state.arrays.items():
        np.testing.assert_array_equal(one.state.arrays[name], array)
    for name, tensor in other.model.state_dict().items():
        assert torch.equal(one.model.state_dict()[name], tensor), name


def test_logits_that_are_not_finite_outside_training_end_the_run_as_diverged(tmp_path: Path, drawn_cache: Path) -> None:
    run = make_run(tmp_path, drawn_cache, architecture="bilinear-interpolation")

    def spoiled(network: torch.nn.Module, inputs: tuple[torch.Tensor], logits: torch.Tensor) -> torch.Tensor:
        return logits if network.training else logits / 0.0

    run.model.register_forward_hook(spoiled)
    with pytest.raises(Diverged, match="a logit on val was not finite at iteration") as caught:
        run.train()
    assert run.state.validations == [] and caught.value.iteration == run.state.iteration


def test_where_test_is_not_scored_the_record_holds_val_alone(tmp_path: Path, drawn_cache: Path) -> None:
    protocol = tiny_protocol(score_train="false").model_copy(update={"score_test": False})
    run = make_run(tmp_path, drawn_cache, architecture="bilinear-interpolation", protocol=protocol)
    run.train()
    run.finish()
    record, files = run_record(run, environment())
    assert [(e.split, e.labels) for e in record.evaluations] == [("val", ("end", BEST))]
    assert sorted(files) == ["history.json", "scores.npz"]
    assert load_run(save_run(tmp_path / "results", record, files)).record == record


def test_training_ends_where_the_loss_no_longer_falls(tmp_path: Path, drawn_cache: Path) -> None:
    """A fall of 99.9 % within two iterations is not to be had: the first test of it, at 4, ends the run."""
    changes = {"architecture": "bilinear-interpolation", "protocol": decoders(early_stopping_min_delta="0.999")}
    run = make_run(tmp_path, drawn_cache, **changes)
    run.train()
    assert run.state.iteration == 4 and run.state.ended
    assert [v.iteration for v in run.state.validations] == [2, 4]
    run.finish()
    record, _ = run_record(run, environment())
    assert record.trained_iterations == 4
    last = {e.split for e in record.evaluations if "end" in e.labels}
    assert last == {"val", "test"}
    best = {e.split: e.iteration for e in record.evaluations if BEST in e.labels}
    accuracies = [scores(np.array(v.matrix)).global_accuracy for v in run.state.validations]
    chosen = run.state.validations[int(np.argmax(accuracies))].iteration
    assert best == {"val": chosen, "test": chosen, "train": chosen}
    again = make_run(tmp_path, drawn_cache, **changes)
    again.train()  # nothing is left to do
    assert again.state.iteration == 4


def test_the_iteration_is_chosen_by_the_score_that_the_protocol_names(tmp_path: Path, drawn_cache: Path) -> None:
    chosen = {}
    for score in ("G", "mIoU"):
        work = tmp_path / score
        protocol = decoders(select_by=score, iterations="6")
        run = make_run(work, drawn_cache, architecture="bilinear-interpolation", protocol=protocol)
        run.train()
        found = [scores(np.array(v.matrix)) for v in run.state.validations]
        by = [one.global_accuracy if score == "G" else one.miou for one in found]
        assert len(by) == 3
        assert run.state.best_iteration == run.state.validations[int(np.argmax(by))].iteration
        assert run.state.best_score == max(by)
        chosen[score] = run.state.best_score
    assert chosen["G"] != chosen["mIoU"]


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", ["no", "graphs"])
def test_on_a_gpu_a_step_never_waits_for_the_device(compiled: str, tmp_path: Path, drawn_cache: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    changes = {"architecture": "deeplab-largefov", "protocol": tiny_protocol(iterations="200", hflip="true")}
    run = make_run(tmp_path, drawn_cache, device="cuda", compiled=compiled, **changes)
    losses_of(run, 41)  # compiles, and fills caches
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(41):  # over two stretches, whose losses are fetched meanwhile
            run._timed_step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    run._flush()
    assert [at for at, _, _ in run.state.history] == list(range(1, 83))
