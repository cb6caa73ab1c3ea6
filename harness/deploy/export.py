"""Trained models in other formats, each with what it computes otherwise than torch, written beside it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

import architectures
import datasets
from architectures.base import Architecture
from architectures.pooling import IndexPool
from harness.data.split import DeviceDataset
from harness.deploy import runtimes
from harness.deploy.runtimes import Arrays, Call, quiet, reason_of
from harness.deploy.weights import SEED, ModelConfig, Source
from harness.metrics import scores
from harness.system.errors import UserError
from harness.system.files import write_atomically
from harness.system.quantities import Frozen, Quantity
from harness.training.evaluator import evaluate

Format = Literal["onnx", "openvino", "torch-export"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torch-export": ".pt2"}
COMPARED_IMAGES = 8
_OTHER = (13, 22)  # pixels by which the second size of a dynamic export is larger: one odd, one even
OnImages = Callable[[int], None]


class Parity(Frozen):
    """How an exported file's logits lie to torch's own in float32, on the same images."""

    images: int
    sizes: tuple[tuple[int, int], ...] = Field(description="(height, width) that were compared")
    of: str = Field(description="what the images were")
    largest_difference: float = Field(description="of logits")
    logits_deviation: float = Field(description="standard deviation of torch's logits, to read the difference by")
    equal_labels: float = Field(description="share of pixels with the same largest logit")
    miou_before: Quantity = Field(description="torch's on val, percent")
    miou_after: Quantity = Field(description="the file's on val, percent")


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


@dataclass(frozen=True, kw_only=True)
class Val:
    """The val split that mIoU is taken on, and torch's own on it in percent; none, with the reason why."""

    data: DeviceDataset | None = None
    before: float | None = None
    why_not: str = ""


def val_of(
    source: Source, model: Architecture, data_root: str | None, work: Path, on_images: OnImages = lambda images: None
) -> Val:
    """The val split that a model was trained beside, scored by torch, or why there is none.

    Raises:
        UserError: another content than the model's; datasets.DatasetError: it can't be read.
    """
    if why := why_no_val(source, data_root):
        return Val(why_not=why)
    data = split_of(source, "val", data_root, work)
    return Val(data=data, before=miou(runtimes.torch_call(model), source.config, data, on_images))


def why_no_val(source: Source, data_root: str | None) -> str:
    """Why a model can't be scored; empty where it can."""
    if not source.config.run_id:
        return "the weights are drawn, not trained"
    return "" if data_root is not None or _is_drawn(source.config.dataset) else "no --data-root"


def _is_drawn(dataset: str) -> bool:
    """Whether it is read without a root; own data and plugins are not even described without one."""
    try:
        return datasets.info(dataset).synthetic
    except datasets.DatasetError:
        return False


def split_of(source: Source, split: str, data_root: str | None, work: Path) -> DeviceDataset:
    """A split of the data that a model was trained on, as the model takes it.

    Raises:
        UserError: another content than the model's; datasets.DatasetError: it can't be read.
    """
    config = source.config
    dataset = datasets.load(config.dataset, split, data_root)
    if dataset.content_hash != config.dataset_sha256:
        raise UserError(
            f"{config.dataset} in {data_root} is not what {source.name} was trained on: its content is "
            f"{dataset.content_hash[:12]}, the model's {config.dataset_sha256[:12]}; name the data root of the run"
        )
    return DeviceDataset(dataset, config.as_protocol(), work / "cache", torch.device("cpu"))


