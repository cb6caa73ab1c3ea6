"""What a stopped run goes on from: its checkpoints, and the weights of the iteration that val chose so far."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.config.run_spec import RandomStream
from harness.records.weights_files import all_best_weights, best_weights, checkpoint_file, stored_best_weights
from harness.system.errors import UserError
from harness.training.checkpoint import load_checkpoint, load_weights, save_checkpoint, save_weights
from harness.training.distributed import Group
from harness.training.optimizers import restore_state
from harness.training.train_state import TrainState


class RunCheckpoints:
    """Keeps a run's state in its folder. Rank 0 writes, all processes read.

    Each best iteration has a file of weights of its own, since the checkpoint that knows of it is written after it.
    Until then a killed run goes on from the checkpoint before, with the weights that this one knows of.

    Args:
        folder: of the run.
        model: the network.
        optimizer: its optimizer.
        group: the processes that carry out the run together.
        device: that they compute on.
    """

    def __init__(
        self, folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, group: Group, device: torch.device
    ) -> None:
        self._folder = folder
        self._model, self._optimizer = model, optimizer
        self._group, self._device = group, device
        self._known_best: int | None = None  # by the latest checkpoint

    def resume(self, seed: int, say: Callable[[str], None]) -> TrainState:
        """Put network, optimizer and random numbers back as the latest readable checkpoint has them; the run's state.

        Args:
            seed: of the run.
            say: called with a line on each file that is damaged.

        Raises:
            UserError: the processes read different ones, since some could not read the latest.
        """
        stored = load_checkpoint(self._path, say)
        state, random, rank = TrainState(), None, self._group.rank
        if stored is not None:
            tensors, values = stored
            self._model.load_state_dict(tensors["model"])
            restore_state(self._optimizer, tensors["optimizer"])
            state = TrainState.restore(tensors["arrays"], values)
            self._known_best = state.best_iteration
            random = tensors.get("followers_rng", {}).get(rank) if rank else tensors
        if random is not None:
            _set_random_state(random, self._device)
        elif rank:
            _seed_follower(seed, rank, state.iteration)
        read = self._group.gather_objects(state.iteration)
        if len(set(read)) > 1:
            raise UserError(
                f"{self._path}: the processes read checkpoints of iterations {', '.join(map(str, read))}; "
                "start again, or remove the one that some of them can't read"
            )
        return state

    def save(self, state: TrainState) -> None:
        """Write a checkpoint, with the random numbers of all processes.

        Weights of other best iterations go, but for those that the checkpoint before knows of: it is read should
        this one be damaged.
        """
        random = self._group.gather_objects(_random_state(self._device))
        if not self._group.is_main_process:
            return
        tensors: dict[str, Any] = {
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            **random[0],
            "followers_rng": dict(enumerate(random[1:], start=1)),
            "arrays": state.tensors(),
        }
        save_checkpoint(self._path, tensors=tensors, values=state.values())
        best = state.best_iteration
        kept = {best_weights(self._folder, one) for one in (self._known_best, best) if one is not None}
        for path in all_best_weights(self._folder):
            if path not in kept:
                path.unlink(missing_ok=True)
        self._known_best = best

    def keep_best(self, state: TrainState) -> None:
        """Keep the weights as those of the state's best iteration.

        Raises:
            UserError: the disk is full or the folder can't be written.
        """
        assert state.best_iteration is not None
        if self._group.is_main_process:
            state.best_sha256 = save_weights(best_weights(self._folder, state.best_iteration), self._model)

    def load_best(self, state: TrainState) -> None:
        """Put the weights of the state's best iteration back into the network.

        Raises:
            DamagedWeights: the file is gone, or not what was written.
        """
        assert state.best_iteration is not None
        sha256 = self._group.gather_objects(state.best_sha256)[0]
        load_weights(stored_best_weights(self._folder, state.best_iteration), self._model, sha256)

    @property
    def _path(self) -> Path:
        return checkpoint_file(self._folder)


def _random_state(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's generators, which dropout draws from: a stream for each process."""
    state = {"rng": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda_rng"] = torch.cuda.get_rng_state()
    return state


def _set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    torch.set_rng_state(state["rng"])
    if device.type == "cuda" and "cuda_rng" in state:
        torch.cuda.set_rng_state(state["cuda_rng"])
    elif device.type == "cuda":  # a checkpoint of a CPU: a stream that follows from where the CPU's stands
        torch.cuda.manual_seed(int(torch.randint(2**62, ())))


def _seed_follower(seed: int, rank: int, iteration: int) -> None:
    """Begin another stream than that of rank 0, which draws as a run in one process does.

    Args:
        seed: of the run.
        rank: from 1.
        iteration: where it begins: 0, or that of a checkpoint of fewer processes.
    """
    drawn = np.random.SeedSequence((RandomStream.FOLLOWER_DROPOUT, seed, rank, iteration)).generate_state(1, np.uint64)
    torch.manual_seed(int(drawn[0]) >> 1)
