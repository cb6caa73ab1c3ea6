"""Trained models in other formats, each with what it computes otherwise than torch, written beside it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

import architectures
from architectures.base import Architecture
from architectures.pooling import IndexPool
from harness.deploy import runtimes
from harness.deploy.parity import OnImages, Parity, Val, parity
from harness.deploy.runtimes import Call, quiet, reason_of
from harness.deploy.weights import ModelConfig, Source
from harness.system.errors import UserError
from harness.system.files import write_atomically
from harness.system.quantities import Frozen

Format = Literal["onnx", "openvino", "torch-export"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torch-export": ".pt2"}


class Exported(Frozen):
    """The sidecar of an exported file, or the row of a model that can't be exported."""

    name: str
    format: Format
    dynamic: bool
    file: str | None = None
    file_bytes: int | None = None
    failure: str | None = None
    parity: Parity | None = None
    config: ModelConfig


class WithCodes(nn.Module):
    """A model that gives its pooling codes beside the logits: (logits, codes of each pooling in turn)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        codes: list[Tensor] = []
        pools = [module for module in self.model.modules() if isinstance(module, IndexPool)]
        hooks = [pool.register_forward_hook(lambda _, __, found: codes.append(found[1].indices)) for pool in pools]
        try:
            logits = self.model(images)
        finally:
            for hook in hooks:
                hook.remove()
        return (logits, *codes)


def has_codes(model: Architecture) -> bool:
    """Whether a model's decoder unpools with pooling codes; runs its encoder once."""
    with torch.inference_mode():
        kept = model.kept_for_decoder(torch.zeros(1, 3, *model.image_size))
    return any(not tensor.is_floating_point() for stage in kept for tensor in stage)


def exported_program(model: nn.Module, size: tuple[int, int], dynamic: bool) -> torch.export.ExportedProgram:
    """The model's graph for one image (1, 3, *size); dynamic: for one image of any size.

    Raises:
        runtimes.FAILURES: whatever torch says of a model that it can't export.
    """
    import torch.fx.experimental._config as symbolic_shapes

    shapes: Any = None
    height, width = size
    if dynamic:
        height, width = height + 5, width + 3  # odd sizes as a rule, so that no special case settles in the graph
        shapes = ({axis: torch.export.Dim.DYNAMIC for axis in (2, 3)},)
    example = torch.zeros(1, 3, height, width)
    # sizes are then not asked whether they make a tensor contiguous, which would bind the graph to the answer
    settled = symbolic_shapes.patch(backed_size_oblivious=dynamic)  # type: ignore[attr-defined]
    with torch.no_grad(), quiet(), settled:
        return torch.export.export(model, (example,), dynamic_shapes=shapes, strict=False)


def save_as(program: torch.export.ExportedProgram, kind: Format, path: Path) -> None:
    """Write a graph in a format; several files where the format has several.

    Raises:
        runtimes.FAILURES: whatever the exporter says.
    """
    if kind == "torch-export":
        torch.export.save(program, path)
        return
    with quiet():
        found = torch.onnx.export(program, input_names=["images"], dynamo=True, verbose=False)
        assert found is not None, "the exporter of torch.export's graphs returns a program"
        if kind == "onnx":
            found.save(path)
            return
        import openvino

        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            found.save(Path(folder) / "model.onnx")
            converted = openvino.convert_model(Path(folder) / "model.onnx")
            openvino.save_model(converted, path, compress_to_fp16=False)
            del converted  # it maps the file


def call_of(kind: Format, path: Path, threads: int) -> Call:
    """The exported file as a call."""
    if kind == "onnx":
        return runtimes.onnxruntime_call(path, threads)
    if kind == "openvino":
        return runtimes.openvino_call(path, threads)
    return runtimes.torch_call(torch.export.load(path).module())


def check_free(sources: Sequence[Source], kinds: Sequence[Format], output: Path, dynamic: bool) -> None:
    """Refuse to export over files, before the first of them is made.

    Raises:
        UserError: a file that is there already, or its sidecar.
    """
    for source in sources:
        for kind in kinds:
            target = output / _file_name(source, kind, dynamic)
            for path in (target, target.with_name(f"{target.name}.json")):
                if path.exists():
                    raise UserError(f"{path} is there already; choose another --output, or --force to replace it")


def _file_name(source: Source, kind: Format, dynamic: bool) -> str:
    return f"{source.name}{'-dynamic' if dynamic else ''}{SUFFIXES[kind]}"


def export(
    source: Source,
    model: Architecture,
    kind: Format,
    output: Path,
    *,
    dynamic: bool,
    val: Val,
    on_images: OnImages = lambda images: None,
) -> Exported:
    """Export a model and compare the file with it; the file, and its sidecar `<file>.json`, are then in place.

    Files of these names are replaced. The model is on the CPU; mIoU is taken on val, before and after.

    Raises:
        UserError: a folder that can't be written.
    """
    name = _file_name(source, kind, dynamic)
    row = Exported(name=source.name, format=kind, dynamic=dynamic, config=source.config)
    if dynamic and architectures.info(source.config.architecture).fixed_size:
        return row.model_copy(update={"failure": "works for one size only; export it without --dynamic"})
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output, prefix=".export-") as folder:
            path = Path(folder) / name
            try:
                save_as(exported_program(model, source.config.image_size, dynamic), kind, path)
                found = parity(source, model, call_of(kind, path, torch.get_num_threads()), dynamic, val, on_images)
            except runtimes.FAILURES as error:
                return row.model_copy(update={"failure": reason_of(error)})
            files = list(Path(folder).iterdir())
            size = sum(file.stat().st_size for file in files)
            for file in files:
                os.replace(file, output / file.name)
    except OSError as error:
        raise UserError(f"can't write {output}: {error.strerror}; choose another --output") from error
    done = row.model_copy(update={"file": name, "file_bytes": size, "parity": found})
    write_atomically(output / f"{name}.json", f"{done.model_dump_json(indent=1)}\n".encode())
    return done
