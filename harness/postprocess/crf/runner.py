"""A run with the CRF: parameters searched on val, then val and test scored with the chosen ones.

It trains nothing: it needs the finished run of the network, and that one's weights or logits in the work
folder. What is done is kept in the run's own folder, trial by trial and split by split, so that a stopped
run goes on.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

import architectures
from datasets.cache import RaggedLabels, open_split
from harness.config.worker_job import WorkerJob
from harness.data.preprocessing import padded_reach
from harness.data.split import DeviceDataset, open_trained
from harness.postprocess.crf import search
from harness.postprocess.crf.base_run import BaseRunMissing, Checkpoint, base_job, find_base_run
from harness.postprocess.crf.logits import load_logits, require_weights, write_logits
from harness.postprocess.crf.scoring import CrfData, Refiner
from harness.records.content import pack_scores
from harness.records.crf import CrfParameters, CrfTime, SubsetScores, Trial
from harness.system.corruption import UNREADABLE, is_out_of_memory
from harness.system.errors import UserError
from harness.system.files import write_atomically
from harness.system.signals import Interrupted
from harness.training.amp import apply_precision
from harness.training.distributed import SINGLE_PROCESS, Group
from harness.training.evaluator import kept_indices
from harness.training.progress import RunProgress

SPLITS = ("val", "test")
TIMED_IMAGES = 10


class CrfState(BaseModel):
    """How far the run is. iteration: trials that are done, which is what it counts its progress in."""

    model_config = ConfigDict(extra="forbid")

    trials: list[Trial] = []
    without: SubsetScores | None = None
    time: CrfTime | None = None
    spent_s: float = 0.0
    segments: int = 0

    @property
    def iteration(self) -> int:
        """Trials done."""
        return len(self.trials)


class CrfRun:
    """A run with the CRF in the making, carried out in the same three steps as one that trains.

    Whether to stop is asked after each image.
    """

    def __init__(self, job: WorkerJob, progress: RunProgress, stop_asked: Callable[[], bool]) -> None:
        self.job = job
        self.spec = job.spec
        self.device = torch.device(job.device)
        self.progress = progress
        self._stop_asked = stop_asked
        self._state_path = job.folder / "search.json"
        self.state = CrfState()

    # -- preparation ---------------------------------------------------------------------------------------

    def prepare(self, group: Group = SINGLE_PROCESS) -> None:
        """Find the run to refine, and see to its logits.

        Args:
            group: this process alone, which goes image by image.

        Raises:
            BaseRunMissing: it is not finished, or neither its weights nor its logits are there.
            UserError, datasets.DatasetError: bad data.
        """
        assert group.world_size == 1, "others leave it to rank 0"
        torch.set_num_threads(self.job.threads)
        apply_precision(self.spec.precision)
        self.base = find_base_run(self.job)
        self._data = {
            (checkpoint.iteration, split): self._open(checkpoint, split)
            for checkpoint in self.base.checkpoints
            for split in SPLITS
        }
        chosen = self._data[self.base.chosen.iteration, "val"]
        self.subset = search.spread(len(chosen), search.IMAGES)
        self._val = Refiner(chosen, self.spec.num_classes, self.device)
        self._resume()

    def _open(self, checkpoint: Checkpoint, split: str) -> CrfData:
        spec, data_root = self.spec, self.job.request.data_root
        dataset = open_trained(spec.dataset, split, data_root, spec.dataset_hash, "the run")
        path = checkpoint.logits_path(split)
        if dataset.sizes is not None:
            raise UserError(
                f"{dataset.info.name}: the dense CRF needs images that are all "
                f"{dataset.info.size[0]} x {dataset.info.size[1]}"
            )
        run_id, image_ids = self.base.record.run_id, tuple(dataset.image_ids)
        logits = load_logits(path, run_id, split, image_ids)
        if logits is None:
            require_weights(checkpoint, run_id)  # before the data are decoded
            protocol = self.spec.protocol
            open_split(dataset, protocol.size, self.job.cache, self._on_decoded, protocol.padding)
            data = DeviceDataset(dataset, self.spec.protocol, self.job.cache, self.device)
            watch = self._watch(f"logits of {split}", len(data))
            write_logits(base_job(self.job), checkpoint, split, data, watch)
            logits = load_logits(path, run_id, split, image_ids)
        if logits is None:
            raise BaseRunMissing(f"{path}: can't be read although it was just written; check the disk")
        full = open_split(dataset, None, self.job.cache, self._on_decoded)
        assert not isinstance(full.labels, RaggedLabels)
        size = self.spec.protocol.size or dataset.info.size
        reach = architectures.info(self.spec.architecture).reach(*size)
        reach = padded_reach(dataset.info.size, size, self.spec.protocol, reach)
        return CrfData(logits=logits, images=full.images, labels=full.labels, reach=reach)

    def _on_decoded(self, done: int, total: int) -> None:
        """A sign of life, and a chance to stop, at each image that is put into the cache."""
        if self._stop_asked():
            raise Interrupted

    def _resume(self) -> None:
        try:
            self.state = CrfState.model_validate_json(self._state_path.read_text("utf-8"))
            self.progress.say(f"goes on after {len(self.state.trials)} of {search.TRIALS} trials")
        except FileNotFoundError:
            pass
        except (ValidationError, OSError, UnicodeDecodeError) as error:
            self.progress.say(f"{self._state_path}: damaged ({type(error).__name__}); the search begins anew")
        self.state.segments += 1

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Write the state after the block, also where that is interrupted, and count its time."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.state.spent_s += time.perf_counter() - started
            write_atomically(self._state_path, self.state.model_dump_json().encode())

    # -- search --------------------------------------------------------------------------------------------

    def train(self) -> None:
        """Search the parameters on val, then time the CRF with the chosen ones.

        Raises:
            Interrupted: a stop was asked for; the trials that are complete are kept.
        """
        score = self.spec.protocol.select_by
        while ahead := search.to_do(self.state.trials, score):
            with self._kept():
                self._try(ahead[0])
            best, without = search.best_of(self.state.trials, score), self.state.without
            assert without is not None
            self.progress.count(len(self.state.trials))
            self.progress.say(
                f"{len(self.state.trials)} of {search.TRIALS} trials, {len(self.subset)} val images: best "
                f"mIoU {best.scores.miou:.3f}, {without.miou:.3f} without the CRF"
            )
        if self.state.time is None:
            timed = self.subset[:TIMED_IMAGES]
            with self._kept():
                watch = self._watch("timing", len(timed) + 1)
                self.state.time = self._val.time(timed, self.parameters, watch)

    def _try(self, trials: list[CrfParameters]) -> None:
        """Score trials that share their kernels."""
        watch = self._watch(f"{len(trials)} trials", len(self.subset))
        self.state.without, *found = self._val.subset_scores(self.subset, trials, watch)
        self.state.trials += [
            Trial(parameters=parameters, scores=one) for parameters, one in zip(trials, found, strict=True)
        ]

    @property
    def parameters(self) -> CrfParameters:
        """The chosen ones, once the search is complete."""
        return search.best_of(self.state.trials, self.spec.protocol.select_by).parameters

    # -- scoring -------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Score val and test with the chosen parameters.

        Raises:
            Interrupted: a stop was asked for; the splits that are complete are kept.
        """
        for iteration, split in self._data:
            if not self._is_scored(iteration, split):
                with self._kept():
                    self._score(iteration, split)

    def _is_scored(self, iteration: int, split: str) -> bool:
        path = self._arrays_path(iteration, split)
        try:
            return path.exists() and {"matrices", "matrix"} & self.arrays(iteration, split).keys() != set()
        except UNREADABLE as error:
            if is_out_of_memory(error):
                raise
            self.progress.say(f"{path}: damaged ({type(error).__name__}); {split} is scored anew")
            return False

    def _score(self, iteration: int, split: str) -> None:
        data = self._data[iteration, split]
        tested = split == "test"
        found = Refiner(data, self.spec.num_classes, self.device).split_scores(
            self.parameters,
            boundary=tested,
            keep=kept_indices(len(data)) if tested else (),
            on_images=self._watch(f"scoring {split}", len(data)),
        )
        arrays = found.arrays() | {f"map-{index}": label_map for index, label_map in found.predictions.items()}
        write_atomically(self._arrays_path(iteration, split), pack_scores(arrays))

    def _arrays_path(self, iteration: int, split: str) -> Path:
        return self.job.folder / f"scores-{split}-{iteration:06d}.npz"

    def arrays(self, iteration: int, split: str) -> dict[str, NDArray[Any]]:
        """What scoring a split left: matrices or what stands for them, bf, and kept maps as `map-<index>`."""
        with np.load(self._arrays_path(iteration, split)) as stored:
            return dict(stored)

    def _watch(self, name: str, images: int) -> Callable[[int], None]:
        advance = self.progress.phase(name, images)

        def on_images(more: int) -> None:
            advance(more)
            if self._stop_asked():
                raise Interrupted

        return on_images
