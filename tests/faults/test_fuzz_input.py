"""What is typed, and what the code of a plugin gives: a valid result or one of our errors."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from torch import nn

from architectures.architecture_info import ArchitectureError
from architectures.external import plugins
from architectures.external.wrapper import PluginNetwork
from datasets import DatasetError
from datasets.plugins import Declaration, Plugin
from harness.config.protocol import Protocol, load_protocol, parse_size, parse_toml, validated
from harness.config.suite import Suite
from harness.system.errors import UserError
from harness.system.signals import parse_time
from tests.faults.fuzzing import bounded, changes, result_of

PROTOCOLS = Path(__file__).resolve().parent.parent.parent / "harness" / "config" / "protocols"
WORDS = [
    "size",
    "lr",
    "batch_size",
    "report_at",
    "nan",
    "inf",
    "-1",
    "1e999",
    "''",
    "[]",
    "{}",
    "true",
    "=",
    "\n",
    "0x",
]


def read_protocol(content: bytes) -> Protocol:
    return validated(Protocol, {"name": "x", **parse_toml(content, "protocol x", "x.toml")}, "protocol x")


@given(change=changes(), word=st.sampled_from(WORDS), place=st.floats(0, 1), lines=st.integers(0, 40))
@settings(bounded, max_examples=400)
def test_protocols(change: Callable[[bytes], bytes], word: str, place: float, lines: int) -> None:
    text = (PROTOCOLS / "quick@2.toml").read_bytes()
    at = int(place * len(text))
    mistyped = text[:at] + word.encode() + text[at:]
    for content in (change(text), mistyped, b"\n".join(text.splitlines()[:lines])):
        protocol = result_of(partial(read_protocol, content), UserError)
        assert protocol is None or (protocol.evaluation_points() and protocol.lr > 0)


@given(
    values=st.dictionaries(
        st.sampled_from([*Suite.model_fields, "other"]),
        st.one_of(st.none(), st.text(), st.lists(st.text()), st.integers()),
    )
)
@bounded
def test_suites(values: dict[str, object]) -> None:
    result_of(lambda: validated(Suite, {"name": "x", **values}, "suite x"), UserError)


@given(text=st.one_of(st.text(), st.from_regex(r"\d+[xX]\d+"), st.from_regex(r"\d+[smh]")))
@settings(bounded, max_examples=300)
def test_sizes_and_times(text: str) -> None:
    result_of(lambda: parse_size(text), UserError)
    result_of(lambda: parse_time(text, "budget"), UserError)


@given(changed=st.dictionaries(st.sampled_from([*Protocol.model_fields, "other"]), st.text(max_size=12), max_size=3))
@settings(bounded, max_examples=300)
def test_overrides(changed: dict[str, str]) -> None:
    result_of(lambda: load_protocol("quick@2").override(changed), UserError)


# -- what plugins give --------------------------------------------------------------------------------------


def outputs() -> st.SearchStrategy[Any]:
    """What a network may return: tensors of any shape and type, alone or within what libraries return."""
    types = [torch.float32, torch.float64, torch.float16, torch.int64, torch.bool, torch.complex64]
    shapes = st.one_of(st.just([2, 3, 32, 40]), st.lists(st.integers(0, 5), max_size=5))
    tensors = st.builds(lambda shape, dtype: torch.zeros(shape, dtype=dtype), shapes, st.sampled_from(types))
    others = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.just(object()))
    keys = st.one_of(st.sampled_from(["out", "logits", "aux"]), st.integers(), st.none())
    return st.recursive(
        st.one_of(tensors, others),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.tuples(inner), st.dictionaries(keys, inner, max_size=3)
        ),
        max_leaves=4,
    )


class Giving(nn.Module):
    """Returns what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.output: Any = None

    def forward(self, images: torch.Tensor) -> Any:
        return self.output


def giving(num_classes: int) -> nn.Module:
    """As a plugin's function."""
    return Giving()


@pytest.fixture(scope="module")
def network() -> PluginNetwork:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(plugins.VARIABLE, f"{__name__}:giving")
        info = plugins.find("giving")
    assert info is not None
    return PluginNetwork(info, 3, (32, 40))


@given(output=outputs())
@bounded
def test_outputs_of_a_network(network: PluginNetwork, output: Any) -> None:
    network.network.output = output  # type: ignore[assignment]
    logits = result_of(lambda: network(torch.zeros(2, 3, 32, 40)), ArchitectureError)
    assert logits is None or (logits.shape == (2, 3, 32, 40) and logits.is_floating_point())


ARRAYS = st.one_of(
    st_numpy.arrays(np.uint8, st_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)),
    st_numpy.arrays(st.sampled_from([np.uint8, np.int64, np.float32]), st.sampled_from([(4, 4), (4, 4, 3)])),
)
ITEMS = st.one_of(st.tuples(ARRAYS, ARRAYS), ARRAYS, st.none(), st.lists(st.one_of(ARRAYS, st.text()), max_size=3))


@given(item=ITEMS)
@bounded
def test_items_of_a_dataset(item: Any) -> None:
    plugin = Plugin("given", "here:given", lambda split, root: [item], Declaration(classes=("a", "b")))
    pair = result_of(lambda: plugin.checked(plugin.items("train", None), "train", 0), DatasetError)
    if pair is not None:
        image, label = pair
        assert image.dtype == label.dtype == np.uint8 and image.shape == (*label.shape, 3)
        assert np.isin(label, (0, 1, 255)).all()
