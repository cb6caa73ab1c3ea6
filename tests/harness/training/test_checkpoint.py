"""Checkpoints: whole or not there, the previous one behind the latest, damage seen."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from harness.system.errors import UserError
from harness.system.files import replacing
from harness.training.checkpoint import (
    are_finite,
    load_checkpoint,
    load_weights,
    previous,
    save_checkpoint,
    save_weights,
)


def save(path: Path, number: int) -> None:
    save_checkpoint(path, tensors={"weights": torch.full((1000,), float(number))}, values={"number": number})


def number_in(path: Path, damaged: list[str] | None = None) -> int | None:
    stored = load_checkpoint(path, (damaged if damaged is not None else []).append)
    if stored is None:
        return None
    tensors, values = stored
    assert torch.equal(tensors["weights"], torch.full((1000,), float(values["number"])))
    number: int = values["number"]
    return number


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1  # among the weights
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def test_the_latest_is_read_and_the_one_before_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "run" / "checkpoint.pt"
    assert load_checkpoint(path) is None
    for number in (1, 2, 3):
        save(path, number)
    assert number_in(path) == 3
    assert number_in(previous(path)) == 2
    assert sorted(file.name for file in path.parent.iterdir()) == ["checkpoint-previous.pt", "checkpoint.pt"]


@pytest.mark.parametrize("damage", [flip_a_bit, cut, empty])
def test_a_damaged_one_is_named_and_the_previous_one_used(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "checkpoint.pt"
    save(path, 1)
    save(path, 2)
    damage(path)  # type: ignore[operator]
    lines: list[str] = []
    assert number_in(path, lines) == 1
    assert len(lines) == 1 and lines[0].startswith(f"{path}: damaged checkpoint")
    damage(previous(path))  # type: ignore[operator]
    assert number_in(path) is None


def test_between_the_two_moves_the_previous_one_is_there(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save(path, 1)
    path.replace(previous(path))  # as a kill between them leaves it
    assert number_in(path) == 1


def test_pickled_code_is_not_carried_out(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (mark,))

    path = tmp_path / "checkpoint.pt"
    torch.save({"tensors": Evil(), "values": "{}"}, path)
    assert load_checkpoint(path) is None
    assert not mark.exists()


def tied() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1))
    model[1].weight = model[0].weight
    return model


def overlapping() -> nn.Module:
    """Buffers that are parts of one memory, the second not contiguous."""
    model, base = nn.Conv2d(2, 2, 1), torch.arange(12.0).view(3, 4)
    model.register_buffer("rows", base[:2])
    model.register_buffer("columns", base.T[1:])
    return model


def complex_numbers() -> nn.Module:
    model = nn.Conv2d(2, 2, 1)
    model.filter = nn.Parameter(torch.randn(3, dtype=torch.complex64))
    return model


@pytest.mark.parametrize("make", [tied, overlapping, complex_numbers])
def test_weights_of_all_kinds_come_back(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    one, other = make(), make()
    sha256 = save_weights(tmp_path / "weights", one)
    load_weights(tmp_path / "weights", other, sha256)
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    assert all(torch.equal(left, right) for left, right in pairs)


@pytest.mark.parametrize(
    ("name", "value"),
    [("sparse", torch.eye(2).to_sparse()), ("complex128", torch.zeros(1, dtype=torch.complex128))],
)
def test_weights_that_no_file_holds_are_no_error_of_the_system(name: str, value: torch.Tensor, tmp_path: Path) -> None:
    model = nn.Conv2d(2, 2, 1)
    model.register_buffer("table", value)
    with pytest.raises(ValueError, match=name):
        save_weights(tmp_path / "weights", model)
    assert list(tmp_path.iterdir()) == []


def test_only_what_the_disk_refuses_is_the_disks(tmp_path: Path) -> None:
    for error in (RuntimeError("of a network"), OSError(28, "No space left on device")):
        with pytest.raises(UserError if isinstance(error, OSError) else RuntimeError), replacing(tmp_path / "x", ""):
            raise error
    assert list(tmp_path.iterdir()) == []


def test_a_mask_of_infinities_is_no_weight_that_diverged() -> None:
    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
    model.register_buffer("mask", torch.full((2, 2), -torch.inf))
    assert are_finite(model)
    model[1].running_var.fill_(torch.nan)
    assert not are_finite(model)
    model[1].running_var.fill_(1.0)
    model[0].bias.data[0] = torch.inf
    assert not are_finite(model)
