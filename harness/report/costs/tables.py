"""The tables of the page on costs, as frames of text cells."""

from collections.abc import Sequence

import pandas as pd

from harness.report.costs.checks import Check, RecordSize
from harness.report.costs.matrix import Matrix, Postprocessing
from harness.report.costs.plan import CostedPart, CostedRun, Plan, hours
from harness.report.costs.rates import Machine
from harness.report.costs.schedules import Forecast, Spread
from harness.report.costs.work import (
    cache_bytes,
    checkpoint_bytes,
    checkpoints_written,
    weights_bytes,
)
from harness.report.groups import title
from harness.report.tables import significant
from harness.system.quantities import NotMeasured

CRF_CORES = 2  # that its time an image is of
WEIGHT_FILES = 2  # of a finished run: the last ones, and those of the best iteration
CHECKPOINTS = 3  # of a run at work: the latest, the one before, and the one being written
NONE = "n/a"


def parts_table(plan: Plan) -> pd.DataFrame:
    """One row a part: how many runs, how much work, hours on each machine."""
    rows = [_part_row(part.part.title, part.runs, plan, part) for part in plan.parts]
    own = [part for part in plan.parts if not part.part.beside]
    rows.append(_part_row("all with the suite's own protocol", plan.own, plan, *own))
    if len(plan.all) > len(plan.own):
        rows.append(_part_row("all", plan.all, plan, *plan.parts))
    return pd.DataFrame(rows)


def _part_row(name: str, runs: Sequence[CostedRun], plan: Plan, *of: CostedPart) -> dict[str, str]:
    """Sums over counted runs; a sum that lacks some is marked as at least so much."""
    if not runs:
        empty = ("runs", "images trained, 10^6", "images scored, 10^6", "PFLOP")
        return {"part": name, **dict.fromkeys([*empty, *_hour_heads(plan)], NONE)}
    sign = "" if all(part.whole for part in of) else "≥ "
    planned = sum(len(part.part.runs) for part in of)
    counted = str(len(runs)) if planned == len(runs) else f"{len(runs)} of {planned}"
    found = {
        "part": name,
        "runs": sign + counted,
        "images trained, 10^6": sign + figure(sum(run.work.trained for run in runs) / 1e6),
        "images scored, 10^6": sign + figure(sum(run.work.scored for run in runs) / 1e6),
        "PFLOP": sign + figure(sum(run.flop for run in runs) / 1e15),
    }
    values = [sign + figure(hours(runs, machine)) for machine in plan.machines]
    return found | dict(zip(_hour_heads(plan), values, strict=True))


def _hour_heads(plan: Plan) -> list[str]:
    return [f"hours on {machine.letter}" for machine in plan.machines]


def networks_table(plan: Plan) -> pd.DataFrame:
    """One row a network and protocol: its counts, its rate on each machine, hours of one run."""
    firsts: dict[tuple[str, str, str], CostedRun] = {}
    for part in plan.parts:
        for run in part.runs:
            firsts.setdefault((part.part.suite, part.part.protocol, run.run.architecture), run)
    rows = []
    for (_, protocol, architecture), run in firsts.items():
        row = {
            "network": title(architecture),
            "protocol": protocol,
            "parameters, 10^6": figure(run.counts.parameters / 1e6),
            "GMAC, forward": figure(run.counts.gmacs),
            "GMAC, training": figure(run.counts.training_gmacs),
        }
        for machine in plan.machines:
            speed = machine.speed(architecture, run.run.size)
            mark = "" if speed.own or machine.assumed_tflops is not None else "*"
            row[f"TFLOP/s on {machine.letter}"] = figure(speed.training_tflops) + mark
            row[f"hours a run on {machine.letter}"] = figure(run.duration_s(machine) / 3600)
        rows.append({**row, "counts": run.counts.basis or "exact"})
    return pd.DataFrame(rows)


def time_table(forecasts: Sequence[Forecast]) -> pd.DataFrame:
    """One row a number of devices: what no schedule beats, the simulated one, and those with losses."""
    return pd.DataFrame(
        {
            "devices": str(one.devices),
            "runs": str(one.runs),
            "mean load, h": _h(one.mean_load_s),
            "longest run, h": _h(one.longest_s),
            "simulated, h": _h(one.quiet.makespan_s),
            "over the least possible": f"{one.quiet.makespan_s / one.least_s:.3f}",
            "devices at work": f"{one.quiet.busy_s / (one.devices * one.quiet.makespan_s):.0%}",
            "simulated with losses, h": _hours(one.makespan),
            "losses": _spread(one.losses, 1.0),
            "computed twice, h": _hours(one.lost),
            "device hours with losses": _hours(one.busy),
        }
        for one in forecasts
    )


def disk_table(plan: Plan, size: RecordSize | NotMeasured) -> pd.DataFrame:
    """One row a part, and one for all: what its runs need while they run, and what stays."""
    rows = [_disk_row(part.part.title, part.runs, size) for part in plan.parts if part.runs]
    return pd.DataFrame([*rows, _disk_row("all", plan.all, size)])


