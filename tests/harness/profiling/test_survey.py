import pytest

from harness.profiling import energy
from harness.profiling.survey import Survey, survey
from harness.records.measurement import MeasureSpec
from harness.system import nvml
from harness.system.quantities import Quantity


def make_spec(device: str, preset: str) -> MeasureSpec:
    values = {"architecture": "segnet", "architecture_revision": 1, "threads": 1}
    return MeasureSpec.model_validate({**values, "device": device, "preset": preset})


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """What idle power was asked for, on a machine with two GPUs of which others use one."""
    asked: list[tuple[str, float]] = []

    def idle_power(uuid: str, seconds: float) -> Quantity:
        asked.append((uuid, seconds))
        return Quantity(value=70.0 + len(asked))

    found = nvml.Baseline(used_bytes={"GPU-1": 0, "GPU-2": 5}, others={"GPU-2": "busy"})
    monkeypatch.setattr(nvml, "baseline", lambda: found)
    monkeypatch.setattr(energy, "idle_power", idle_power)
    return asked


def test_a_cpu_has_nothing_to_look_at(watched: list[tuple[str, float]]) -> None:
    assert survey(make_spec("cpu", "full")) == Survey()
    assert watched == []


def test_every_gpu_is_watched_as_long_as_the_effort_says(watched: list[tuple[str, float]]) -> None:
    found = survey(make_spec("cuda", "lease"))
    assert watched == [("GPU-1", 3.0), ("GPU-2", 3.0)]
    assert found.idle_w == {"GPU-1": Quantity(value=71.0), "GPU-2": Quantity(value=72.0)}
    assert found.others == {"GPU-2": "busy"}


def test_efforts_without_energy_need_no_idle_power(watched: list[tuple[str, float]]) -> None:
    assert survey(make_spec("cuda", "quick")).idle_w == {}
    assert watched == []
