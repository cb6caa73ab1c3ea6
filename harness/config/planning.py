"""From a request to the runs it is made of, before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import architectures
import datasets
from architectures.architecture_info import WHOLE, ArchitectureInfo
from harness.config.initial_weights import GivenWeights, fitted, resolve
from harness.config.protocol import Protocol, load_protocol, parse_size
from harness.config.request import RunRequest
from harness.config.run_spec import RunSpec, refined
from harness.config.suite import QUICK, Suite, check_architecture, load_suite
from harness.system.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The runs of a request, in the order in which they are carried out.

    data_root: folder that holds the dataset; none: embedded, or the default place.
    initial_weights: that were asked for; each architecture takes the first that fits its encoder.
    """

    suite: Suite
    specs: Sequence[RunSpec]
    data_root: str | None
    initial_weights: Sequence[GivenWeights]


def plan(request: RunRequest, suite: Suite | None = None) -> Plan:
    """Turn a request into runs of a suite; none: the one that the request names, or `quick`, which names its dataset.

    Raises:
        UserError: an option that can't be used, or an architecture that can't take the size or the weights.
        architectures.ArchitectureError: an architecture that is unknown.
        datasets.DatasetError: the dataset is missing or broken.
    """
    suite = suite or load_suite(request.suite or QUICK)
    protocols, further = planned_protocols(request, suite), further_rows(request, suite)
    given = resolve(request.encoder_weights or (suite.encoder_weights,))
    names = list(dict.fromkeys(request.architectures)) or list(suite.architectures)
    info = suite.dataset_info
    for size in {protocol.size or info.size for protocol in protocols}:
        if not info.own and (size[0] > info.size[0] or size[1] > info.size[1]):
            raise UserError(
                f"size {size[0]}x{size[1]} is larger than {info.name}'s {info.size[0]}x{info.size[1]}; "
                "choose a smaller --size"
            )
        for name in names:
            check_architecture(name, size)
    variant, digest = datasets.content_hash(suite.dataset, request.data_root)
    rows = [(each, seed, name) for each in protocols for seed in request.seeds for name in names]
    rows += [(each, seed, name) for name, each in further for seed in request.seeds]
    weights = {name: fitted(architectures.info(name), given) for name in dict.fromkeys(name for *_, name in rows)}
    specs = [
        RunSpec(
            architecture=name,
            architecture_revision=architectures.info(name).revision,
            architecture_source=architectures.info(name).source,
            dataset=info.name,
            dataset_variant=variant,
            dataset_hash=digest,
            num_classes=len(info.classes),
            own_data=info if info.own else None,
            protocol=protocol,
            seed=seed,
            initial_weights=weights[name],
            precision=request.precision,
            compiled=request.compiled,
            logits_reach=logits_reach(architectures.info(name), protocol.size or info.size),
        )
        for protocol, seed, name in rows
    ]
    refining = [(spec, refined(spec)) if spec.architecture in suite.dense_crf else (spec,) for spec in specs]
    return Plan(
        suite=suite,
        specs=[spec for each in refining for spec in each],
        data_root=request.data_root,
        initial_weights=given,
    )


def logits_reach(info: ArchitectureInfo, size: tuple[int, int]) -> Literal["", "cut"]:
    """What a run's spec says of an architecture's logits for images of this size."""
    return "" if info.reach(*size) == WHOLE else "cut"


def stages(specs: Sequence[RunSpec]) -> list[list[RunSpec]]:
    """The runs in groups of which each can go on at once: those that refine another's output come last."""
    found = [[spec for spec in specs if bool(spec.postprocess) == refines] for refines in (False, True)]
    return [stage for stage in found if stage]


def planned_protocols(request: RunRequest, suite: Suite) -> list[Protocol]:
    """The protocol with the suite's variants and the request's changes, which win; each recipe once.

    Raises:
        UserError: a protocol of another suite, or a change that it does not allow.
    """
    protocol, changes = _asked(request, suite)
    if protocol.name not in suite.protocols:
        known = ", ".join(suite.protocols)
        raise UserError(f"protocol {protocol.title!r} is not of suite {suite.name!r}; that has: {known}")
    found = [protocol.override({**variant, **changes}) for variant in suite.variants]
    return list({one.title: one for one in found}.values())


def further_rows(request: RunRequest, suite: Suite) -> list[tuple[str, Protocol]]:
    """The suite's further rows, unless a class weighting is asked for: that one replaces all."""
    protocol, changes = _asked(request, suite)
    if "class_weighting" in changes:
        return []
    return [
        (row.architecture, protocol.override({**changes, "class_weighting": row.class_weighting}))
        for row in suite.further
        if not request.architectures or row.architecture in request.architectures
    ]


def _asked(request: RunRequest, suite: Suite) -> tuple[Protocol, Mapping[str, str]]:
    """The suite's protocol, or the one asked for, for the suite's dataset, and what is to be changed in it."""
    protocol = load_protocol(request.protocol or suite.protocol)
    if protocol.epochs is not None:
        protocol = protocol.for_images(suite.dataset_info.splits["train"])
    given = []
    for item in request.overrides:
        field, mark, value = item.partition("=")
        if not mark:
            raise UserError(f"override {item!r}: write field=value, such as lr=0.02")
        given.append((field.strip(), value.strip()))
    own = {"size": request.size, "iterations": request.iterations}
    given += [(field, str(value)) for field, value in own.items() if value is not None]
    changes = dict(given)
    for field, value in given:
        if (other := changes[field]) != value:
            raise UserError(f"{field} is given twice, as {value} and as {other}; leave one out")
    if "size" in changes and changes["size"] != "none":
        height, width = parse_size(changes["size"])
        changes["size"] = f"{height}x{width}"
        if (height, width) == suite.dataset_info.size and protocol.size is None:
            del changes["size"]
    return protocol, changes
