"""Sentences that several pages share: what a group is, how it was made, what small inputs do to a ranking."""

from collections.abc import Mapping, Sequence, Set

import architectures
import datasets
from datasets import DatasetInfo
from harness.config.protocol import Protocol
from harness.config.suite import Suite, Table
from harness.records.measurement import PAPER_SIZE, STEP_BATCH, MeasurementRecord
from harness.report.groups import Group
from harness.report.resources import MeasurementGroup, Series

# DeepLab-LargeFOV's fc6: 3 x 3 taps, 12 apart. FCN's fc6: 7 x 7 taps side by side.
DEEPLAB_WINDOW = 2 * 12 + 1
FCN_WINDOW = 7
# Height and width of the input that one place of the Basic encoders' last maps depends on, in pixels: four
# times a 7 x 7 convolution and a 2 x 2 pooling.
BASIC_FIELD = 106

# Class weights in the loss, by a protocol's name for them.
BALANCINGS = {
    "natural": "classes not weighted",
    "inverse-root": "classes weighted by frequency to the -1/2",
    "median": "classes weighted by median frequency balancing",
    "segnet-release": "classes weighted as in SegNet's definition files",
}


def class_weighting_words(protocol: Protocol) -> str:
    """Class weights in the loss; empty where there are none and no other protocol of the name has any."""
    plain = protocol.class_weighting == "natural" and "class_weighting" not in protocol.overrides
    return "" if plain else BALANCINGS[protocol.class_weighting]


def loss_words(protocol: Protocol) -> str:
    """The loss; empty where it is cross-entropy, the paper's."""
    return "" if protocol.loss == "cross_entropy" else f", loss {protocol.loss}"


def augmentation_words(protocol: Protocol) -> str:
    """How training images are changed beside mirroring; empty where they are not."""
    text = ""
    if (protocol.scale_min, protocol.scale_max) != (1, 1):
        factors = f"{protocol.scale_min:g} to {protocol.scale_max:g}"
        text = f", scaled by {factors} and cropped to the input's size"
    if protocol.color_jitter:
        text += f", brightness, contrast and saturation changed by up to {100 * protocol.color_jitter:g} %"
    return text


def extent(size: tuple[int, int]) -> str:
    """`360 x 480`, height first."""
    return f"{size[0]} x {size[1]}"


def describe(group: MeasurementGroup) -> str:
    """Device, input size, precision, options and preset in one line."""
    return _described(group.first, f"input {extent(group.size)}")


def describe_series(series: Series) -> str:
    """The same of measurements at several sizes."""
    return _described(series.first, "")


def _described(record: MeasurementRecord, size: str) -> str:
    spec = record.spec
    threads = f"{spec.threads} thread{'s' if spec.threads > 1 else ''}" if spec.device == "cpu" else ""
    parts = [record.device_name, threads, size, spec.precision, *spec.options, f"preset {spec.preset}"]
    return ", ".join(part for part in parts if part)


def made_with(group: MeasurementGroup) -> str:
    """Software and code that the measurements were made with, all that occur."""
    manifests = [manifest for record in group.records for manifest in record.environments]
    texts = []
    of_gpu = (("cudnn", "cuDNN"), ("driver", "driver")) if group.first.spec.device == "cuda" else ()
    for field, head in (("torch", "torch"), *of_gpu):
        found = sorted({str(one[field]) for one in manifests if one.get(field)})
        texts += [f"{head} {', '.join(found)}"] if found else []
    commits = sorted(
        {
            f"{str(one['git_commit'])[:10]}{' (changed)' if one.get('git_dirty') else ''}"
            for one in manifests
            if one.get("git_commit")
        }
    )
    texts.append(f"code {', '.join(commits) or 'unknown'}")
    return f"Measured with {'; '.join(texts)}."


def group_title(group: Group) -> str:
    """Protocol, data variant, precision and initial weights in one line."""
    made = f"{group.protocol.title}, data {group.variant}, {group.computed}"
    return f"{made}, initial weights {group.weights.title}"


def reduced_mark(*groups: Group) -> str:
    """`REDUCED: ...`, every reason once; empty for full groups."""
    reasons = dict.fromkeys(reason for group in groups for reason in group.reduced)
    return f"REDUCED: {'; '.join(reasons)}" if reasons else ""


