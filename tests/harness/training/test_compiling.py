"""Compiled training: what is refused, whose weights are trained, and compiling's time by hand."""

from pathlib import Path

import pytest
import torch
from torch import nn

from harness.config.run_spec import check_compiling
from harness.system.environment import environment
from harness.system.errors import UserError
from harness.training.compile import CompileClock, beyond_usual_s, training_call
from harness.training.run_record import run_record
from harness.training.trainer import Trainer
from tests.harness.helpers import tiny_protocol
from tests.harness.training.test_train import losses_of, make_run


def test_cuda_graphs_are_refused_on_a_cpu() -> None:
    with pytest.raises(UserError, match="CUDA graphs need a CUDA device"):
        check_compiling("graphs", "cpu")
    check_compiling("graphs", "cuda")
    check_compiling("no", "cpu")


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match="no C\\+\\+ compiler 'no-such-compiler'"):
        check_compiling("default", "cpu")


def test_without_compiling_the_network_itself_is_called() -> None:
    network = nn.Conv2d(3, 4, 3)
    assert training_call(network, "no") is network


def test_first_steps_count_by_what_they_take_beyond_the_shortest_later_one() -> None:
    assert beyond_usual_s([]) == 0.0
    assert beyond_usual_s([30.0]) == 30.0  # nothing to compare with
    assert beyond_usual_s([30.0, 2.0]) == pytest.approx(28.0)
    # compiled, warmed up, recorded, then usual ones: 28 + 3 + 1, and the slow sixth is no compiling
    assert beyond_usual_s([30.0, 5.0, 3.0, 2.0, 2.5, 9.0]) == pytest.approx(32.0)


def test_the_clock_hands_out_compiling_s_time_as_it_becomes_known() -> None:
    clock = CompileClock("default")
    steps = [30.0, 5.0, 3.0, 2.0, 2.5, 9.0]
    grown = []
    for step in steps:
        assert clock.watching
        grown.append(clock.add(step))
    assert grown == pytest.approx([30.0, -5.0, 4.0, 3.0, 0.0, 0.0])
    assert sum(grown) == pytest.approx(beyond_usual_s(steps))
    assert not clock.watching
    assert clock.add(100.0) == 0.0


@pytest.mark.slow
def test_a_compiled_run_learns_as_the_eager_one_and_keeps_compiling_s_time_apart(
    tmp_path: Path, drawn_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No dropout, so that the two differ by rounding alone; a checkpoint of one fits the other."""
    # what another test left compiled would be found again, in a third of a second
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    torch.compiler.reset()
    runs: dict[str, Trainer] = {}
    for compiled in ("no", "default"):
        protocol = tiny_protocol(iterations="8", score_train="false")
        changes = {"architecture": "bilinear-interpolation", "protocol": protocol, "compiled": compiled}
        runs[compiled] = make_run(tmp_path / compiled, drawn_cache, **changes)
    eager, other = runs["no"], runs["default"]
    assert eager.spec.run_id != other.spec.run_id
    expected = losses_of(eager, 8)
    assert losses_of(other, 8) == pytest.approx(expected, rel=1e-2)
    assert list(other.model.state_dict()) == list(eager.model.state_dict())
    assert eager.state.compile_s == 0.0
    assert other.state.compile_s > 10 * other.state.train_s > 0  # seconds against hundredths
    record, _ = run_record(other, environment())
    assert record.timing is not None and record.timing.compile_s is not None
    assert record.timing.total_s >= record.timing.compile_s
    plain, _ = run_record(eager, environment())
    assert plain.timing is not None and plain.timing.compile_s is None
