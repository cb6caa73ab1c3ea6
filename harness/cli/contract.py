"""Does an architecture keep the contract that the harness relies on, and does it go through a run?

Made for networks from elsewhere: each thing that fails says what was found and, where it is likely, the cure.
"""

import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

import architectures
from harness.cli.trial import CLASSES, Trial
from harness.config.run_spec import Precision
from harness.profiling.flops import count
from harness.system.environment import Device
from harness.system.errors import UserError, message_of
from harness.training.losses.cross_entropy import masked_cross_entropy
from harness.training.run_record import parameter_count

SIZE = (64, 96)
ODD_SIZE = (61, 83)
OPTIMIZERS = ("adamw", "sgd")  # of the protocols here
# Cures of a network from elsewhere, by what was tried.
_CURES = {
    "odd size": "if it wants multiples of a number, tell it: @architectures.declare(divisor=32)",
    "each image by itself": "in evaluation mode an image's logits must not depend on the others of its batch",
    "logits, not probabilities": "take softmax out: the loss takes it",
    "same seed, same network": "draw parameters from torch's global generator, and nothing in evaluation mode",
    "save and load": "register what belongs to the network as parameters or buffers",
    "trained": "its parameters must be of kinds that the optimizer takes, and its code must run in training mode",
    "gone on with": "what changes in training must be parameters or buffers, dense and each with memory of its own",
    "scored": "its code must run in evaluation mode, on one image and on several, and without gradients",
    "weights read again": "parameters and buffers must be all that it is, of types that safetensors has",
}


class CheckResult(NamedTuple):
    """One thing that was tried."""

    name: str
    passed: bool
    found: str


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """What is tried: the architecture, the size (H, W) of its images and the device."""

    name: str
    size: tuple[int, int]
    device: torch.device
    precision: Precision

    def network(self, size: tuple[int, int] | None = None, seed: int = 0) -> nn.Module:
        """The network drawn under the seed, in evaluation mode."""
        torch.manual_seed(seed)
        return architectures.build(self.name, CLASSES, size or self.size).to(self.device).eval()

    def images(self, batch: int, size: tuple[int, int] | None = None) -> Tensor:
        """Noise (B, 3, H, W), always the same."""
        generator = torch.Generator().manual_seed(1)
        return torch.randn(batch, 3, *(size or self.size), generator=generator).to(self.device)


def check_architecture_contract(name: str, device: Device, precision: Precision = "fp32") -> list[CheckResult]:
    """Try an architecture on random input: shapes, an odd size, training, determinism, saving, counting, whole runs.

    An exception in one is its finding and does not stop the others, but where the network can't be built nothing else
    is tried, and without logits no run. UserError: there is no room for what a run writes.
    """
    least = architectures.info(name).min_size
    height, width = (max(side, least) for side in SIZE)
    odd_height, odd_width = (side if side >= least else least + 13 for side in ODD_SIZE)
    subject = _Subject(name=name, size=(height, width), device=torch.device(device), precision=precision)
    tries: list[tuple[str, Callable[[_Subject], str]]] = [
        ("output shape", lambda one: _shape(one, one.size)),
        ("odd size", lambda one: _shape(one, (odd_height, odd_width))),
        ("logits, not probabilities", _logits),
        ("each image by itself", _by_itself),
        ("two training steps", _training),
        ("same seed, same network", _deterministic),
        ("save and load", _saved),
        ("counted on shapes", _counted),
    ]
    built = _attempt("built", _built, subject)
    if not built.passed:
        return [built]
    results = [built, *(_attempt(title, attempt, subject) for title, attempt in tries)]
    if results[1].passed:
        results += [result for optimizer in OPTIMIZERS for result in _as_run(subject, device, optimizer)]
    return results


def _as_run(subject: _Subject, device: Device, optimizer: str) -> Iterator[CheckResult]:
    """What `run` does with it, a step at a time, up to the first that fails."""
    with tempfile.TemporaryDirectory(prefix="segnet-harness-") as folder:
        trial = Trial(subject.name, subject.size, device, subject.precision, optimizer, Path(folder))
        steps = {
            "trained": trial.train,
            "gone on with": trial.go_on,
            "scored": trial.score,
            "weights read again": trial.read_again,
        }
        for title, step in steps.items():
            result = _attempt(f"{title} ({optimizer})", lambda _, step=step: step(), subject)  # type: ignore[misc]
            yield result
            if not result.passed:
                return


