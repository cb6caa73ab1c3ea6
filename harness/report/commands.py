"""The command lines that make a group's runs and a device's measurements, rebuilt from their specs."""

from collections.abc import Mapping, Sequence, Set

import architectures
import datasets
from harness.config.suite import Suite
from harness.records.measurement import STEP_BATCH
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
    own = suite.own_data is not None
    words = ["python -m harness run", names, "--dataset folder:FOLDER" if own else f"--suite {suite.name}"]
    if not own and not datasets.info(suite.dataset).synthetic:
        words.append("--data-root FOLDER")
    if group.protocol.name != suite.protocol:
        words.append(f"--protocol {group.protocol.name}")
    words += [_option(field, value) for field, value in changes.items()]
    if group.precision != "fp32":
        words.append(f"--precision {group.precision}")
    if group.compiled != "no":
        words.append(f"--compile {group.compiled}")
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
    options = [f"--variant {'+'.join(spec.options)}"] if spec.options else []
    options += [f"--step-batch {group.step_batch}"] if group.step_batch != STEP_BATCH else []
    threads = [f"--threads {spec.threads}"] if spec.device == "cpu" else []
    return " ".join([*words, *options, f"--preset {spec.preset}", *threads])


def _option(field: str, value: str) -> str:
    return f"--{field} {value}" if field in ("size", "iterations") else f"--override '{field}={value}'"
