"""A look at the GPUs before anything of ours runs on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.records.measurement import MeasureSpec, Preset
from harness.system.quantities import Quantity

IDLE_S: Mapping[Preset, float] = {"full": 10.0, "lease": 3.0}


@dataclass(frozen=True, kw_only=True)
class Survey:
    """By UUID: power that each GPU draws when idle, and what others do on it, where they do."""

    idle_w: Mapping[str, Quantity] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)


def survey(spec: MeasureSpec) -> Survey:
    """Look at every GPU by NVML, without touching CUDA; nothing for a CPU.

    Args:
        spec: of what is to be measured; its preset says how long idle power is watched.
    """
    if spec.device == "cpu":
        return Survey()
    from harness.profiling.energy import idle_power
    from harness.system.nvml import baseline

    found, seconds = baseline(), IDLE_S.get(spec.preset)
    idle = {uuid: idle_power(uuid, seconds) for uuid in found.used_bytes} if seconds else {}
    return Survey(idle_w=idle, others=found.others)
