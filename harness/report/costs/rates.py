"""How fast devices compute, from the records of measuring; where none was measured, from an assumption."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.records.measurement import Cell, MeasurementRecord, Phase
from harness.report.costs.counts import apart
from harness.report.costs.matrix import Assumption
from harness.report.wording import extent

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, kw_only=True)
class Speed:
    """10^12 floating-point operations a second that a network reaches on a device, all its time counted.

    basis: what that is of.
    own: measured of this very network.
    """

    training_tflops: float
    forward_tflops: float
    basis: str
    own: bool


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A kind of device at a precision.

    letter: short name on the page.
    title: for a reader, with all that it was measured with.
    device_name: as runs name it; empty for an assumed one.
    threads: of torch, on a CPU.
    records: measured there; none for an assumed one.
    assumed_tflops: of every network, where nothing was measured.
    """

    letter: str
    title: str
    device: str
    device_name: str
    precision: str
    threads: int
    records: tuple[MeasurementRecord, ...] = ()
    assumed_tflops: float | None = None

    def speed(self, architecture: str, size: tuple[int, int]) -> Speed:
        """What a network reaches at a size, by the nearest measured; else the median of the others."""
        if self.assumed_tflops is not None:
            rate = self.assumed_tflops
            return Speed(training_tflops=rate, forward_tflops=rate, basis="assumed", own=False)
        own = _nearest(self.records, architecture, size)
        if own is not None:
            return own
        names = sorted({record.spec.architecture for record in self.records})
        others = [found for name in names if (found := _nearest(self.records, name, size)) is not None]
        return Speed(
            training_tflops=statistics.median(one.training_tflops for one in others),
            forward_tflops=statistics.median(one.forward_tflops for one in others),
            basis=f"not measured: the median of {len(others)} others",
            own=False,
        )


def machines(records: Sequence[MeasurementRecord], gpu: Assumption) -> list[Machine]:
    """A machine for each device, precision, preset and number of threads that training was timed with.

    Records of quick presets, which hold too few samples, and of other ways to run a network are left out. An
    assumed GPU is added as long as no GPU was measured.
    """
    groups: dict[tuple[str, str, str, int], list[MeasurementRecord]] = {}
    for record in records:
        spec = record.spec
        if spec.preset != "quick" and not spec.options and _speed(record) is not None:
            threads = spec.threads if spec.device == "cpu" else 0
            groups.setdefault((record.device_slug, spec.precision, spec.preset, threads), []).append(record)
    found = [_measured(LETTERS[n], group) for n, (_, group) in enumerate(sorted(groups.items()))]
    if any(machine.device == "cuda" for machine in found):
        return found
    assumed = Machine(
        letter=LETTERS[len(found)],
        title=f"an assumed GPU that reaches {gpu.value:g} TFLOP/s",
        device="cuda",
        device_name="",
        precision="bf16",
        threads=0,
        assumed_tflops=gpu.value,
    )
    return [*found, assumed]


def _measured(letter: str, records: Sequence[MeasurementRecord]) -> Machine:
    first = records[0]
    spec = first.spec
    threads = f", {spec.threads} thread{'s' if spec.threads > 1 else ''}" if spec.device == "cpu" else ""
    return Machine(
        letter=letter,
        title=f"{first.device_name}{threads}, {spec.precision}, preset {spec.preset}",
        device=spec.device,
        device_name=first.device_name,
        precision=spec.precision,
        threads=spec.threads,
        records=tuple(records),
    )


def _nearest(records: Sequence[MeasurementRecord], architecture: str, size: tuple[int, int]) -> Speed | None:
    own = [record for record in records if record.spec.architecture == architecture]
    for record in sorted(own, key=lambda record: apart(record.spec.size, size)):
        speed = _speed(record)
        if speed is not None:
            return speed
    return None


def _speed(record: MeasurementRecord) -> Speed | None:
    """From a whole training step where there is one, else from the forward and the backward pass."""
    shapes = record.shapes
    forward, step = _timed(record, "forward"), _timed(record, "training-step")
    backward = _timed(record, "backward")
    if shapes is None or forward is None:
        return None
    if step is not None:
        training = _tflops(shapes.training_gmacs, step)
        what = f"a training step at batch {step.key.batch_size}"
    elif backward is not None and (one := _timed(record, "forward", backward.key.batch_size)) is not None:
        whole_ms = _median_ms(one) + _median_ms(backward)
        training = 2e9 * shapes.training_gmacs * backward.key.batch_size / (whole_ms / 1e3) / 1e12
        what = f"forward and backward pass at batch {backward.key.batch_size}"
    else:
        return None
    return Speed(
        training_tflops=training,
        forward_tflops=_tflops(shapes.gmacs, forward),
        basis=f"{what}, {extent(record.spec.size)}",
        own=True,
    )


def _timed(record: MeasurementRecord, phase: Phase, batch: int | None = None) -> Cell | None:
    """The cell of a phase that has times, of the largest batch unless one is named."""
    cells = [cell for cell in record.cells if cell.key.phase == phase and cell.timing is not None]
    cells = [cell for cell in cells if batch is None or cell.key.batch_size == batch]
    return cells[-1] if cells else None


def _median_ms(cell: Cell) -> float:
    assert cell.timing is not None, "chosen for having times"
    return cell.timing.time.median_ms


def _tflops(gmacs: float, cell: Cell) -> float:
    return 2e9 * gmacs * cell.key.batch_size / (_median_ms(cell) / 1e3) / 1e12
