"""What is measured: input, a forward pass, and a training step as the harness trains.

Images are the drawn scenes of the dataset "roads", since the energy of a pass depends on the data. What is
counted on shapes alone takes noise.
"""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import cycle

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.architecture_info import WHOLE, Reach
from datasets import roads
from harness.config.run_spec import Precision
from harness.profiling.timing import Pass
from harness.records.measurement import IMAGES, MOMENTUM, SEED, Optimizer
from harness.training.amp import autocast, convert_weights
from harness.training.evaluator import label_maps
from harness.training.optimizers import optimizer_over

Build = Callable[[], nn.Module]


def built(build: Build) -> nn.Module:
    """The network with its weights drawn under the fixed seed."""
    torch.manual_seed(SEED)
    return build()


def for_inference(model: nn.Module, precision: Precision) -> nn.Module:
    """The network in evaluation mode, its weights converted once where the precision is bf16."""
    convert_weights(model.eval(), precision)
    return model


def noise_batch(batch: int, size: tuple[int, int]) -> Tensor:
    """Images (batch, 3, H, W), float32, standard normal noise, for what is counted on shapes."""
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(SEED))


@cache
def _scenes() -> tuple[Tensor, ...]:
    """Different images (h, w, 3), uint8, as they are drawn."""
    drawn = roads.load("train")
    return tuple(torch.from_numpy(drawn[index][0]) for index in range(IMAGES))


def host_images(count: int, size: tuple[int, int]) -> list[Tensor]:
    """Images (H, W, 3), uint8, in the host's memory, as a decoder leaves them; at most 8 are different."""
    scenes = [scene.permute(2, 0, 1)[None].float() for scene in _scenes()[:count]]
    scaled = [F.interpolate(scene, size, mode="bilinear", antialias=True) for scene in scenes]
    images = [scene[0].round().clamp(0, 255).byte().permute(1, 2, 0).contiguous() for scene in scaled]
    return [images[number % len(images)] for number in range(count)]


def image_batches(batch: int, count: int, size: tuple[int, int], device: torch.device) -> list[Tensor]:
    """Batches of images (batch, 3, H, W), float32, 0 to 1, on the device; each begins with another image."""
    images = torch.stack(host_images(IMAGES, size)).permute(0, 3, 1, 2).float() / 255
    order = torch.arange(batch)
    return [images[(order + first) % IMAGES].contiguous().to(device) for first in range(count)]


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
    """Whole steps: gradients dropped, forward, loss, backward, optimizer.

    The rate is 0: memory and work are those of any other rate, and the weights stay what they are.
    """

    def __init__(self, model: nn.Module, precision: Precision, optimizer: Optimizer = "sgd") -> None:
        self.model = model
        self.precision = precision
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = optimizer_over([{"params": trainable}], optimizer, lr=0.0, momentum=MOMENTUM)

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


def backward_pass(model: nn.Module, batches: Iterator[Tensor], labels: Tensor, precision: Precision) -> Pass:
    """`loss.backward()`, to be timed; the forward pass before it is the preparation. The caller sets training mode."""
    pending: list[Tensor] = []

    def prepare() -> None:
        model.zero_grad(set_to_none=True)
        batch = next(batches)
        with autocast(precision, batch.device):
            logits = model(batch)
        pending.append(cross_entropy(logits, labels))

    return Pass(prepare=prepare, run=lambda: pending.pop().backward())  # type: ignore[no-untyped-call]


def end_to_end_pass(
    model: nn.Module,
    images: list[Tensor],
    device: torch.device,
    precision: Precision,
    layout: torch.memory_format = torch.contiguous_format,
    reach: Reach = WHOLE,
) -> Pass:
    """From an image in the host's memory to its label map there, to be timed by the host's clock.

    Transfer, scaling, forward pass, upsampling to the image's size, argmax, transfer. The last one waits for
    the device. Reading and decoding files are not in it. The network is as `for_inference` leaves it.
    """
    waiting = cycle(images)

    def run() -> None:
        image = next(waiting)
        pixels = image.to(device).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode(), autocast(precision, device):
            logits = model(pixels.contiguous(memory_format=layout))
        with torch.inference_mode():
            label_maps(logits, (image.shape[0], image.shape[1]), reach).cpu()

    return Pass(run=run)
