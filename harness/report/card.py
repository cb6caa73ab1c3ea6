"""The protocol card: how a group was trained, setting by setting, beside the paper."""

from collections.abc import Callable
from dataclasses import dataclass

from harness import paper
from harness.config.optimizers import OPTIMIZERS
from harness.config.protocol import Protocol, load_protocol
from harness.config.run_spec import RunSpec
from harness.report.comparability import not_like_for_like, paper_training_images
from harness.report.grouping import SCORE_NAMES, Group, extent, input_size, suites_of
from harness.report.sections import Section
from harness.report.store import title
from harness.report.tables.cells import loaded

# The paper's own recipe, by the table that a suite fills.
PAPER_PROTOCOLS = {"table1": "decoders@2", "table3": "camvid@2", "table4": "sunrgbd@2"}
PAPER_WEIGHTS = "VGG16 ImageNet"
# Editions of datasets that are not as their source distributes them.
_EDITIONS = {"camvid-jpeg93": "copies as JPEG of quality 93 (camvid-jpeg93)"}
_CLASS_WEIGHTS = {
    "natural": "not weighted",
    "inverse-root": "weighted by frequency to the -1/2",
    "median": "weighted by median frequency balancing",
    "segnet-release": "weighted as in SegNet's definition files",
}


def paper_table(spec: RunSpec) -> str:
    """The table of the paper that a run's scores belong beside, by its suites: table1, table3, table4; or none."""
    tables = {suite.table for suite in suites_of(spec)}
    return next((table for table in ("table1", "table3", "table4") if table in tables), "none")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row of the card. paper: the paper's; empty where there is none. meaning: what is set."""

    name: str
    here: str
    paper: str
    meaning: str = ""

    @property
    def differs(self) -> bool:
        """Whether it is another than the paper's."""
        return bool(self.paper) and self.here != self.paper


def card(section: Section) -> list[Setting]:
    """All settings of groups that stand together, each beside the paper's; what varies is joined by slashes."""
    group, suite, dataset = section.group, section.suite, section.dataset
    known = bool(not_like_for_like(dataset))
    theirs = load_protocol(PAPER_PROTOCOLS.get(suite.table, PAPER_PROTOCOLS["table3"])) if known else None
    images = paper.DECODER_TRAINING_IMAGES if suite.table == "table1" else paper_training_images(dataset)
    table1, variant = suite.table == "table1", group.spec.dataset_variant
    rows = [
        Setting(
            name="training images",
            here=f"{dataset.splits['train']:,}",
            paper=f"{images:,}" if images and theirs else "",
        ),
        Setting(
            name="edition of the images",
            here="none" if theirs is None or variant == dataset.name else _EDITIONS.get(variant, variant),
            paper="" if theirs is None or variant == dataset.name else "as distributed",
        ),
        Setting(
            name="input, pixels",
            here=extent(input_size(group.protocol, dataset)),
            paper=extent(dataset.size) if theirs else "",
        ),
        Setting(
            name="initial weights of the encoder",
            here=group.weights.title,
            paper=("He et al." if table1 else PAPER_WEIGHTS) if theirs else "",
        ),
        Setting(name="layers they set", here=_by_network(group, "layers_loaded"), paper=""),
        Setting(name="layers drawn all the same", here=_by_network(group, "layers_drawn"), paper=""),
        Setting(name="precision", here=group.computed, paper="fp32" if theirs else ""),
    ]
    rows += [
        Setting(
            name=name,
            here=" / ".join(dict.fromkeys(show(one.protocol) for one in section.groups)),
            paper=show(theirs) if theirs else "",
        )
        for name, show in _SETTINGS.items()
    ]
    return [row for row in rows if (row.here, row.paper) not in (("none", ""), ("none", "none"))]


def _by_network(group: Group, cell: str) -> str:
    """What the initial weights set or left drawn, with the networks: `7 of 13 (SegNet, DeconvNet)`."""
    found: dict[object, list[str]] = {}
    for network in group.networks:
        record, text = group.of(network)[0].record, loaded(group, group.of(network))[cell]
        if text and not record.spec.postprocess and (record.layers_set or cell == "layers_drawn"):
            found.setdefault(text, []).append(title(network))
    return "; ".join(f"{text} ({', '.join(networks)})" for text, networks in found.items()) or "none"


def _normalization(protocol: Protocol) -> str:
    mean = ", ".join(f"{value:g}" for value in protocol.input_mean)
    std = ", ".join(f"{value:g}" for value in dict.fromkeys(protocol.input_std))
    plain = (set(protocol.input_mean), set(protocol.input_std)) == ({0}, {1})
    parts = ["RGB" if plain else f"(RGB − ({mean})) / {std}"]
    parts += ["standardized"] if protocol.standardize else []
    return ", ".join(parts + (["local response normalization"] if protocol.local_response_norm else []))


def _augmentation(protocol: Protocol) -> str:
    parts = ["mirroring"] if protocol.hflip else []
    if (protocol.scale_min, protocol.scale_max) != (1, 1):
        parts.append(f"scale {protocol.scale_min:g} to {protocol.scale_max:g}")
    parts += [f"color ± {100 * protocol.color_jitter:g} %"] if protocol.color_jitter else []
    return ", ".join(parts) or "none"


_SETTINGS: dict[str, Callable[[Protocol], str]] = {
    "images of another shape": lambda protocol: "padded by the mean" if protocol.keep_ratio else "none",
    "input values": _normalization,
    "augmentation": _augmentation,
    "loss": lambda protocol: protocol.loss.replace("_", "-"),
    "class weights": lambda protocol: _CLASS_WEIGHTS[protocol.class_weighting],
    "optimizer": lambda protocol: OPTIMIZERS[protocol.optimizer].title,
    "learning rate": lambda protocol: f"{protocol.lr:g}, {protocol.lr_scheduler}",
    "momentum": lambda protocol: f"{protocol.momentum:g}",
    "weight decay": lambda protocol: f"{protocol.weight_decay:g}" + (", shifts too" if protocol.decay_bn_bias else ""),
    "norm of the gradients": lambda protocol: (
        "none" if protocol.max_grad_norm is None else f"at most {protocol.max_grad_norm:g}"
    ),
    "dropout": lambda protocol: "as the network has it" if protocol.dropout is None else f"{protocol.dropout:g}",
    "batch": lambda protocol: f"{protocol.batch_size}",
    "iterations": lambda protocol: f"{protocol.iterations:,}",
    "early stop": lambda protocol: (
        "none"
        if protocol.early_stopping_min_delta is None
        else f"loss not lower by {100 * protocol.early_stopping_min_delta:g} % over {protocol.eval_interval:,}"
    ),
    "best checkpoint by val": lambda protocol: SCORE_NAMES[protocol.select_by],
}