# -- exporting -------------------------------------------------------------------------------------------------


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
    return runtimes.openvino_call(path, threads) if kind == "openvino" else runtimes.torch_export_call(path)


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
    force: bool,
    val: Val,
    on_images: OnImages = lambda images: None,
) -> Exported:
    """Export a model and compare the file with it; the file, and its sidecar `<file>.json`, are then in place.

    Args:
        source: of the model.
        model: on the CPU.
        kind: format.
        output: folder to write to.
        dynamic: for images of any size.
        force: replace files that are there.
        val: the split that mIoU is taken on, before and after.
        on_images: called with the number of images scored.

    Raises:
        UserError: files that are there already, or a folder that can't be written.
    """
    name = _file_name(source, kind, dynamic)
    if not force:
        check_free([source], [kind], output, dynamic)
    row = Exported(name=source.name, format=kind, dynamic=dynamic, config=source.config)
    if dynamic and architectures.info(source.config.architecture).fixed_size:
        return row.model_copy(update={"failure": "works for one size only; export it without --dynamic"})
    with _in_place(output) as folder:
        try:
            save_as(exported_program(model, source.config.image_size, dynamic), kind, folder / name)
            call = call_of(kind, folder / name, torch.get_num_threads())
            found = parity(source, model, call, dynamic, val, on_images)
        except runtimes.FAILURES as error:
            _empty(folder)
            return row.model_copy(update={"failure": reason_of(error)})
        del call  # OpenVINO maps the file
        size = sum(path.stat().st_size for path in folder.iterdir())
        done = row.model_copy(update={"file": name, "file_bytes": size, "parity": found})
    write_atomically(output / f"{name}.json", f"{done.model_dump_json(indent=1)}\n".encode())
    return done


@contextmanager
def _in_place(output: Path) -> Iterator[Path]:
    """A folder beside the target's; what lies in it at the end is moved to the target's folder, file by file."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output, prefix=".export-") as folder:
            yield Path(folder)
            for path in Path(folder).iterdir():
                os.replace(path, output / path.name)
    except OSError as error:
        raise UserError(f"can't write {output}: {error.strerror}; choose another --output") from error


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


# -- comparing -------------------------------------------------------------------------------------------------


def parity(
    source: Source, model: Architecture, call: Call, dynamic: bool, val: Val, on_images: OnImages = lambda images: None
) -> Parity:
    """Compare a file's logits with the model's: on images of val where there are, else on noise.

    A dynamic one is compared on noise of a second size too.
    """
    size = source.config.image_size
    sizes = [size, (size[0] + _OTHER[0], size[1] + _OTHER[1])] if dynamic else [size]
    images = [sample_images(source.config, val.data), *(noise(1, other) for other in sizes[1:])]
    reference = runtimes.torch_call(model)
    pairs = [(reference(one)[0], call(one)[0]) for batch in images for one in np.split(batch, len(batch))]
    if val.data is None:
        before = after = Quantity(reason=val.why_not)
    else:
        before = Quantity(value=val.before)
        after = Quantity(value=miou(call, source.config, val.data, on_images))
    return Parity(
        images=len(pairs),
        sizes=tuple(sizes),
        of="val" if val.data is not None else "noise",
        largest_difference=max(float(np.abs(ours - theirs).max()) for ours, theirs in pairs),
        logits_deviation=float(np.concatenate([ours.ravel() for ours, _ in pairs]).std()),
        equal_labels=equal_share([(ours.argmax(1), theirs.argmax(1)) for ours, theirs in pairs]),
        miou_before=before,
        miou_after=after,
    )


def sample_images(config: ModelConfig, data: DeviceDataset | None, count: int = COMPARED_IMAGES) -> Arrays:
    """A few images as the model takes them, (N, 3, H, W): of the split, evenly spread, or two of noise."""
    if data is None:
        return noise(2, config.image_size)
    chosen = np.unique(np.linspace(0, len(data) - 1, count).round().astype(np.int64))
    found: Arrays = data.images(chosen).numpy()
    return found


def noise(count: int, size: tuple[int, int]) -> Arrays:
    """Standard normal noise (N, 3, H, W), always the same."""
    return np.random.default_rng(SEED).standard_normal((count, 3, *size)).astype(np.float32)


def equal_share(pairs: list[tuple[NDArray[Any], NDArray[Any]]]) -> float:
    """Share of equal values of arrays of like shapes."""
    same = sum(int((one == other).sum()) for one, other in pairs)
    return same / sum(one.size for one, _ in pairs)


class _Called(nn.Module):
    """A call as the module that the evaluator takes."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self._call(images.numpy())[0]))


def miou(call: Call, config: ModelConfig, data: DeviceDataset, on_images: OnImages = lambda images: None) -> float:
    """mIoU in percent of a call on a split, scored image by image as the evaluator scores."""
    found = evaluate(
        _Called(call),
        data,
        num_classes=config.num_classes,
        batch=1,
        precision="fp32",
        reach=architectures.info(config.architecture).reach(*data.input_size),
        on_batch=on_images,
    )
    return 100 * scores(found.matrices.sum(0)).miou
