"""Shares of a machine."""

import pytest
import torch

from harness.launchers.resources import Slot, gpu_uuids, slots
from harness.system.errors import UserError


@pytest.mark.parametrize(("jobs", "threads", "each"), [(1, 7, 7), (2, 7, 3), (3, 7, 2), (7, 7, 1)])
def test_threads_of_a_cpu_are_shared(jobs: int, threads: int, each: int) -> None:
    assert slots(jobs, "cpu", threads) == [Slot(threads=each)] * jobs


def test_more_runs_than_threads_are_refused() -> None:
    with pytest.raises(UserError, match=r"--jobs 3: 2 threads can't be shared .* --jobs 2"):
        slots(3, "cpu", 2)


def test_there_are_as_many_uuids_as_cards() -> None:
    uuids = gpu_uuids()
    assert len(set(uuids)) == len(uuids) == torch.cuda.device_count()


def test_more_runs_than_cards_are_refused() -> None:
    cards = torch.cuda.device_count()
    with pytest.raises(UserError, match=f"needs a GPU of its own, and there are {cards} here"):
        slots(cards + 1, "cuda", 64)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_each_run_sees_its_own_card() -> None:
    found = slots(1, "cuda", 4)
    assert [slot.threads for slot in found] == [4]
    assert found[0].variables["CUDA_VISIBLE_DEVICES"].startswith(("GPU-", "MIG-"))
