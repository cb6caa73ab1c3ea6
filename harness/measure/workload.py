"""What is measured: input, a forward pass, and a training step as the harness trains.

Images are seeded noise: their values change neither the operators nor their cost.
"""

from collections.abc import Callable, Iterator
from itertools import cycle

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.measure.timing import Pass
from harness.precision import autocast
from harness.spec import Precision

SEED = 0
IMAGES = 8  # different ones, cycled through
MOMENTUM = 0.9

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
    """Labels (batch, h, w), int64, of the logits' size, every pixel labelled."""
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
        self.optimiser = torch.optim.SGD(trainable, lr=0.0, momentum=MOMENTUM, fused=True)

    def __call__(self, images: Tensor, labels: Tensor) -> None:
        """One step. The caller sets training mode."""
        self.optimiser.zero_grad(set_to_none=True)
        with autocast(self.precision, images.device):
            logits = self.model(images)
        cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()

    def state(self) -> Iterator[Tensor]:
        """The optimiser's tensors."""
        for values in self.optimiser.state.values():
            yield from (value for value in values.values() if isinstance(value, Tensor))


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
