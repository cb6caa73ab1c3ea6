"""One run: train, evaluate where the protocol says, keep all that its record is made of."""

import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool

import torch

import datasets
from harness.config.class_weighting import class_weights
from harness.config.losses import LOSSES
from harness.config.worker_job import WorkerJob
from harness.data.split import BatchSampler, DeviceDataset
from harness.metrics import scores
from harness.records.run import BEST, Validation
from harness.records.weights_files import all_logits, final_weights
from harness.system.errors import UserError
from harness.system.signals import Interrupted
from harness.training.amp import apply_precision, autocast
from harness.training.checkpoint import are_finite, save_weights
from harness.training.compile import CompileClock, training_call
from harness.training.distributed import SINGLE_PROCESS, Group
from harness.training.evaluator import SplitScores, evaluate, kept_indices
from harness.training.losses.cross_entropy import labeled_pixels
from harness.training.lr_schedulers import learning_rate
from harness.training.model import build_network
from harness.training.optimizers import build_optimizer, set_rate
from harness.training.precise_bn import reestimate
from harness.training.progress import RunProgress
from harness.training.run_checkpoints import RunCheckpoints
from harness.training.tensorboard import TensorBoardLogger
from harness.training.train_state import Diverged, PendingLosses, TrainState

CHECKPOINT_SECONDS = 600.0
FLUSH_EVERY = 20  # iterations whose losses go to the host at once


