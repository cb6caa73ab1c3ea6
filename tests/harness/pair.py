"""Processes joined by gloo that carry out a test's tasks together, and what they are asked to do.

A task is a function here: (group, *arguments) -> anything that can be pickled, called in every process.
"""

import errno
import multiprocessing
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest
import torch
import torch.distributed as dist
from rich.console import Console
from torch import nn

from harness.config.protocol import Protocol
from harness.config.request import RunRequest
from harness.config.worker_job import WorkerJob
from harness.system.errors import UserError
from harness.system.signals import Interrupted
from harness.training import checkpoint
from harness.training.distributed import Group
from harness.training.evaluator import SplitScores, evaluate
from harness.training.precise_bn import reestimate
from harness.training.progress import RunProgress
from harness.training.run_checkpoints import RunCheckpoints
from harness.training.sync_batchnorm import synchronize
from harness.training.train_state import TrainState
from harness.training.trainer import Trainer
from tests.harness.helpers import spec

TIMEOUT_S = 300.0


class Processes:
    """So many processes, started once for many tasks.

    Args:
        size: how many.
        folder: an empty one, where they find each other.
    """

    def __init__(self, size: int, folder: Path) -> None:
        self._size = size
        self._folder = folder

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(self._size)]
        self._pipes = [near for near, _ in pipes]
        self._children = [
            context.Process(target=_serve, args=(rank, self._size, str(self._folder / "store"), far))
            for rank, (_, far) in enumerate(pipes)
        ]
        for child in self._children:
            child.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for pipe in self._pipes:
            pipe.close()
        for child in self._children:
            child.join(10.0)
            child.kill()
            child.join()

    def __call__(self, task: Callable[..., Any], *arguments: Any) -> list[Any]:
        """What the task returns in each process, by rank."""
        for pipe in self._pipes:
            pipe.send((task, arguments))
        found = []
        for rank, pipe in enumerate(self._pipes):
            assert pipe.poll(TIMEOUT_S), f"no answer from rank {rank}"
            found.append(pipe.recv())
        errors = [error for _, error in found if error]
        assert not errors, "\n".join(errors)
        return [result for result, _ in found]


def _serve(rank: int, size: int, store: str, pipe: Connection) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", store=dist.FileStore(store, size), rank=rank, world_size=size, timeout=timedelta(seconds=60)
    )
    group = Group(rank=rank, world_size=size)
    while True:
        try:
            task, arguments = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((task(group, *arguments), ""))
        except Exception:
            pipe.send((None, traceback.format_exc()))


# -- tasks --------------------------------------------------------------------------------------------------


def collectives(group: Group) -> dict[str, Any]:
    """What each method of a group gives where the processes hold different things."""
    own = torch.arange(3.0) + 10 * group.rank
    return {
        "total": group.all_reduce_sum(own).tolist(),
        "own": own.tolist(),
        "rows": [row.tolist() for row in group.all_gather(own)],
        "any": group.any_rank(group.rank == 1, False, True),
        "gathered": group.gather_objects({"rank": group.rank}),
    }


def normalize(
    group: Group, inputs: list[torch.Tensor], gradients: list[torch.Tensor], steps: int
) -> dict[str, torch.Tensor]:
    """A synchronized layer forward and backward on this process's part."""
    model = nn.Sequential(nn.BatchNorm2d(inputs[0].shape[1], eps=1e-9)).to(inputs[0].dtype)
    with torch.no_grad():
        model[0].weight.copy_(torch.linspace(0.5, 2.0, inputs[0].shape[1]))
        model[0].bias.copy_(torch.linspace(-1.0, 1.0, inputs[0].shape[1]))
    synchronize(model, group)
    for _ in range(steps):
        model.zero_grad()
        part = inputs[group.rank].clone().requires_grad_()
        output = model(part)
        output.backward(gradients[group.rank])
    return {
        "output": output.detach(),
        "input": part.grad,
        "weight": group.all_reduce_sum(model[0].weight.grad),
        "bias": group.all_reduce_sum(model[0].bias.grad),
        **{name: buffer.clone() for name, buffer in model[0].named_buffers()},
    }


