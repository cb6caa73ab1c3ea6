"""`harness check`: does an architecture keep the contract that the harness relies on?"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

import architectures
from harness.loss import masked_cross_entropy
from harness.run_record import parameter_count

CLASSES = 11
SIZE = (64, 96)
ODD_SIZE = (61, 83)


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """One thing that was tried."""

    name: str
    passed: bool
    found: str


def check_architecture_contract(name: str, device: str) -> list[CheckResult]:
    """Try an architecture on random input: shapes, an odd size, two training steps, gradients, determinism.

    Args:
        name: a registered architecture.
        device: `cpu` or `cuda`.

    Returns:
        what was tried, in order; an exception in one is its finding and does not stop the others.
    """
    tries: list[tuple[str, Callable[[str, torch.device], str]]] = [
        ("output shape", lambda n, d: _shape(n, SIZE, d)),
        ("odd size", lambda n, d: _shape(n, ODD_SIZE, d)),
        ("two training steps", _training),
        ("same input, same output", _deterministic),
    ]
    return [_attempt(title, attempt, name, torch.device(device)) for title, attempt in tries]


def _attempt(
    title: str, attempt: Callable[[str, torch.device], str], name: str, device: torch.device
) -> CheckResult:
    try:
        return CheckResult(name=title, passed=True, found=attempt(name, device))
    except (
        AssertionError,
        ArithmeticError,
        RuntimeError,
        TypeError,
        ValueError,
        IndexError,
        KeyError,
    ) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        return CheckResult(name=title, passed=False, found=text[:200])


def _build(name: str, size: tuple[int, int], device: torch.device) -> nn.Module:
    torch.manual_seed(0)
    return architectures.build(name, CLASSES, size).to(device)


def _input(batch: int, size: tuple[int, int], device: torch.device) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 3, *size, generator=generator).to(device)


def _shape(name: str, size: tuple[int, int], device: torch.device) -> str:
    model = _build(name, size, device).eval()
    with torch.inference_mode():
        logits = model(_input(2, size, device))
    stride = architectures.info(name).output_stride
    expected = (2, CLASSES, math.ceil(size[0] / stride), math.ceil(size[1] / stride))
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != expected:
        got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise AssertionError(f"logits are {got}, declared output stride {stride} asks for {expected}")
    if not torch.isfinite(logits).all():
        raise ArithmeticError("logits are not finite")
    return f"{size[0]} x {size[1]} -> {expected[2]} x {expected[3]}, {parameter_count(model):,} parameters"


def _training(name: str, device: torch.device) -> str:
    model = _build(name, SIZE, device).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    losses = []
    for step in range(2):
        logits = model(_input(2, SIZE, device))
        generator = torch.Generator().manual_seed(step)
        target = torch.randint(0, CLASSES, (2, *logits.shape[2:]), generator=generator).to(device)
        loss = masked_cross_entropy(logits, target)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss))
    missing = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    broken = [n for n, p in model.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    if missing or broken or not all(math.isfinite(loss) for loss in losses):
        raise ArithmeticError(
            f"losses {losses}; no gradient: {missing[:3] or 'none'}; not finite: {broken[:3] or 'none'}"
        )
    return f"losses {losses[0]:.3f}, {losses[1]:.3f}; every parameter has a finite gradient"


def _deterministic(name: str, device: torch.device) -> str:
    outputs = []
    for _ in range(2):
        model = _build(name, SIZE, device).eval()
        with torch.inference_mode():
            outputs.append(model(_input(1, SIZE, device)))
    if not torch.equal(outputs[0], outputs[1]):
        raise AssertionError("two networks built under one seed differ")
    return "two networks built under one seed agree to the bit"
