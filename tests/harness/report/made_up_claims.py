"""Records of made-up runs that claims are judged on."""

import numpy as np
from numpy.typing import NDArray

from harness.config.protocol import Protocol
from harness.config.run_spec import InitialWeights
from harness.config.suite import load_suite
from harness.paper.verdicts import ClaimResult
from harness.report.claims import claim_results
from harness.report.collect import SuiteRecords, collect
from harness.report.store import read_store
from tests.harness.report.made_up import PART, WHOLE, Store

VGG = InitialWeights(kind="file", sha256="ab" * 32, title="VGG16")
SEGNET, FCN, PLAIN = "segnet-basic", "fcn-basic", "fcn-basic-no-addition"
FOUR = ("segnet", "deeplab-largefov", "fcn8s", "deconvnet")


def collected(store: Store) -> dict[str, SuiteRecords]:
    read = read_store(store.results)
    return {name: collect(read, load_suite(name)) for name in ("camvid", "decoders", "sunrgbd", "nyuv2")}


def result(store: Store, number: int) -> ClaimResult:
    return claim_results(collected(store))[number - 1]


def seven(
    store: Store,
    protocol: Protocol,
    better: NDArray[np.int64] = WHOLE,
    worse: NDArray[np.int64] = PART,
    bf: tuple[float, float] = (0.9, 0.5),
    weights: InitialWeights | None = None,
    seed: int = 0,
) -> None:
    """Runs for claim 7: SegNet-Basic and FCN-Basic score `better`, FCN-Basic-NoAddition `worse`."""
    given = {} if weights is None else {"weights": weights}
    for class_weighting in ("median", "natural"):
        own = protocol.override({"class_weighting": class_weighting})
        for name in (SEGNET, FCN, PLAIN):
            spec = store.spec(name, protocol=own, seed=seed, **given)
            plain = name == PLAIN
            store.run(spec, {"end": worse if plain else better}, bf=bf[1] if plain else bf[0])
