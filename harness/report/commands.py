"""The command lines that make a group's runs and a device's measurements, rebuilt from their specs."""

from collections.abc import Iterable, Mapping, Sequence, Set

import architectures
import datasets
from harness.config.run_spec import RunSpec
from harness.config.suite import Suite
from harness.records.measurement import STEP_BATCH, MeasureSpec
from harness.report.grouping import Group
from harness.report.resources import MeasurementGroup


def commands(group: Group, suite: Suite) -> list[str]:
    """The command lines that make the group's runs alone: one for all networks of equal seeds."""
    changes = group.protocol.overrides
    if suite.class_weightings or suite.recipes:
        # else the command would run the suite's other variants too
        changes = {field: str(getattr(group.protocol, field)) for field in suite.varied} | changes
    seeds: dict[str, set[int]] = {}
    for record in (*(run.record for run in group.runs), *group.failed):
        seeds.setdefault(record.spec.architecture, set()).add(record.spec.seed)
    joined: dict[tuple[int, ...], set[str]] = {}
    for name, own in seeds.items():
        joined.setdefault(tuple(sorted(own)), set()).add(name)
    return [_command(group, suite, ran, own, changes) for own, ran in joined.items()]


def _command(group: Group, suite: Suite, ran: Set[str], seeds: Sequence[int], changes: Mapping[str, str]) -> str:
    names = "--all" if ran == set(suite.architectures) else " ".join(sorted(ran))
    words = ["python -m harness run", names]
    if suite.own_data is None:
        words.append(f"--suite {suite.name}")
        words += [] if datasets.info(suite.dataset).synthetic else ["--data-root FOLDER"]
    elif suite.own_data.source.startswith("plugin "):
        words.append(f"--dataset {suite.own_data.name} --plugin {suite.own_data.source.removeprefix('plugin ')}")
    else:
        words.append("--dataset folder:FOLDER")
    words += _plugins(record.spec for record in group.records if record.spec.architecture in ran)
    if group.protocol.name != suite.protocol:
        words.append(f"--protocol {group.protocol.name}")
    words += [_option(field, value) for field, value in changes.items()]
    if group.spec.precision != "fp32":
        words.append(f"--precision {group.spec.precision}")
    if group.spec.compiled != "no":
        words.append(f"--compile {group.spec.compiled}")
    words.append(f"--seeds {','.join(str(seed) for seed in seeds)}")
    given = "FILE" if group.weights.kind == "file" else group.weights.kind
    return " ".join([*words, f"--encoder-weights {given}"])


def measure_command(group: MeasurementGroup) -> str:
    """The command line that makes a device's measurements, rebuilt from their specs."""
    spec = group.first.spec
    measured = {record.spec.architecture for record in group.records}
    names = "--all" if measured == set(architectures.names(baselines=False)) else " ".join(sorted(measured))
    words = [f"python -m harness measure {names} --size {spec.size[0]}x{spec.size[1]}"]
    words.append(f"--classes {spec.num_classes} --device {spec.device} --precision {spec.precision}")
    words += _plugins(record.spec for record in group.records)
    variant = [option for option in spec.options if option != spec.optimizer]
    options = [f"--variant {'+'.join(variant)}"] if variant else []
    options += [f"--optimizer {spec.optimizer}"] if spec.optimizer != "sgd" else []
    options += [f"--step-batch {group.step_batch}"] if group.step_batch != STEP_BATCH else []
    threads = [f"--threads {spec.threads}"] if spec.device == "cpu" else []
    return " ".join([*words, *options, f"--preset {spec.preset}", *threads])


def _plugins(specs: Iterable[RunSpec | MeasureSpec]) -> list[str]:
    """One option for each network of a plugin; no record says which function made it."""
    return ["--plugin MODULE:FUNCTION" for _ in {spec.architecture for spec in specs if spec.architecture_source}]


def _option(field: str, value: str) -> str:
    return f"--{field} {value}" if field in ("size", "iterations") else f"--override '{field}={value}'"
