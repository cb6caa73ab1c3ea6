"""The comparison of index storages on small networks, carried out."""

from pathlib import Path

import pytest

import architectures
from harness.profiling import indices
from harness.profiling.indices import compare
from harness.records.measurement import MeasureSpec
from harness.records.pooling_indices import INDICES
from harness.system.errors import UserError


def spec(architecture: str) -> MeasureSpec:
    revision = architectures.info(architecture).revision
    return MeasureSpec(
        architecture=architecture,
        architecture_revision=revision,
        num_classes=3,
        size=(32, 48),
        device="cpu",
        preset="quick",
        threads=1,
    )


@pytest.fixture
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indices, "ROUNDS", dict.fromkeys(indices.ROUNDS, (0, 2)))


@pytest.mark.usefixtures("few_rounds")
def test_every_storage_is_measured_in_every_phase_and_layout(tmp_path: Path) -> None:
    phases: list[str] = []
    record = compare(spec("segnet-basic-single-channel-decoder"), phases.append)
    assert phases[0] == "bytes" and len(phases) == 5
    cells = {(one.storage, one.phase, one.layout) for one in record.times}
    assert len(cells) == len(record.times) == 3 * 2 * 2
    assert all(len(one.samples_ms) == 2 and min(one.samples_ms) > 0 for one in record.times)
    by_storage = {one.storage: one for one in record.storages}
    # 64 maps pooled to 1/4 .. 1/256 of 32 x 48
    windows = 64 * sum(32 * 48 // 4**stage for stage in (1, 2, 3, 4))
    assert by_storage["int64"].index_bytes == 8 * windows
    assert by_storage["uint8"].index_bytes == windows
    assert by_storage["2bit"].index_bytes == windows // 4
    INDICES.save(tmp_path, record)
    assert INDICES.load(tmp_path) == [record]


def test_a_network_without_indices_is_refused() -> None:
    with pytest.raises(UserError, match="fcn-basic keeps no pooling indices; choose segnet"):
        compare(spec("fcn-basic"))