class Trainer:
    """Carries out a run.

    Args:
        job: what to run, where and on what.
        progress: where to show how far it is.
        stop_asked: looked at after each batch; true ends the run with a checkpoint.
    """

    def __init__(self, job: WorkerJob, progress: RunProgress, stop_asked: Callable[[], bool]) -> None:
        self.job = job
        self.spec = job.spec
        self.protocol = job.spec.protocol
        self.device = torch.device(job.device)
        self.progress = progress
        self._stop_asked = stop_asked
        self.group = SINGLE_PROCESS
        self.state = TrainState()
        self._pending = PendingLosses()
        self._evaluated_at = frozenset(self.protocol.evaluation_points())
        self._compiling = CompileClock(job.spec.compiled)

    # -- preparation ---------------------------------------------------------------------------------------

    def prepare(self, group: Group = SINGLE_PROCESS) -> None:
        """Open the data, build the network, load initial weights or a checkpoint.

        Args:
            group: the processes that carry out the run together; all of them do all that follows.

        Raises:
            datasets.DatasetError, architectures.ArchitectureError: bad data or weights.
        """
        self.group = group
        torch.set_num_threads(self.job.threads)
        self.board = TensorBoardLogger(self.job.folder / "tensorboard" if self.job.request.tensorboard else None)
        apply_precision(self.spec.precision)
        self.data = {split: self._open(split) for split in ("train", "val", "test")}
        train, weights = self.data["train"], None
        if (weighting := self.protocol.class_weighting) != "natural":  # which needs no count of pixels
            pixels = train.class_pixels(self.spec.num_classes)
            factors = class_weights(weighting, self.spec.dataset, pixels, train.areas())
            weights = torch.from_numpy(factors).to(self.device)
        self.loss = LOSSES[self.protocol.loss].build(weights)
        torch.manual_seed(self.spec.seed)
        self.model, self.layers_set = build_network(self.job, self.data["test"].full_size, group)
        self._reach = self.model.info.reach(*train.input_size)
        self.encoder_layers = len(self.model.encoder_layers()) or len(self.layers_set)
        several = group.world_size > 1
        self.call = group.training_call(self.model) if several else training_call(self.model, self.spec.compiled)
        part = group.shard(self.protocol.batch_size)
        self.batches = BatchSampler(self.protocol, self.spec.seed, len(train), self.device, part)
        self.optimizer = build_optimizer(self.model, self.protocol)
        self._checkpoints = RunCheckpoints(self.job.folder, self.model, self.optimizer, group, self.device)
        self.state = self._checkpoints.resume(self.spec.seed, self.progress.say)
        if self.state.segments:
            self.progress.say(f"goes on from iteration {self.state.iteration:,} of {self.protocol.iterations:,}")
        self.state.begin_segment(group.world_size)

    def _open(self, split: str) -> DeviceDataset:
        dataset = datasets.load(self.spec.dataset, split, self.job.request.data_root)
        if dataset.content_hash != self.spec.dataset_hash:
            raise UserError(
                f"{self.spec.dataset} in {self.job.request.data_root} has changed since the run was planned: its "
                f"content is {dataset.content_hash[:12]}, the run's {self.spec.dataset_hash[:12]}; start the "
                "command anew, which plans a run of its own for the new content"
            )
        return DeviceDataset(dataset, self.protocol, self.job.cache, self.device)

    # -- training ------------------------------------------------------------------------------------------

    def train(self) -> None:
        """Train to the last iteration, evaluating on the way.

        Raises:
            Diverged: the loss or a weight is not finite.
            Interrupted: a stop was asked for; the checkpoint is written.
        """
        saved = time.monotonic()
        self._evaluate_or_save()
        self.model.train()
        while self.state.iteration < self.protocol.iterations and not self.state.ended:
            self._timed_step()
            due = time.monotonic() - saved > CHECKPOINT_SECONDS
            stop, due = self.group.any_rank(self._stop_asked(), due)
            if stop or due:
                self._settle()
                self._checkpoints.save(self.state)
                saved = time.monotonic()
            if stop:
                raise Interrupted
            self._evaluate_or_save()

    def _timed_step(self) -> None:
        started = time.perf_counter()
        watched = self._compiling.watching
        self._step(self.state.iteration)
        self.state.iteration += 1
        if watched or self.device.type == "cpu" or self._evaluation_due():
            self._flush()
        elif self.state.iteration % FLUSH_EVERY == 0:
            self._flush(last=False)
        step_s = time.perf_counter() - started
        compile_s = self._compiling.add(step_s)
        self.state.compile_s += compile_s
        self.state.train_s += step_s - compile_s

    def _step(self, iteration: int) -> None:
        """Queue a step on the device. On a GPU nothing here may make the host wait for it, but for some losses."""
        train, batch = self.data["train"], self.batches.at(iteration)
        rate = learning_rate(self.protocol, iteration)
        self.optimizer.zero_grad(set_to_none=True)  # first: the forward pass then has their memory
        with autocast(self.spec.precision, self.device):
            logits = self.call(train.images(batch.indices, batch.mirrored, batch.augmented))
        height, width = logits.shape[2:]
        targets = train.targets(batch.indices, (height, width), batch.mirrored, batch.augmented, self._reach)
        pixels = self.group.all_reduce_sum(labeled_pixels(targets))
        loss = self.loss(logits, targets, pixels)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.protocol.max_grad_norm is not None:  # summed over processes by now
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.protocol.max_grad_norm)
        set_rate(self.optimizer, rate)
        self.optimizer.step()
        self._pending.add(iteration + 1, self.group.all_reduce_sum(loss.detach()), rate)

    def _flush(self, last: bool = True) -> None:
        """Bring pending losses into the history: all, or unless `last` those of earlier stretches."""
        self._pending.send()
        arrived = self._pending.arrived(last)
        for entry in arrived:
            self.state.history.append(entry)
            self.board.step(*entry)
        if arrived:
            self.progress.step(*arrived[-1])

    def _settle(self) -> None:
        """Bring all losses to the host before the state is kept or scored, which a diverged one is not."""
        self._flush()
        if not are_finite(self.model):
            raise Diverged(self.state.iteration, "a weight or batch-norm statistic was")

    # -- evaluation ----------------------------------------------------------------------------------------

    def _evaluate_or_save(self) -> None:
        try:
            self._evaluate_if_due()
        except Interrupted:
            self._checkpoints.save(self.state)  # the evaluation is done again on resuming
            raise

    def _evaluate_if_due(self) -> None:
        if not self._evaluation_due():
            return
        at = self.state.iteration
        self._settle()
        started = time.perf_counter()
        watch = self._watch("batch-norm statistics", "train")
        train, batch = self.data["train"], self.protocol.batch_size
        seed = self.protocol.precise_bn_seed
        reestimate(self.model, train, batch, self.spec.precision, watch, self.group, seed)
        self._settle()
        last = at == self.protocol.iterations or self._loss_stopped_falling()
        labels = tuple(label for label, due in self.protocol.report_at.items() if due == at or (last and due > at))
        validated = self._score("val")
        tested = self._score("test") if labels and self.protocol.score_test else None
        trained = self._score("train") if last and self.protocol.score_train else None
        # Nothing above changes the run's state, so that a stop in between repeats the evaluation as a whole.
        if labels:
            self.state.note_evaluation("val", at, labels, validated)
        if tested is not None:
            self.state.note_evaluation("test", at, labels, tested)
            self.state.note_predictions(self.data["test"].image_ids, tested)
        if trained is not None:
            self.state.note_evaluation("train", at, labels, trained)
        self._note_validation(validated)
        self.state.ended = last
        self.state.evaluate_s += time.perf_counter() - started
        self.model.train()
        self._checkpoints.save(self.state)

    def _evaluation_due(self) -> bool:
        at = self.state.iteration
        return at in self._evaluated_at and all(v.iteration != at for v in self.state.validations)

    def _loss_stopped_falling(self) -> bool:
        least, stretch = self.protocol.early_stopping_min_delta, self.protocol.eval_interval
        fall = self.state.fall(stretch) if self.state.iteration % stretch == 0 else None
        return least is not None and fall is not None and fall < least

    def _note_validation(self, validated: SplitScores) -> None:
        at, matrix = self.state.iteration, validated.counts.matrix
        self.state.validations.append(Validation(iteration=at, matrix=matrix.tolist()))
        result = scores(matrix)
        self.board.validation(at, result)
        score = result.miou if self.protocol.select_by == "mIoU" else result.global_accuracy
        if score > self.state.best_score:
            self.state.best_score, self.state.best_iteration = score, at
            self._checkpoints.keep_best(self.state)
        self.progress.say(
            f"iteration {at:,} of {self.protocol.iterations:,}: loss {self.state.history[-1][1]:.3f}, "
            f"val G {result.global_accuracy:.3f}  C {result.class_accuracy:.3f}  mIoU {result.miou:.3f}"
        )

    def _score(self, split: str) -> SplitScores:
        data = self.data[split]
        try:
            scored = evaluate(
                self.model,
                data,
                num_classes=self.spec.num_classes,
                batch=self.protocol.batch_size,
                precision=self.spec.precision,
                boundary=split == "test",
                keep=kept_indices(len(data)) if split == "test" else (),
                reach=self._reach,
                on_batch=self._watch(f"scoring {split}", split),
                group=self.group,
            )
        except BrokenProcessPool:
            if self._stop_asked():  # a signal to every process has ended those that score BF
                raise Interrupted from None
            raise
        if not scored.finite:
            raise Diverged(self.state.iteration, f"a logit on {split} was")
        return scored

    def _watch(self, name: str, split: str) -> Callable[[int], None]:
        advance = self.progress.phase(name, len(self.data[split]))

        def on_batch(images: int) -> None:
            advance(images)
            if any(self.group.any_rank(self._stop_asked())):
                raise Interrupted

        return on_batch

    def finish(self) -> None:
        """Score the iteration that val chose, where it was not scored already; keep the weights.

        Raises:
            Interrupted: a stop was asked for; the checkpoint holds the state after the last iteration.
            DamagedWeights: those of the iteration that val chose are gone or damaged.
        """
        state, best = self.state, self.state.best_iteration
        assert best is not None, "every report_at point is validated"
        if self.group.is_main_process:
            for kept in all_logits(self.job.folder):  # of weights that these replace
                kept.unlink(missing_ok=True)
            save_weights(final_weights(self.job.folder), self.model)
        scored = {e.split for e in state.evaluations if e.iteration == best}
        more = {"test": self.protocol.score_test, "train": self.protocol.score_train_selected}
        wanted = {"val", *(split for split, asked in more.items() if asked)}
        started = time.perf_counter()
        if not wanted <= scored and best != state.iteration:
            self._checkpoints.load_best(state)
        for split in sorted(wanted - scored):
            state.note_evaluation(split, best, (), self._score(split))
        state.evaluate_s += time.perf_counter() - started
        state.evaluations = [
            e.model_copy(update={"labels": (*e.labels, BEST)}) if e.iteration == best and e.split in wanted else e
            for e in state.evaluations
        ]