def _disk_row(name: str, runs: Sequence[CostedRun], size: RecordSize | NotMeasured) -> dict[str, str]:
    largest = max(checkpoint_bytes(run.run, run.work, run.counts) for run in runs)
    weights = sum(weights_bytes(run.counts) for run in runs)
    largest_record, records = NONE, NONE
    if not isinstance(size, NotMeasured):
        each = [run.work.recorded * size.image_bytes + size.rest_bytes for run in runs]
        largest_record, records = figure(max(each) / 1e6), figure(sum(each) / 1e6)
    return {
        "part": name,
        "largest checkpoint, MB": figure(largest / 1e6),
        "largest run at work, GB": figure(_at_work_bytes(runs) / 1e9),
        "weights that stay, GB": figure(WEIGHT_FILES * weights / 1e9),
        "largest record, MB": largest_record,
        "records, MB": records,
        "decoded data, GB": figure(cache_bytes([run.run for run in runs]) / 1e9),
    }


def _at_work_bytes(runs: Sequence[CostedRun]) -> float:
    """Of the run that needs most while it runs."""
    return max(
        CHECKPOINTS * checkpoint_bytes(run.run, run.work, run.counts) + weights_bytes(run.counts) for run in runs
    )


def network_table(
    plan: Plan, runs: Sequence[CostedRun], machine: Machine, forecasts: Sequence[Forecast]
) -> pd.DataFrame:
    """One row a number of devices: what goes over the network, at most."""
    assumed = plan.matrix.assumed
    written, files = 0.0, 0
    for run in runs:
        count = checkpoints_written(run.work, run.duration_s(machine))
        written += count * checkpoint_bytes(run.run, run.work, run.counts)
        files += count
    weights = sum(weights_bytes(run.counts) for run in runs)
    data = cache_bytes([run.run for run in runs])
    rows = []
    for one in forecasts:
        a_node = int(assumed.devices_a_node.value) if machine.device == "cuda" else 1
        nodes = -(-one.devices // a_node)
        rows.append(
            {
                "devices": str(one.devices),
                "machines": str(nodes),
                "at work at once, GB": figure(one.devices * _at_work_bytes(runs) / 1e9),
                "decoded data to them, GB": figure(nodes * data / 1e9),
                "initial weights to them, GB": figure(nodes * assumed.initial_weights_mb.value / 1e3),
                "checkpoints written, GB": figure(written / 1e9),
                "on average, MB/s": figure(written / 1e6 / one.quiet.makespan_s),
                "read again after losses, GB": figure(one.losses.median * written / files / 1e9),
                "weights collected, GB": figure(WEIGHT_FILES * weights / 1e9),
            }
        )
    return pd.DataFrame(rows)


def postprocessing_table(plan: Plan) -> pd.DataFrame:
    """One row a row of a suite that is made of a finished run."""
    return pd.DataFrame(_postprocessing_row(row, plan) for row in plan.matrix.postprocessing)


def _postprocessing_row(row: Postprocessing, plan: Plan) -> dict[str, str]:
    matrix: Matrix = plan.matrix
    bases = [
        base
        for part in plan.parts
        for base in part.part.runs
        if part.part.suite == row.suite and not part.part.beside and base.architecture == row.architecture
    ]
    heads = ("runs", "images searched on", "images scored", "core hours")
    if not bases:
        return {"row": row.title, "suite": row.suite, **dict.fromkeys(heads, NONE)}
    searched = row.search_images * row.search_settings
    scored = bases[0].splits["val"] + bases[0].splits["test"]
    core_s = (searched + scored) * len(bases) * CRF_CORES * matrix.assumed.crf_image_s.value
    counts = (f"{len(bases)}", f"{searched:,}", f"{scored:,}", figure(core_s / 3600))
    return {"row": row.title, "suite": row.suite, **dict(zip(heads, counts, strict=True))}


def checks_table(found: Sequence[Check]) -> pd.DataFrame:
    """One row a run: computed and recorded time."""
    return pd.DataFrame(
        {
            "run": check.run_id,
            "training, s": figure(check.computed_train_s),
            "recorded, s": figure(check.train_s),
            "recorded / computed": f"{check.train_ratio:.2f}",
            "scoring, s": figure(check.computed_score_s),
            "recorded for scoring, s": figure(check.score_s),
            "scoring, recorded / computed": f"{check.score_ratio:.2f}",
        }
        for check in found
    )


def figure(value: float) -> str:
    """Three digits that count, of whatever magnitude."""
    return significant(value) if value >= 1 or value == 0 else f"{value:#.3g}"


def _h(value_s: float) -> str:
    return figure(value_s / 3600)


def _hours(spread: Spread) -> str:
    return _spread(spread, 3600.0)


def _spread(spread: Spread, unit: float) -> str:
    low, median, high = (figure(value / unit) for value in (spread.low, spread.median, spread.high))
    return f"{median} [{low}, {high}]"
