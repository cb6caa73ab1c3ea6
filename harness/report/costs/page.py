"""The page on what the full matrix would cost, as Markdown: from records, protocols and assumptions."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from harness.records.run import load_runs
from harness.report.costs.checks import Check, RecordSize, checks, record_size
from harness.report.costs.plan import CostedRun, Plan
from harness.report.costs.rates import Machine
from harness.report.costs.schedules import DRAWS, Forecast, forecast
from harness.report.costs.tables import (
    checks_table,
    disk_table,
    figure,
    network_table,
    networks_table,
    parts_table,
    postprocessing_table,
    time_table,
)
from harness.report.costs.work import CHECKPOINT_EVERY_S
from harness.report.tables import listing, markdown
from harness.system.quantities import NotMeasured

COMMAND = "python -m harness plan-cost"


def page(plan: Plan, results: Path) -> str:
    """The whole page.

    Args:
        plan: counted by the records of `results`.
        results: the results folder, for the runs that were made.
    """
    stored, _ = load_runs(results)
    checked, left_out = checks(stored, plan.machines, plan.records)
    size = record_size(stored)
    sections = [
        "# What the full matrix would cost\n",
        f"Regenerated from `results/`, the suites and the protocols by `{COMMAND} --page docs/scaling.md`. "
        "Do not edit it by hand.\n",
        listing(_general(plan)),
    ]
    if plan.own:
        times = [(machine, _forecasts(plan, plan.own, machine)) for machine in plan.machines]
        sections += ["## In short\n", listing(_short(plan, times, checked)), *_matrix(plan)]
        sections += [section for machine, found in times for section in _time(plan, machine, found)]
        sections += _disk(plan, size)
        sections += [section for machine, found in times for section in _network(plan, machine, found)]
    sections += _postprocessing(plan) + _checked(checked, left_out) + _basis(plan)
    return "\n".join(section.rstrip("\n") + "\n" for section in sections if section)


def _forecasts(plan: Plan, runs: Sequence[CostedRun], machine: Machine) -> list[Forecast]:
    return [forecast(runs, machine, devices, plan.matrix.assumed) for devices in plan.devices]


def _general(plan: Plan) -> list[str]:
    matrix = plan.matrix
    lines = [
        f"The matrix is {matrix.title}: suites {', '.join(matrix.suites)}, {matrix.seeds} "
        f"seed{'s' if matrix.seeds > 1 else ''} each "
        "(`harness/config/costs/paper.toml`).",
        "Work is counted: images that go through a network, by its protocol, times its multiply-accumulates "
        "(2 operations each) by the records of measuring. Early ends, which a protocol may allow, are not "
        "counted on.",
        "Time is work over the operations a second that the same network reached when it was measured, at "
        "the nearest size.",
    ]
    lines += [f"{machine.letter} is {machine.title}: {_kind(machine)}." for machine in plan.machines]
    lines += [f"LEFT OUT, so that sums are at least so much: {line}." for line in _left_out(plan)]
    lines += [f"UNREADABLE measurement: {name}." for name in plan.unreadable]
    return lines


def _kind(machine: Machine) -> str:
    if machine.assumed_tflops is not None:
        return "ASSUMED, for every network alike, until a GPU is measured"
    sizes = sorted({record.spec.size for record in machine.records})
    names = {record.spec.architecture for record in machine.records}
    return f"measured, {len(names)} networks, at {', '.join(f'{h} x {w}' for h, w in sizes)}"


def _left_out(plan: Plan) -> list[str]:
    return list(dict.fromkeys(reason for part in plan.parts for reason in part.uncounted))


def _short(plan: Plan, times: Sequence[tuple[Machine, Sequence[Forecast]]], checked: Sequence[Check]) -> list[str]:
    pflop = figure(sum(run.flop for run in plan.own) / 1e15)
    lacking = [part.part.suite for part in plan.parts if not part.part.beside and not part.whole]
    without = f" (incomplete: {', '.join(lacking)})" if lacking else ""
    lines = [f"Suites with their own protocol{without}: {len(plan.own)} runs, {pflop} PFLOP."]
    for machine, forecasts in times:
        ends = ", ".join(f"{figure(one.makespan.median / 3600)} h on {one.devices}" for one in forecasts)
        busy = figure(forecasts[0].busy.median / 3600)
        lines.append(f"{machine.letter}, {machine.title}: {busy} device hours with losses; done after {ends}.")
    if checked:
        ratio = _middle([check.train_ratio for check in checked])
        lines.append(f"Runs that were made took {ratio} times the computed time of training: {_extent(checked)}.")
    return lines


def _matrix(plan: Plan) -> list[str]:
    note = "\\* this network was not measured there: the median of the others.\n"
    networks = markdown(networks_table(plan), 2)
    return [
        "## The matrix\n",
        markdown(parts_table(plan)),
        "Hours are of computing, without starts and losses.\n",
        "### One run\n",
        networks,
        note if "*" in networks else "",
    ]


def _time(plan: Plan, machine: Machine, found: Sequence[Forecast]) -> list[str]:
    assumed, sets = plan.matrix.assumed, [("Suites with their own protocol", found)]
    if len(plan.all) > len(plan.own):
        sets.append(("All", _forecasts(plan, plan.all, machine)))
    tables = [part for name, some in sets for part in (f"{name}:\n", markdown(time_table(some)))]
    notes = [
        "Mean load and longest run are what no schedule beats; the simulation checks that handing the "
        f"longest run to the next free device comes near. Each start adds {assumed.start_s.value:g} s.",
        f"With losses: median [tenth of the draws, nine tenths] of {DRAWS} simulations, in which a device is "
        f"lost once in {assumed.device_loss_h.value:g} h of computing, what it did since the last checkpoint "
        f"(every {CHECKPOINT_EVERY_S / 60:g} minutes) is computed again, and another stands in after "
        f"{assumed.device_back_s.value / 60:g} minutes.",
        "A lost run waits again by what is left of it, so that losses can also even out the end.",
        "A run stays on one device here; where the longest run sets the end, more devices help only if they "
        "share runs.",
    ]
    return [f"## Time on {machine.letter}, {machine.title}\n", *tables, listing(notes)]


def _disk(plan: Plan, size: RecordSize | NotMeasured) -> list[str]:
    if isinstance(size, NotMeasured):
        of = f"Size of records: n/a: {size.reason}."
    else:
        of = (
            f"Records are estimated: {size.image_bytes:.0f} bytes an image scored and "
            f"{size.rest_bytes / 1e3:.1f} kB for the rest, medians of {size.runs} finished runs."
        )
    notes = [
        "A checkpoint holds weights, optimizer state and the scores so far, in float32. At work a run has "
        "the latest checkpoint, the one before, one being written, and the best weights; of a finished one "
        "the last and the best weights stay.",
        of,
        "Decoded data is shared by all runs of a size on one machine: images 3 bytes a pixel, labels 1.",
    ]
    return ["## Disk\n", markdown(disk_table(plan, size)), listing(notes)]


def _network(plan: Plan, machine: Machine, found: Sequence[Forecast]) -> list[str]:
    table = markdown(network_table(plan, plan.own, machine, found))
    notes = [
        "For suites with their own protocol, at most. A work folder on shared storage takes every "
        "checkpoint, so that another machine can go on with a run; on local disks nothing of it goes over "
        "the network, and a lost machine's runs start anew.",
        "A checkpoint is written at each evaluation and every ten minutes; the average is over the simulated "
        "time without losses. Records are small beside all this.",
    ]
    return [f"## Network on {machine.letter}, {machine.title}\n", table, listing(notes)]


def _postprocessing(plan: Plan) -> list[str]:
    if not plan.matrix.postprocessing:
        return []
    notes = [
        "Made of a finished run, on CPU cores beside the devices; not in the times above. Searched on: "
        "images times settings tried; scored: val and test with the chosen ones.",
        f"ASSUMED: {plan.matrix.assumed.crf_image_s.value:g} {plan.matrix.assumed.crf_image_s.unit}.",
    ]
    return ["## Post-processing\n", markdown(postprocessing_table(plan), 2), listing(notes)]


def _checked(found: Sequence[Check], left_out: Sequence[str]) -> list[str]:
    head = "## Checked against runs that were made\n"
    if not found:
        return [head, listing(["n/a: there is no finished run on a machine with measured rates.", *left_out])]
    train, score = ([getattr(one, name) for one in found] for name in ("train_ratio", "score_ratio"))
    notes = [
        f"Recorded over computed, {len(found)} runs: training {_middle(train)}, scoring {_middle(score)} "
        "(median, with the least and the largest).",
        f"Of these, {_extent(found)}. What a run takes is no measurement: other work may have shared the "
        "machine, which the record of a run does not tell. Scoring also finds boundaries for BF, on the same "
        "cores, which is no operation of the network.",
    ]
    near = sum(0.95 <= ratio <= 1.05 for ratio in train)
    notes.append(f"Within 5 % of the computed time of training: {near} of {len(found)} runs.")
    notes += [f"Left out: {line}." for line in left_out]
    return [head, markdown(checks_table(found)), listing(notes)]


def _extent(found: Sequence[Check]) -> str:
    """How many of the runs are no full ones."""
    return f"{sum(check.reduced for check in found)} of {len(found)} are reduced runs"


def _middle(values: Sequence[float]) -> str:
    middle = pd.Series(values).median()
    return f"{middle:.2f} [{min(values):.2f}, {max(values):.2f}]"


def _basis(plan: Plan) -> list[str]:
    assumed = plan.matrix.assumed
    table = pd.DataFrame(
        {"value": f"{one.value:g} {one.unit}", "why": one.why}
        for one in (getattr(assumed, name) for name in type(assumed).model_fields)
    )
    rates = []
    for machine in plan.machines:
        if machine.assumed_tflops is None:
            names = sorted({record.spec.architecture for record in machine.records})
            found = {name: machine.speed(name, _largest(plan)).basis for name in names}
            of: dict[str, list[str]] = {}
            for name, basis in found.items():
                of.setdefault(basis, []).append(name)
            rates += [f"{machine.letter}: {basis}: {', '.join(on)}." for basis, on in of.items()]
    return [
        "## What is assumed\n",
        markdown(table, 2),
        "## What rates are of\n" if rates else "",
        listing(rates),
        "## What is not counted\n",
        listing(
            [
                "Fetching and decoding the data, reports, and measurements of time and memory.",
                "On a GPU: BF, which the host's cores score beside the network.",
                "Runs that fail for reasons of their own, and tuning.",
            ]
        ),
    ]


def _largest(plan: Plan) -> tuple[int, int]:
    sizes = {run.run.size for run in plan.all} or {(1, 1)}
    return max(sizes, key=lambda size: (size[0] * size[1], size))
