"""What a run is: everything that determines its outcome, and the identity made of it."""

import hashlib
import json
import os
import shutil
from enum import IntEnum, unique
from typing import Literal

from pydantic import Field

import datasets
from architectures import file_name
from datasets import DatasetInfo
from harness.config.protocol import Protocol
from harness.system.errors import UserError
from harness.system.quantities import Frozen

# Raise it when a change of the metrics would change a score: finished runs are then not found again.
METRICS_REVISION = 1
# The same for evaluation: 1 took batch-norm statistics over the training images in the order of their list,
# 2 takes them over a shuffled one (harness.training.precise_bn).
EVALUATION_REVISION = 2


@unique
class RandomStream(IntEnum):
    """What random numbers are drawn for: part of every seed, so that no two uses draw the same ones."""

    ORDER = 1
    FLIP = 2
    AUGMENTATION = 3
    FOLLOWER_DROPOUT = 4
    STATISTICS_ORDER = 10


Precision = Literal["fp32", "tf32", "bf16"]
# How training steps are compiled: not at all, by torch.compile, or by it and replayed as CUDA graphs.
Compiled = Literal["no", "default", "graphs"]
TF32_ON_CPU = "precision tf32 exists on a GPU only; choose fp32 or bf16, or the device cuda"
# What is done to the network's output: nothing, or the CRF of `harness/postprocess/crf`, kernels and search as of its
# version 1, which is raised when a change of either would change a score.
Postprocess = Literal["", "dense-crf@1"]


# Fields that an identity holds only where they say something, as any that is added later.
OPTIONAL = (("compiled", "no"), ("postprocess", ""), ("architecture_source", ""), ("logits_reach", ""))


class InitialWeights(Frozen):
    """Where the encoder starts from."""

    kind: Literal["none", "imagenet", "file"]
    sha256: str | None = Field(None, description="of the file; none for He initialization")
    release: str = Field("", description="of published weights: a name under which they never change")
    title: str = Field(description="short text for tables, such as 'He et al.'")

    @property
    def key(self) -> str:
        """What files of weights are told apart by: the SHA-256; without one the kind."""
        return self.sha256 or self.kind


class RunSpec(Frozen):
    """One run: architecture x dataset x protocol x seed. A run is a pure function of it."""

    architecture: str
    architecture_revision: int
    architecture_source: str = Field("", description="SHA-256 of a plugin's target and sources")
    dataset: str
    dataset_variant: str
    dataset_hash: str
    num_classes: int
    own_data: DatasetInfo | None = Field(
        None, description="of a dataset that no report knows by its name: what it is; its hash tells it apart"
    )
    protocol: Protocol
    seed: int = Field(ge=0)
    initial_weights: InitialWeights
    precision: Precision
    compiled: Compiled = "no"
    postprocess: Postprocess = ""
    metrics_revision: int = METRICS_REVISION
    evaluation_revision: int = EVALUATION_REVISION
    logits_reach: Literal["", "cut"] = Field(
        "",
        description="of logits that reach over the image: by their stride, and cut; empty: there are none, or an "
        "earlier way, which took them for the whole image",
    )

    def identity(self) -> str:
        """SHA-256 over what determines the outcome.

        Not over texts such as a protocol's summary, nor over its overrides, whose effect is in its fields.
        """
        values = self.model_dump(mode="json")
        # without defaults, so that a field added to protocols later leaves the ids of finished runs alone
        values["protocol"] = self.protocol.model_dump(
            mode="json", exclude_defaults=True, exclude={"summary", "source", "overrides"}
        )
        del values["initial_weights"]["title"], values["own_data"]
        for field, nothing in OPTIONAL:
            if values[field] == nothing:
                del values[field]
        canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def dataset_info(self) -> DatasetInfo:
        """The dataset's description; DatasetError for a name that is not known here."""
        return self.own_data or datasets.info(self.dataset)

    @property
    def network(self) -> str:
        """What tables tell rows apart by: the architecture, and what is done to its output.

        A plugin's has the beginning of its source's hash, since two plugins may have one name.
        """
        name = f"{self.architecture}#{self.architecture_source[:8]}" if self.architecture_source else self.architecture
        return f"{name}+{self.postprocess}" if self.postprocess else name

    @property
    def run_id(self) -> str:
        """`<architecture>[-dense-crf]-<dataset>-s<seed>-<hash8>`: the name of the record's folder."""
        name = file_name(self.architecture)
        if self.postprocess:
            name = f"{name}-{self.postprocess.partition('@')[0]}"
        return f"{name}-{self.dataset}-s{self.seed}-{self.identity()[:8]}"


def check_precision(precision: Precision, device: str) -> Precision:
    """The precision, if the device has it; UserError for TF32 on a CPU."""
    if precision == "tf32" and device == "cpu":
        raise UserError(TF32_ON_CPU)
    return precision


def refined(spec: RunSpec) -> RunSpec:
    """The run that refines another one's output by the dense CRF."""
    return spec.model_copy(update={"postprocess": "dense-crf@1"})


def check_compiling(compiled: Compiled, device: str) -> None:
    """Refuse, by a UserError, CUDA graphs on a CPU, and to compile for a CPU without a C++ compiler."""
    if device != "cpu" or compiled == "no":
        return
    if compiled == "graphs":
        raise UserError("compile 'graphs': CUDA graphs need a CUDA device; use --compile default on a CPU")
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise UserError(f"compile 'default': no C++ compiler {compiler!r} here; install it or set CXX")
