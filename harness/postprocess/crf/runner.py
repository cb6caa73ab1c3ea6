"""A run with the CRF: parameters searched on val, then val and test scored with the chosen ones.

It trains nothing: it needs the finished run of the network, and that one's weights or logits in the work
folder. What is done is kept in the run's own folder, trial by trial and split by split, so that a stopped
run goes on.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from pydantic import Field

import architectures
from datasets.cache import RaggedLabels, open_split
from harness.config.worker_job import WorkerJob
from harness.data.preprocessing import padded_reach
from harness.data.split import DeviceDataset, open_trained
from harness.postprocess.crf import search
from harness.postprocess.crf.base_run import BaseRunMissing, Checkpoint, base_job, find_base_run
from harness.postprocess.crf.logits import load_logits, require_weights, write_logits
from harness.postprocess.crf.scoring import CrfData, Refiner
from harness.records.crf import CrfParameters, CrfTime, SubsetScores, Trial
from harness.records.weights_files import checkpoint_file
from harness.system.errors import UserError
from harness.system.signals import Interrupted
from harness.training.amp import apply_precision
from harness.training.checkpoint import load_checkpoint, save_checkpoint
from harness.training.distributed import SINGLE_PROCESS, Group
from harness.training.evaluator import kept_indices
from harness.training.progress import RunProgress
from harness.training.train_state import RunState

SPLITS = ("val", "test")
TIMED_IMAGES = 10


class CrfState(RunState):
    """How far the run is. iteration: trials that are done, which is what it counts its progress in."""

    trials: list[Trial] = Field(default=[])
    without: SubsetScores | None = None
    time: CrfTime | None = None


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
        self.subset_ids = tuple(chosen.image_ids[index] for index in self.subset)
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
        return CrfData(logits=logits, images=full.images, labels=full.labels, reach=reach, image_ids=image_ids)

    def _on_decoded(self, done: int, total: int) -> None:
        """A sign of life, and a chance to stop, at each image that is put into the cache."""
        if self._stop_asked():
            raise Interrupted

    def _resume(self) -> None:
        if stored := load_checkpoint(checkpoint_file(self.job.folder), self.progress.say):
            tensors, values = stored
            self.state = CrfState.restore(tensors, values)
            self.progress.say(f"goes on after {self.state.iteration} of {search.TRIALS} trials")
        self.state.begin_segment(1)

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Write the state after the block, also where that is interrupted, and count its time."""
        started, state = time.perf_counter(), self.state
        try:
            yield
        finally:
            state.iteration = len(state.trials)
            state.evaluate_s += time.perf_counter() - started
            save_checkpoint(checkpoint_file(self.job.folder), tensors=state.tensors(), values=state.values())

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
            self.progress.count(self.state.iteration)
            self.progress.say(
                f"{self.state.iteration} of {search.TRIALS} trials, {len(self.subset)} val images: best "
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
        done = {(one.iteration, one.split) for one in self.state.evaluations}
        for checkpoint in self.base.checkpoints:
            for split in SPLITS:
                if (checkpoint.iteration, split) not in done:
                    with self._kept():
                        self._score(checkpoint, split)

    def _score(self, checkpoint: Checkpoint, split: str) -> None:
        data, at = self._data[checkpoint.iteration, split], checkpoint.iteration
        tested = split == "test"
        found = Refiner(data, self.spec.num_classes, self.device).split_scores(
            self.parameters,
            boundary=tested,
            keep=kept_indices(len(data)) if tested and at == self.base.last_iteration else (),
            on_images=self._watch(f"scoring {split}", len(data)),
        )
        self.state.note_evaluation(split, at, checkpoint.labels, found)
        self.state.note_predictions(data.image_ids, found)

    def _watch(self, name: str, images: int) -> Callable[[int], None]:
        advance = self.progress.phase(name, images)

        def on_images(more: int) -> None:
            advance(more)
            if self._stop_asked():
                raise Interrupted

        return on_images