def started(
    work: Path, group: Group, name: str, protocol: Protocol, stop: Callable[[], bool] = lambda: False
) -> Trainer:
    """A run of drawn scenes, ready to train."""
    job = WorkerJob(
        spec=spec(architecture=name, protocol=protocol),
        request=RunRequest(device="cpu", threads=1, results=work / "results", work=work),
    )
    progress = RunProgress(Console(quiet=True), name, protocol.iterations, protocol.batch_size)
    run = Trainer(job, progress, stop)
    run.prepare(group)
    return run


def losses(group: Group, work: Path, name: str, protocol: Protocol, steps: int) -> list[float]:
    """Losses of the first steps, without the evaluations in between."""
    run = started(work, group, name, protocol)
    run.model.train()
    for _ in range(steps):
        run._timed_step()
    run._flush()
    return [loss for _, loss, _ in run.state.history]


def losses_in_float64(group: Group, *arguments: Any) -> list[float]:
    """The same, all but the loss itself in float64."""
    torch.set_default_dtype(torch.float64)
    try:
        return losses(group, *arguments)
    finally:
        torch.set_default_dtype(torch.float32)


def scored(group: Group, work: Path, name: str, protocol: Protocol) -> tuple[SplitScores, dict[str, Any]]:
    """Scores of val, and the buffers behind them, of a network as it starts out."""
    run = started(work, group, name, protocol)
    seen: list[int] = []
    reestimate(run.model, run.data["train"], protocol.batch_size, "fp32", seen.append, group)
    assert sum(seen) == -(-len(run.data["train"]) // protocol.batch_size) * protocol.batch_size
    scores = evaluate(
        run.model,
        run.data["val"],
        num_classes=11,
        batch=protocol.batch_size,
        precision="fp32",
        boundary=True,
        keep={0, 3, 11},
        group=group,
    )
    return scores, {name: buffer.numpy() for name, buffer in run.model.named_buffers()}


def resumed_from(group: Group, folder: Path) -> str:
    """Two checkpoints, of iterations 5 and 10, of which rank 1 can't read the later one; what resuming says."""
    model = nn.Linear(2, 2)
    checkpoints = RunCheckpoints(folder, model, torch.optim.SGD(model.parameters()), group, torch.device("cpu"))
    for iteration in (5, 10):
        checkpoints.save(TrainState(iteration=iteration))
    group.gather_objects(None)  # rank 0 has written them
    with pytest.MonkeyPatch.context() as patch:
        if group.rank == 1:
            patch.setattr(checkpoint, "_check_sums", _unreadable)
        try:
            return str(checkpoints.resume(0, lambda line: None).iteration)
        except UserError as error:
            return str(error)


def _unreadable(path: Path) -> None:
    if path.name == "checkpoint.pt":
        raise OSError(errno.EIO, "Input/output error")


def whole(
    group: Group, work: Path, name: str, protocol: Protocol, stop_after: int | None = None, stopper: int = 0
) -> dict[str, Any]:
    """A run to its end, or until one process is asked to stop at its so many-th look."""
    looks = 0

    def stop() -> bool:
        nonlocal looks
        looks += 1
        return group.rank == stopper and looks == stop_after

    run = started(work, group, name, protocol, stop)
    begun_at = run.state.iteration
    stopped = False
    try:
        run.train()
        run.finish()
    except Interrupted:
        stopped = True
    return {
        "stopped": stopped,
        "begun at": begun_at,
        "iteration": run.state.iteration,
        "looks": looks,
        "history": run.state.history,
        "validations": [validation.matrix for validation in run.state.validations],
        "arrays": {name: np.array(array) for name, array in run.state.arrays.items()},
        "predictions": run.state.predictions,
        "weights": {name: tensor.numpy() for name, tensor in run.model.state_dict().items()},
        "processes": run.state.processes,
        "random": torch.get_rng_state().numpy(),
    }
