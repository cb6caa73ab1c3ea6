"""torch's random numbers in training, which dropout draws: kept in checkpoints, a stream for each process."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.config.run_spec import RandomStream


def random_state(device: torch.device) -> dict[str, Tensor]:
    """The generators' states, for a checkpoint."""
    state = {"rng": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda_rng"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    """Go on drawing where `random_state` was taken."""
    torch.set_rng_state(state["rng"])
    if device.type == "cuda" and "cuda_rng" in state:
        torch.cuda.set_rng_state(state["cuda_rng"])
    elif device.type == "cuda":  # a checkpoint of a CPU: a stream that follows from where the CPU's stands
        torch.cuda.manual_seed(int(torch.randint(2**62, ())))


def seed_follower(seed: int, rank: int, iteration: int) -> None:
    """Begin another stream than that of rank 0, which draws as a run in one process does.

    Args:
        seed: of the run.
        rank: from 1.
        iteration: where it begins: 0, or that of a checkpoint of fewer processes.
    """
    drawn = np.random.SeedSequence((RandomStream.FOLLOWER_DROPOUT, seed, rank, iteration)).generate_state(1, np.uint64)
    torch.manual_seed(int(drawn[0]) >> 1)