def _attempt(title: str, attempt: Callable[[_Subject], str], subject: _Subject) -> CheckResult:
    try:
        return CheckResult(name=title, passed=True, found=attempt(subject))
    except UserError:  # of the system
        raise
    except (Exception, SystemExit) as error:  # a stranger's code may raise anything: it becomes the finding
        text = message_of(error)[:300]
        ours = type(error) in (AssertionError, ArithmeticError, architectures.ArchitectureError)
        found = text if ours else f"{type(error).__name__}: {text}"
        cure = _CURES.get(title.partition(" (")[0])
        if cure and architectures.info(subject.name).wraps:
            found += f" ({cure})"
        return CheckResult(name=title, passed=False, found=found)


def _built(subject: _Subject) -> str:
    number = parameter_count(subject.network())
    if number == 0:
        raise AssertionError("it has no parameters to train")
    return f"{number:,} parameters"


def _shape(subject: _Subject, size: tuple[int, int]) -> str:
    with torch.inference_mode():
        logits = subject.network(size)(subject.images(2, size))
    rows, columns = architectures.info(subject.name).output_size(*size)
    expected = (2, CLASSES, rows, columns)
    if not isinstance(logits, Tensor) or tuple(logits.shape) != expected:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise AssertionError(f"logits are {got}, its output stride asks for {expected}")
    if not logits.is_floating_point() or not torch.isfinite(logits).all():
        raise ArithmeticError(f"logits ({logits.dtype}) are not finite numbers")
    return f"{size[0]} x {size[1]} -> {rows} x {columns}"


def _logits(subject: _Subject) -> str:
    with torch.inference_mode():
        logits = subject.network()(subject.images(2)).float()
    low, high, sums = float(logits.min()), float(logits.max()), logits.sum(1)
    if low >= 0 and high <= 1 and torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        raise AssertionError("over the classes the output of each pixel adds up to 1, as probabilities do")
    return f"from {low:.3g} to {high:.3g}"


def _by_itself(subject: _Subject) -> str:
    network, images = subject.network(), subject.images(2)
    with torch.inference_mode():
        together, alone = network(images)[1:], network(images[1:])
    largest = float((together - alone).abs().max())
    if not torch.allclose(together, alone, rtol=1e-2, atol=1e-3):
        raise AssertionError(f"logits of an image differ by up to {largest:.3g} with another beside it")
    return f"logits of an image alone and beside another differ by {largest:.2g} at most"


def _training(subject: _Subject) -> str:
    model = subject.network().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    losses = []
    for step in range(2):
        logits = model(subject.images(2))
        generator = torch.Generator().manual_seed(step)
        target = torch.randint(0, CLASSES, (2, *logits.shape[2:]), generator=generator).to(subject.device)
        loss = masked_cross_entropy(logits, target)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    idle = {n: p.numel() for n, p in model.named_parameters() if p.requires_grad and p.grad is None}
    broken = [n for n, p in model.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    if broken or not all(math.isfinite(loss) for loss in losses):
        raise ArithmeticError(f"losses {losses}; gradients that are not finite: {broken[:3] or 'none'}")
    if idle:
        raise AssertionError(
            f"{sum(idle.values()):,} of {parameter_count(model):,} parameters take no part (no gradient), "
            f"such as {', '.join(list(idle)[:3])}"
        )
    return f"losses {losses[0]:.3f}, {losses[1]:.3f}; every parameter has a finite gradient"


def _deterministic(subject: _Subject) -> str:
    with torch.inference_mode():
        outputs = [subject.network()(subject.images(1)) for _ in range(2)]
    if not torch.equal(outputs[0], outputs[1]):
        raise AssertionError("two networks built under one seed differ")
    return "two networks built under one seed agree to the bit"


def _saved(subject: _Subject) -> str:
    first, second = subject.network(seed=0), subject.network(seed=1)
    second.load_state_dict(first.state_dict())
    with torch.inference_mode():
        same = torch.equal(first(subject.images(1)), second(subject.images(1)))
    if not same:
        raise AssertionError("a network that was given another's state_dict gives other logits")
    return "its state_dict holds all that it is"


def _counted(subject: _Subject) -> str:
    found = count(lambda: architectures.build(subject.name, CLASSES, subject.size), subject.size)
    return f"{found.gmacs:.3g} GMACs for {subject.size[0]} x {subject.size[1]}"
