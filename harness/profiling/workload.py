"""What is measured: input, a forward pass, and a training step as the harness trains.

Images are seeded noise: their values change neither the operators nor their cost.
"""

from collections.abc import Callable, Iterator
from itertools import cycle

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.config.run_spec import Precision
from harness.profiling.timing import Pass
from harness.records.measurement import MOMENTUM, SEED
from harness.training.amp import autocast
from harness.training.evaluator import label_maps

Build = Callable[[], nn.Module]


def built(build: Build) -> nn.Module:
    """The network with its weights drawn under the fixed seed."""
    torch.manual_seed(SEED)
    return build()


def image_batches(batch: int, count: int, size: tuple[int, int], device: torch.device) -> list[Tensor]:
    """Different batches of images (batch, 3, H, W), float32, standard normal noise, on the device."""
    generator = torch.Generator().manual_seed(SEED)
    return [torch.randn(batch, 3, *size, generator=generator).to(device) for _ in range(count)]


def label_batch(batch: int, size: tuple[int, int], num_classes: int, device: torch.device) -> Tensor:
    """Labels (batch, h, w), int64, of the logits' size, every pixel labeled."""
    generator = torch.Generator().manual_seed(SEED)
    return torch.randint(0, num_classes, (batch, *size), generator=generator).to(device)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy at the logits' own size and in float32, as the harness takes it in training."""
    return F.cross_entropy(logits.float(), labels)


def infer(model: nn.Module, images: Tensor, precision: Precision) -> None:
    """One forward pass, its logits dropped. The caller sets evaluation mode."""
    with torch.inference_mode(), autocast(precision, images.device):
        model(images)


class TrainingStep:
    """Whole steps: gradients dropped, forward, loss, backward, SGD with momentum.

    The rate is 0: memory and work are those of any other rate, and the weights stay what they are.
    """

    def __init__(self, model: nn.Module, precision: Precision) -> None:
        self.model = model
        self.precision = precision
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.SGD(trainable, lr=0.0, momentum=MOMENTUM, fused=True)

    def __call__(self, images: Tensor, labels: Tensor) -> None:
        """One step. The caller sets training mode."""
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.precision, images.device):
            logits = self.model(images)
        cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def state(self) -> Iterator[Tensor]:
        """The optimizer's tensors."""
        for values in self.optimizer.state.values():
            yield from (value for value in values.values() if isinstance(value, Tensor))


def host_images(count: int, size: tuple[int, int]) -> list[Tensor]:
    """Different images (H, W, 3), uint8, in the host's memory, as a decoder leaves them."""
    generator = torch.Generator().manual_seed(SEED)
    shape = (*size, 3)
    return [torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator) for _ in range(count)]


def forward_pass(model: nn.Module, batches: list[Tensor], precision: Precision) -> Pass:
    """Forward in evaluation mode, to be timed; nothing to prepare."""
    model.eval()
    images = cycle(batches)
    return Pass(prepare=lambda: None, run=lambda: infer(model, next(images), precision))


def backward_pass(model: nn.Module, batches: list[Tensor], labels: Tensor, precision: Precision) -> Pass:
    """`loss.backward()` in training mode, to be timed; the forward pass before it is the preparation."""
    model.train()
    images = cycle(batches)
    pending: list[Tensor] = []

    def prepare() -> None:
        model.zero_grad(set_to_none=True)
        batch = next(images)
        with autocast(precision, batch.device):
            logits = model(batch)
        pending.append(cross_entropy(logits, labels))

    return Pass(prepare=prepare, run=lambda: pending.pop().backward())  # type: ignore[no-untyped-call]


def end_to_end_pass(model: nn.Module, images: list[Tensor], device: torch.device, precision: Precision) -> Pass:
    """From an image in the host's memory to its label map there, to be timed by the host's clock.

    Transfer, scaling, forward pass, upsampling to the image's size, argmax, transfer. The last one waits for
    the device. Reading and decoding files are not in it.
    """
    model.eval()
    waiting = cycle(images)
    layout = _layout(model)

    def run() -> None:
        image = next(waiting)
        pixels = image.to(device).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode(), autocast(precision, device):
            logits = model(pixels.contiguous(memory_format=layout))
        with torch.inference_mode():
            label_maps(logits, (image.shape[0], image.shape[1])).cpu()

    return Pass(prepare=lambda: None, run=run)


def training_pass(model: nn.Module, batches: list[Tensor], labels: Tensor, precision: Precision) -> Pass:
    """A whole training step on data that lies on the device, to be timed; nothing to prepare."""
    model.train()
    images = cycle(batches)
    step = TrainingStep(model, precision)
    return Pass(prepare=lambda: None, run=lambda: step(next(images), labels))


def _layout(model: nn.Module) -> torch.memory_format:
    weight = next(parameter for parameter in model.parameters() if parameter.dim() == 4)
    last = weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format
