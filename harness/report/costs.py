"""What running a network costs: every figure of tables, plots, claims and site, each read in one way."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.records.measurement import INFERENCE_BATCH, TIME_BATCH, MeasurementRecord, Phase
from harness.report.measurement_frame import MEMORY_CELLS, Use, fact
from harness.system.quantities import Quantity

WHOLE = 12  # digits: all of them


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A figure of a network.

    of: phase, batch, quantity and statistic in the frame of measurements; several quantities, by space: their
    sum. paper: field of `paper.Resources` that its ratio is compared with. digits: that count.
    """

    name: str
    header: str
    of: tuple[Phase, int, str, str]
    paper: str = ""
    ratio: bool = False
    digits: int = 3
    shown: bool = True

    def read(self, record: MeasurementRecord) -> Quantity:
        """Its value, or why there is none."""
        phase, batch, quantities, statistic = self.of
        found = [fact(record, phase, batch, quantity, statistic) for quantity in quantities.split()]
        values = [one.value for one in found if one.value is not None]
        return Quantity(value=sum(values)) if len(values) == len(found) else found[0]


PHASES: tuple[Phase, ...] = ("forward", "end-to-end", "backward")


def _time(name: str, header: str, statistic: str = "median", *, shown: bool = True) -> Cost:
    phase = next(one for one in PHASES if name.startswith(one.replace("-", "_")))
    main = statistic == "median"
    of = (phase, TIME_BATCH, "latency_ms", statistic)
    theirs = name if main and phase != "end-to-end" else ""
    return Cost(name=name, header=header, of=of, paper=theirs, ratio=main, shown=shown)


TIMES = (
    _time("forward_ms", "forward, ms"),
    _time("forward_p90_ms", "90th percentile, ms", "p90"),
    _time("forward_iqr_ms", "IQR, ms", "iqr", shown=False),
    _time("forward_spread_percent", "spread of rounds, %", "spread_percent"),
    _time("forward_samples", "samples", "n", shown=False),
    # a forward pass ends at the network's own stride, 1/8 of the input for DeepLab-LargeFOV; this at label size
    _time("end_to_end_ms", "image to label map, ms"),
    _time("backward_ms", "backward, ms"),
    _time("backward_p90_ms", "90th percentile, ms", "p90", shown=False),
    _time("backward_iqr_ms", "IQR, ms", "iqr", shown=False),
    _time("backward_spread_percent", "spread of rounds, %", "spread_percent", shown=False),
    _time("backward_samples", "samples", "n", shown=False),
    Cost(
        name="energy_j",
        header="energy of a forward pass, J",
        of=("forward", TIME_BATCH, "energy_j_per_image", "above_idle"),
    ),
)


def _memory(use: Use, theirs: str) -> tuple[Cost, ...]:
    phase, batch = MEMORY_CELLS[use]
    rows = (
        ("nvml_mib", "NVML used − idle, MiB", "nvml_mib"),
        ("allocated_mib", "allocator's peak, MiB", "peak_allocated_mib"),
        ("reserved_mib", "allocator's reserve, MiB", "peak_reserved_mib"),
        ("process_mib", "process's peak, MiB", "rss_peak_mib"),
        ("live_mib", "live tensors' peak, MiB", "live_peak_mib"),
        ("weights_mib", "of that weights", "live_weights_mib"),
        ("decoder_mib", "kept for the decoder", "live_decoder_storage_mib"),
        ("activations_mib", "activations and input", "live_rest_mib live_input_mib live_kept_for_backward_mib"),
        ("state_mib", "gradients and optimizer", "live_gradients_mib live_optimizer_state_mib"),
    )
    return tuple(
        Cost(
            name=f"{use}_{name}",
            header=header,
            of=(phase, batch, quantities, "value"),
            paper=theirs if (ratio := name in ("nvml_mib", "live_mib")) else "",
            ratio=ratio,
            shown=name != "reserved_mib" and (use, name) != ("inference", "state_mib"),
        )
        for name, header, quantities in rows
    )


def _size(name: str, header: str, digits: int = 4, quantity: str = "", *, shown: bool = True) -> Cost:
    theirs = name if name == "model_size_mb" else ""
    of: tuple[Phase, int, str, str] = ("shapes", INFERENCE_BATCH, quantity or name, "value")
    return Cost(name=name, header=header, of=of, digits=digits, paper=theirs, ratio=bool(theirs), shown=shown)


INFERENCE = _memory("inference", "inference_memory_mb")
TRAINING = _memory("training", "train_memory_mb")
SIZE = (
    _size("parameters", "parameters", WHOLE),
    _size("trainable_parameters", "trainable", WHOLE, shown=False),
    _size("model_size_mb", "model size, MB"),
    _size("storage_two_bit_mib", "kept for the decoder, indices of 2 bits, MiB", 3, "decoder_storage_two_bit_mib"),
    _size("gmacs", "GMACs"),
    _size("training_gmacs", "GMACs with backward"),
)
COSTS = (*TIMES, *INFERENCE, *TRAINING, *SIZE)
BY_NAME: Mapping[str, Cost] = MappingProxyType({cost.name: cost for cost in COSTS})
