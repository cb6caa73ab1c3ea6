"""Learning rates over a run, by the protocol's name for them (`harness.config.optimizers.LR_SCHEDULERS`)."""

import math

from harness.config.optimizers import LR_SCHEDULERS
from harness.config.protocol import Protocol

WARMUP_SHARE = 0.1
POLY_POWER = 0.9  # DeepLab's (arXiv 1606.00915)


def learning_rate(protocol: Protocol, iteration: int) -> float:
    """The learning rate of iteration 0 ... iterations - 1."""
    return LR_SCHEDULERS[protocol.lr_scheduler](protocol, iteration)


def fixed(protocol: Protocol, iteration: int) -> float:
    """The protocol's rate throughout, as in the paper."""
    return protocol.lr


def warmup_cosine(protocol: Protocol, iteration: int) -> float:
    """A linear rise over the first tenth, then a cosine to zero: for runs too short for a fixed rate."""
    rise = max(1, round(WARMUP_SHARE * protocol.iterations))
    if iteration < rise:
        return protocol.lr * (iteration + 1) / rise
    share = (iteration - rise) / max(1, protocol.iterations - rise)
    return protocol.lr * 0.5 * (1 + math.cos(math.pi * share))


def poly(protocol: Protocol, iteration: int) -> float:
    """A fall to zero as (1 - iteration / iterations) ** 0.9."""
    return protocol.lr * math.pow(1 - iteration / protocol.iterations, POLY_POWER)
