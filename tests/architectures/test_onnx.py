"""Export to ONNX with standard operators, run by onnxruntime, against torch."""

import io
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.fx.experimental._config as symbolic_shapes
from torch import Tensor, nn

import architectures
from architectures.pooling import STORAGES, Storage
from tests.architectures.networks import Pair

pytestmark = pytest.mark.filterwarnings("ignore")


def exported(module: nn.Module, x: Tensor) -> onnx.ModelProto:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(module.eval(), (x,), dynamo=True, verbose=False)
    assert program is not None
    return program.model_proto


def run(model: onnx.ModelProto, x: Tensor) -> list[np.ndarray]:
    target = io.BytesIO()
    onnx.save(model, target)
    session = onnxruntime.InferenceSession(target.getvalue(), providers=["CPUExecutionProvider"])
    # the exporter drops an input that nothing depends on, or keeps it
    found: list[np.ndarray] = session.run(None, {one.name: x.numpy() for one in session.get_inputs()})
    return found


@pytest.mark.parametrize("storage", STORAGES)
def test_the_pair_is_exported_with_standard_operators(storage: Storage) -> None:
    x = torch.randint(-1, 3, (2, 6, 23, 31)).float()
    model = exported(Pair(storage), x)
    assert {node.domain for node in model.graph.node} == {""}
    assert not model.functions
    operators = {node.op_type for node in model.graph.node}
    # torch's own pair becomes a second MaxPool for the offsets and a scatter; codes need neither
    assert ("ScatterND" in operators) == (storage == "int64")
    for ours, theirs in zip(run(model, x), Pair(storage)(x), strict=True):
        assert np.array_equal(ours, theirs.numpy())


def test_the_pair_is_exported_for_any_size() -> None:
    x, shapes = torch.randn(1, 6, 23, 31), ({2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC},)
    with symbolic_shapes.patch(backed_size_oblivious=True):
        program = torch.export.export(Pair("uint8"), (x,), dynamic_shapes=shapes).module()
    for size in ((23, 31), (24, 32), (17, 40)):
        other = torch.randn(1, 6, *size)
        for ours, theirs in zip(program(other), Pair("uint8")(other), strict=True):
            assert torch.equal(ours, theirs)


def with_whole_numbers(network: nn.Module) -> nn.Module:
    """Sparse weights of -1, 0 and 1, so that float32 sums are exact in any order.

    Otherwise two libraries' rounding would choose other maxima where two cells are all but equal, and nothing
    after that could be compared.
    """
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim == 4:
                parameter.copy_(parameter.sign() * (torch.rand_like(parameter) < 0.01))
            elif name.endswith("bias"):
                parameter.zero_()
    return network


@pytest.mark.parametrize(
    "name", ["segnet-basic", pytest.param("segnet-basic-encoder-addition", marks=pytest.mark.slow)]
)
def test_a_network_exports_at_an_odd_size(name: str) -> None:
    torch.manual_seed(0)
    network = with_whole_numbers(architectures.build(name, 4, (37, 45))).eval()
    x = torch.randint(-4, 5, (1, 3, 37, 45)).float()
    model = exported(network, x)
    assert {node.domain for node in model.graph.node} == {""}
    with torch.no_grad():
        logits = network(x).numpy()
    assert logits.std() > 0
    assert np.array_equal(run(model, x)[0], logits)
