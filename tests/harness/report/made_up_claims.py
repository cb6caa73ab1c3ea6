"""Records of made-up runs that claims are judged on."""

import numpy as np
from numpy.typing import NDArray

from harness.config.protocol import Protocol
from harness.config.run_spec import InitialWeights
from harness.config.suite import load_suite
from harness.paper.verdicts import ClaimResult
from harness.report.claims import Collected, claim_results
from harness.report.collect import collect
from harness.report.resources import collect_measurements
from tests.harness.report.made_up import PART, WHOLE, Store

VGG = InitialWeights(kind="file", sha256="ab" * 32, title="VGG16")
SEGNET, FCN, PLAIN = "segnet-basic", "fcn-basic", "fcn-basic-no-addition"
FOUR = ("segnet", "deeplab-largefov", "fcn8s", "deconvnet")


def collected(store: Store) -> dict[str, Collected]:
    found = {}
    for name in ("camvid", "decoders", "sunrgbd", "nyuv2"):
        records = collect(store.results, load_suite(name))
        measurements = collect_measurements(store.results, records)
        found[name] = Collected(records=records, measurements=measurements)
    return found


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
