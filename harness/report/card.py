"""The protocol card: how a group was trained, setting by setting, beside the paper."""

from collections.abc import Callable
from dataclasses import dataclass

from harness.config.optimizers import OPTIMIZERS
from harness.config.protocol import Protocol
from harness.config.run_spec import RunSpec
from harness.report.comparability import not_like_for_like, paper_protocol, paper_training_images
from harness.report.grouping import SCORE_NAMES, Group, extent, input_size, suites_of
from harness.report.sections import Section
from harness.report.store import title
from harness.report.tables.cells import loaded

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
    theirs = paper_protocol(suite.table) if known else None
    images = paper_training_images(dataset, suite.table)
    published = _published(section, theirs) if theirs else []
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
            paper=" / ".join(dict.fromkeys(map(show, published))),
        )
        for name, show in _SETTINGS.items()
    ]
    return [row for row in rows if (row.here, row.paper) not in (("none", ""), ("none", "none"))]


def _published(section: Section, theirs: Protocol) -> list[Protocol]:
    """The paper's recipe with each class weighting that it has scores of; of these, those trained here, if any."""
    suite = section.suite
    known = suite.class_weightings or (theirs.class_weighting, *(row.class_weighting for row in suite.further))
    trained = [group.protocol.class_weighting for group in section.groups]
    chosen = [name for name in trained if name in known] or known
    return [theirs.model_copy(update={"class_weighting": name}) for name in chosen]


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
