"""What is measured: images, and steps of either optimizer."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from harness.profiling.workload import TrainingStep, end_to_end_pass, host_images, image_batches, label_batch
from harness.records.measurement import IMAGES, Optimizer

CPU = torch.device("cpu")


def test_images_are_scenes_and_no_noise() -> None:
    """Neighboring pixels of a picture are alike, and no two pictures are equal."""
    images = host_images(IMAGES, (90, 120))
    assert len({image.numpy().tobytes() for image in images}) == IMAGES
    for image in images:
        assert (image.shape, image.dtype) == ((90, 120, 3), torch.uint8)
        values = image.float()
        assert (values[:, 1:] - values[:, :-1]).abs().mean() < values.std() / 4


def test_batches_hold_the_images_each_begun_with_another() -> None:
    images = torch.stack(host_images(IMAGES, (32, 48))).permute(0, 3, 1, 2) / 255
    batches = image_batches(3, IMAGES, (32, 48), CPU)
    assert [batch.shape for batch in batches] == [(3, 3, 32, 48)] * IMAGES
    assert torch.equal(torch.stack([batch[0] for batch in batches]), images)
    assert torch.equal(batches[7], images[[7, 0, 1]])


@pytest.mark.parametrize(("optimizer", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_steps_leave_the_weights_as_they_are(optimizer: Optimizer, kind: type, small: Callable[[], nn.Module]) -> None:
    model = small().train()
    before = [parameter.clone() for parameter in model.parameters()]
    step = TrainingStep(model, "fp32", optimizer)
    assert isinstance(step.optimizer, kind)
    for _ in range(2):
        step(image_batches(2, 1, (36, 48), CPU)[0], label_batch(2, (36, 48), 4, CPU))
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))
    assert any(parameter.grad is not None for parameter in model.parameters())


class PerPixel(nn.Module):
    """No convolution, and a complex parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Linear(3, 4)
        self.turn = nn.Parameter(torch.ones(4, dtype=torch.complex64))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (self.scores(images.movedim(1, 3)) * self.turn).real.movedim(3, 1)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_networks_of_any_parameters_are_measured(optimizer: Optimizer) -> None:
    model = PerPixel()
    TrainingStep(model, "fp32", optimizer)(image_batches(2, 1, (36, 48), CPU)[0], label_batch(2, (36, 48), 4, CPU))
    assert model.turn.grad is not None
    end_to_end_pass(model.eval(), host_images(1, (36, 48)), CPU, "fp32").run()
