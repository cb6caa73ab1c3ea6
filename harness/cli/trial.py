"""A run as `run` makes it, of a few pictures of noise: trained, stopped, gone on with, scored, saved and read again."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

import architectures
import datasets
from datasets import plugins
from datasets.base import Pixels
from harness.config.planning import plan
from harness.config.request import RunRequest
from harness.config.run_spec import Precision
from harness.config.suite import OWN, load_suite, on_own_data
from harness.config.worker_job import WorkerJob
from harness.records.run import finished, save_run
from harness.records.weights_files import final_weights
from harness.system.console import terminal
from harness.system.environment import Device, environment
from harness.system.signals import Interrupted
from harness.training.amp import autocast
from harness.training.checkpoint import load_weights
from harness.training.progress import RunProgress
from harness.training.run_record import run_record
from harness.training.trainer import Trainer

CLASSES = 11
PROTOCOL = "quick@2"
ITERATIONS = 2
_COUNTS = {"train": 3, "val": 1, "test": 2}


@datasets.declare(classes=[f"class {number}" for number in range(CLASSES)])
def noise_of_check(split: str, root: str | None) -> Sequence[tuple[Pixels, Pixels]]:
    """Pictures and labels of noise; the data root is their size, such as 64x96."""
    height, width = (int(side) for side in str(root).split("x"))
    random = np.random.default_rng(datasets.SPLITS.index(split))
    images = random.integers(0, 256, (_COUNTS[split], height, width, 3), dtype=np.uint8)
    labels = random.integers(0, CLASSES, images.shape[:3], dtype=np.uint8)
    return list(zip(images, labels, strict=True))


class Trial:
    """One run of an architecture under one optimizer, on pictures of a size (H, W), a step at a time."""

    def __init__(
        self, name: str, size: tuple[int, int], device: Device, precision: Precision, optimizer: str, folder: Path
    ) -> None:
        plugins.add([f"{__name__}:{noise_of_check.__name__}"])
        dataset, root = noise_of_check.__name__.replace("_", "-"), f"{size[0]}x{size[1]}"
        (suite,) = on_own_data(load_suite(OWN), [datasets.info(dataset, root)])
        request = RunRequest(
            architectures=(name,),
            size=root,
            iterations=ITERATIONS,
            overrides=(f"optimizer={optimizer}", "lr=1e-3", f"eval_interval={ITERATIONS}"),
            precision=precision,
            data_root=root,
            device=device,
            results=folder / "results",
            work=folder / "work",
        )
        (spec,) = plan(request, suite.model_copy(update={"protocol": PROTOCOL})).specs
        self._job = WorkerJob(spec=spec, request=request)
        self._run = self._trainer(stop=True)

    def _trainer(self, stop: bool) -> Trainer:
        """A run that stops at its first look, or goes to its end."""
        protocol = self._job.spec.protocol
        progress = RunProgress(terminal(quiet=True), self._job.spec.network, protocol.iterations, protocol.batch_size)
        return Trainer(self._job, progress, lambda: stop)

    def train(self) -> str:
        """An iteration, and a checkpoint."""
        self._run.prepare()
        try:
            self._run.train()
        except Interrupted:
            return f"loss {self._run.state.history[0][1]:.3f} after an iteration; a checkpoint is written"
        raise AssertionError("it went on although it was to stop")

    def go_on(self) -> str:
        """The checkpoint into a network that is built anew."""
        before, self._run = self._run, self._trainer(stop=False)
        self._run.prepare()
        pairs = zip(before.model.state_dict().items(), self._run.model.state_dict().values(), strict=True)
        changed = [name for (name, one), other in pairs if not torch.equal(one, other)]
        if self._run.state.iteration != 1 or changed:
            raise AssertionError(f"what the checkpoint brings back differs: {', '.join(changed[:3])}")
        return "from its checkpoint, as it was left"

    def score(self) -> str:
        """The other iterations, batch-norm statistics taken over the training images, and scores of all splits."""
        self._run.train()
        self._run.finish()
        record, files = run_record(self._run, environment())
        save_run(self._job.results, record, files)
        if finished(self._job.results, self._job.spec) is None:
            raise AssertionError("its record can't be read again")
        scored = sorted({one.split for one in record.evaluations})
        return f"{', '.join(scored)}; the record is kept"

    def read_again(self) -> str:
        """The weights' file into a network that is built anew, which then gives the same logits."""
        spec, size = self._job.spec, self._run.data["test"].full_size
        again = architectures.build(spec.architecture, spec.num_classes, spec.protocol.size or size)
        path = final_weights(self._job.folder)
        load_weights(path, again, hashlib.sha256(path.read_bytes()).hexdigest())
        again.to(self._run.device).eval()
        images, device = self._run.data["test"].images(np.array([0])), self._run.device
        with torch.inference_mode(), autocast(spec.precision, device):
            largest = float((self._run.model.eval()(images).float() - again(images).float()).abs().max())
        if not largest < 1e-3 or math.isnan(largest):
            raise AssertionError(f"logits of a network with the weights that were saved differ by {largest:.3g}")
        return f"logits differ by {largest:.2g} at most"