def map_size(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Height and width of a map at 1/stride, each pooling rounding up."""
    return -(-size[0] // stride), -(-size[1] // stride)


def input_notes(size: tuple[int, int], table: Table) -> list[str]:
    """Why an input smaller than the paper's distorts that table's ranking; empty at its size or above."""
    if size[0] >= PAPER_SIZE[0] and size[1] >= PAPER_SIZE[1]:
        return []
    notes = {"table1": decoder_input_notes, "none": rivals_input_notes}
    return notes.get(table, small_input_notes)(size)


def decoder_input_notes(size: tuple[int, int]) -> list[str]:
    """What a small input does to the decoders of Table 1."""
    here, full = map_size(size, 16), map_size(PAPER_SIZE, 16)
    share, full_share = (BASIC_FIELD / height for height in (size[0], PAPER_SIZE[0]))
    return [
        f"The encoder's last map, pool4, is {extent(here)} here and {extent(full)} at {extent(PAPER_SIZE)}: "
        "objects are fewer places wide in it, and more of their outline is left to the decoder.",
        f"One place of that map depends on {BASIC_FIELD} x {BASIC_FIELD} pixels of the input (four 7 x 7 "
        f"convolutions and poolings): {share:.2f} of the input's height here, {full_share:.2f} at "
        f"{extent(PAPER_SIZE)}. A network here sees more of the scene at once, and less of its detail.",
    ]


def small_input_notes(size: tuple[int, int]) -> list[str]:
    """What a small input does to the networks of Tables 3 and 6."""
    pool5, eighth = map_size(size, 32), map_size(size, 8)
    full_pool5, full_eighth = map_size(PAPER_SIZE, 32), map_size(PAPER_SIZE, 8)
    return [
        f"DeepLab-LargeFOV's fc6 has dilation 12, so its window spans {DEEPLAB_WINDOW} x {DEEPLAB_WINDOW}: "
        f"{_relation(DEEPLAB_WINDOW, eighth)} its map of {extent(eighth)} here "
        f"(1/8 of the input; {extent(full_eighth)} at {extent(PAPER_SIZE)}).",
        f"FCN's fc6 has a window of {FCN_WINDOW} x {FCN_WINDOW}: {_relation(FCN_WINDOW, pool5)} the pool5 "
        f"map of {extent(pool5)} here (1/32; {extent(full_pool5)} at {extent(PAPER_SIZE)}).",
        f"DeconvNet's fully connected layers cover the whole pool5 map, {extent(pool5)} here and "
        f"{extent(full_pool5)} at {extent(PAPER_SIZE)}: this is another DeconvNet, with other parameters.",
    ]


def rivals_input_notes(size: tuple[int, int]) -> list[str]:
    """What a small input does to networks of today, most of whose encoders end at 1/32 of it."""
    here, full = map_size(size, 32), map_size(PAPER_SIZE, 32)
    return [
        f"Most of these encoders end at 1/32 of the input: {extent(here)} here, {extent(full)} at "
        f"{extent(PAPER_SIZE)}. Dilated windows then see little more than the map's border, and padding to a "
        "multiple of 32 is a larger share of the input."
    ]


def _relation(window: int, size: tuple[int, int]) -> str:
    higher, wider = window > size[0], window > size[1]
    if higher and wider:
        return "larger than"
    return "higher than" if higher else "wider than" if wider else "no larger than"


def ranking_notes(group: Group, dataset: DatasetInfo, table: Table = "table3") -> list[str]:
    """What stands under a reduced table."""
    if not group.reduced:
        return []
    notes = input_notes(group.protocol.size or dataset.size, table)
    if any("iterations" in reason for reason in group.reduced):
        notes.append("So few iterations show how fast a network starts to learn, not what it reaches.")
    return notes


def commands(group: Group, suite: Suite, *, alone: bool = False) -> str:
    """The command lines that make the group's runs, rebuilt from their specs: one for all of equal seeds.

    alone: without those of the suite's other recipes.
    """
    changes = _asked(group.protocol, suite, alone)
    seeds: dict[str, set[int]] = {}
    for record in (*(run.record for run in group.runs), *group.failed):
        seeds.setdefault(record.spec.architecture, set()).add(record.spec.seed)
    joined: dict[tuple[int, ...], set[str]] = {}
    for name, own in seeds.items():
        joined.setdefault(tuple(sorted(own)), set()).add(name)
    return " and ".join(f"`{_command(group, suite, ran, own, changes)}`" for own, ran in joined.items())


def _command(group: Group, suite: Suite, ran: Set[str], seeds: Sequence[int], changes: Mapping[str, str]) -> str:
    names = "--all" if ran == set(suite.architectures) else " ".join(sorted(ran))
    words = ["python -m harness run", names, f"--suite {suite.name}"]
    if not datasets.info(suite.dataset).synthetic:
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


def _asked(protocol: Protocol, suite: Suite, alone: bool) -> dict[str, str]:
    """What the command must change in the suite's protocol: field -> value."""
    if not (suite.class_weightings or suite.recipes):
        return protocol.overrides
    if suite.recipes and not alone and any(_fits(protocol, recipe) for recipe in suite.recipes):
        return {field: value for field, value in protocol.overrides.items() if field not in suite.varied}
    # else the command would run the suite's other variants too
    return {field: str(getattr(protocol, field)) for field in suite.varied} | protocol.overrides


def _fits(protocol: Protocol, recipe: Mapping[str, str]) -> bool:
    """Whether a protocol is what the recipe makes of it."""
    return protocol.override(recipe).title == protocol.title


def _option(field: str, value: str) -> str:
    return f"--{field} {value}" if field in ("size", "iterations") else f"--override '{field}={value}'"
