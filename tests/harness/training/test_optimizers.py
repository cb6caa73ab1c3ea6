"""Every optimizer that a protocol can name, over the model's groups of parameters."""

import copy
import re
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name

import pytest
import timm.optim
import torch
from torch import Tensor, nn

from harness.config.optimizers import LR_SCHEDULERS, OPTIMIZERS
from harness.config.protocol import Protocol
from harness.training import lr_schedulers
from harness.training.checkpoint import load_checkpoint, save_checkpoint
from harness.training.optimizers import build_optimizer, parameter_groups, restore_state, set_rate
from tests.harness.helpers import tiny_protocol

ROOT = Path(__file__).resolve().parents[3]
RATE = 0.01


def protocol(name: str, **changes: str) -> Protocol:
    momentum = "0" if OPTIMIZERS[name].momentum is None else "0.8"
    return tiny_protocol(
        **{"optimizer": name, "momentum": momentum, "weight_decay": "0.05", "bias_lr_mult": "3", **changes}
    )


def model() -> nn.Sequential:
    """Two convolutions with a norm between them, the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
        nn.init.normal_(made[1].bias)  # type: ignore[arg-type]
    return made


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, rates: list[float], first: int = 0) -> None:
    """Steps with gradients that depend on nothing but the number of the step."""
    for number, rate in enumerate(rates, start=first):
        draw = torch.Generator().manual_seed(number)
        for parameter in model.parameters():
            # laid out as the parameter, as autograd gives them
            parameter.grad = torch.empty_like(parameter).copy_(torch.randn(parameter.shape, generator=draw))
        set_rate(optimizer, rate)
        optimizer.step()


def values(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_its_class_is_there_and_is_what_timm_means_by_the_name(name: str) -> None:
    found = resolve_name(OPTIMIZERS[name].target)
    assert issubclass(found, torch.optim.Optimizer)
    if name in timm.optim.list_optimizers():
        assert timm.optim.get_optimizer_info(name).opt_class is found


@pytest.mark.parametrize("name", ["sgd", "adamw", "lion"])
@pytest.mark.parametrize("layouts", [(torch.contiguous_format, torch.channels_last), (torch.channels_last,) * 2])
def test_a_state_of_another_layout_goes_on_as_it_was(name: str, layouts: tuple[torch.memory_format, ...]) -> None:
    """As a run begun on one device and gone on with on another."""
    undisturbed = model()
    optimizer = build_optimizer(undisturbed, protocol(name))
    steps(undisturbed, optimizer, [RATE] * 4)
    first, second = (model().to(memory_format=layout) for layout in layouts)
    before = build_optimizer(first, protocol(name))
    steps(first, before, [RATE] * 2)
    second.load_state_dict(first.state_dict())
    after = build_optimizer(second, protocol(name))
    restore_state(after, copy.deepcopy(before.state_dict()))
    steps(second, after, [RATE] * 2, first=2)
    for key, value in values(undisturbed).items():
        torch.testing.assert_close(values(second)[key], value)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_it_trains_the_three_groups_at_their_rates(name: str) -> None:
    trained = model()
    optimizer = build_optimizer(trained, protocol(name))
    groups = optimizer.param_groups
    assert [(group["weight_decay"], group["factor"]) for group in groups] == [(0.05, 1.0), (0.0, 1.0), (0.0, 3.0)]
    assert [len(group["params"]) for group in groups] == [3, 1, 2]
    start = values(trained)
    steps(trained, optimizer, [0.0, 0.0])
    # at rate 0 nothing moves, but by the 1e-6 that MADGRAD adds to the rate
    assert all(torch.allclose(value, start[key], atol=1e-3) for key, value in values(trained).items())
    before = values(trained)
    steps(trained, optimizer, [RATE] * 3, first=2)
    assert [group["lr"] for group in groups] == pytest.approx([RATE, RATE, 3 * RATE])
    for key, value in values(trained).items():
        assert value.isfinite().all() and not torch.equal(value, before[key]), key


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_weight_decay_and_momentum_are_the_protocol_s(name: str) -> None:
    changes: list[dict[str, str]] = [{}, {"weight_decay": "0"}]
    changes += [{"momentum": "0.5"}] if OPTIMIZERS[name].momentum else []
    found = []
    for change in changes:
        trained = model()
        steps(trained, build_optimizer(trained, protocol(name, **change)), [RATE] * 4)
        found.append(values(trained))
    plain, undecayed, *slower = found
    assert not torch.equal(plain["0.weight"], undecayed["0.weight"])
    assert torch.equal(plain["0.bias"], undecayed["0.bias"])
    assert not any(torch.equal(plain["0.weight"], other["0.weight"]) for other in slower)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_it_goes_on_from_a_checkpoint_to_the_bit(name: str, tmp_path: Path) -> None:
    undisturbed, stopped = model(), model()
    steps(undisturbed, build_optimizer(undisturbed, protocol(name)), [RATE, RATE / 2, RATE / 3])
    first = build_optimizer(stopped, protocol(name))
    steps(stopped, first, [RATE])
    save_checkpoint(tmp_path / "checkpoint.pt", tensors={"optimizer": first.state_dict()}, values={})
    stored = load_checkpoint(tmp_path / "checkpoint.pt")
    assert stored is not None
    resumed = copy.deepcopy(stopped)
    second = build_optimizer(resumed, protocol(name))
    second.load_state_dict(stored[0]["optimizer"])
    steps(resumed, second, [RATE / 2, RATE / 3], first=1)
    expected = values(undisturbed)
    assert all(torch.equal(value, expected[key]) for key, value in values(resumed).items())


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_it_keeps_as_many_tensors_as_it_says(name: str) -> None:
    trained = model()
    optimizer = build_optimizer(trained, protocol(name))
    steps(trained, optimizer, [RATE] * 2)
    weight = trained[0].weight
    state = [value for value in optimizer.state[weight].values() if isinstance(value, Tensor)]
    assert sum(value.numel() == weight.numel() for value in state) == OPTIMIZERS[name].states


def test_the_papers_and_adamw_are_torchs_fused_ones() -> None:
    sgd = build_optimizer(model(), protocol("sgd"))
    assert type(sgd) is torch.optim.SGD
    assert (sgd.defaults["momentum"], sgd.defaults["fused"], sgd.defaults["nesterov"]) == (0.8, True, False)
    adamw = build_optimizer(model(), protocol("adamw"))
    assert type(adamw) is torch.optim.AdamW
    assert (adamw.defaults["betas"], adamw.defaults["fused"], adamw.defaults["eps"]) == ((0.8, 0.999), True, 1e-8)
    adan = build_optimizer(model(), protocol("adan"))
    assert adan.defaults["betas"] == (0.8, 0.92, 0.99)


@pytest.mark.parametrize("name", ["sgd", "adamw", "adam"])
def test_complex_parameters_are_trained(name: str) -> None:
    model = nn.Module()
    model.weight = nn.Parameter(torch.tensor([1 + 1j]))
    optimizer = build_optimizer(model, protocol(name))
    model.weight.grad = torch.tensor([1 - 1j])
    optimizer.step()
    assert model.weight.real < 1 and model.weight.imag > 1


def test_a_parameter_that_two_modules_share_is_trained_once() -> None:
    first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    second.weight = first.weight
    tied = nn.Sequential(first, second)
    plain = protocol("sgd", momentum="0", weight_decay="0")
    optimizer = build_optimizer(tied, plain)
    assert [len(group["params"]) for group in optimizer.param_groups] == [1]
    start = first.weight.detach().clone()
    first.weight.grad = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    set_rate(optimizer, 0.5)
    optimizer.step()
    assert torch.equal(first.weight.detach(), start - 0.5 * first.weight.grad)


def test_a_shared_bias_is_in_the_group_of_its_first_module() -> None:
    first, second = nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)
    second.bias = first.bias  # type: ignore[assignment]
    groups = parameter_groups(nn.Sequential(first, second), protocol("sgd"))
    assert [len(group["params"]) for group in groups] == [2, 1]
    assert groups[1]["factor"] == 3.0


def test_every_lr_scheduler_is_there() -> None:
    for name in LR_SCHEDULERS:
        assert LR_SCHEDULERS[name] is getattr(lr_schedulers, name.replace("-", "_"))


def test_one_row_adds_an_optimizer(tmp_path: Path) -> None:
    """As CONTRIBUTING.md says, with the row that it shows."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Add an optimizer")[2]
    shown = re.search(r"`(harness/\S+\.py)`.*?```python\n(.*?)```", text, re.DOTALL)
    assert shown is not None
    assert shown[1] == "harness/config/optimizers.py"
    path, before = tmp_path / "optimizers.py", '    "optimizer",\n    [\n'
    source = (ROOT / shown[1]).read_text("utf-8")
    assert source.count(before) == 1
    path.write_text(source.replace(before, f"{before}{shown[2].strip()},"), "utf-8")
    code = f"""
import sys
import harness.config
harness.config.__path__.insert(0, {str(tmp_path)!r})
from harness.config.protocol import load_protocol
protocol = load_protocol("quick@2").override({{"optimizer": "asgd", "momentum": "0"}})
assert "torch" not in sys.modules
from torch import nn
from harness.training.optimizers import build_optimizer
assert type(build_optimizer(nn.Conv2d(1, 1, 1), protocol)).__name__ == "ASGD"
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
