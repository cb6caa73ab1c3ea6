"""What do more iterations bring? Networks trained by one recipe for several lengths, side by side."""

import pandas as pd

from harness.report.render import render

# Overrides of a protocol that make another length of it; the second follows from the first or hardly matters.
VARIED = ("iterations", "eval_interval")
RECIPE = (
    *("protocol", "recipe", "dataset", "dataset_sha256", "precision", "compiled", "evaluation_revision"),
    *("initial_weights_title", "initial_weights_sha256"),
)
_SPLITS = ("train", "val", "test")


def training_length(results: pd.DataFrame) -> pd.DataFrame:
    """A row a network and length, of networks trained for several lengths by one recipe.

    Networks whose output is refined are left out: they were not trained apart. Each length is a training of its
    own, whose learning rate follows the whole of it.

    Args:
        results: `harness.load_results`; the checkpoint is the one chosen on val, of train the last one.

    Returns:
        Columns of RECIPE, network, title, iterations, seeds, then in percent train, val and test (mIoU) and bf
        (of test); means over seeds.
    """
    own = results[results["miou"].notna() & (results["postprocess"].fillna("") == "")]
    own = own.assign(
        recipe=own["overrides"].fillna("").map(_without_length),
        iterations=own["planned_iterations"],  # where early stopping ended a run is no length of its own
    )
    # train may be scored after the last iteration alone
    chosen = own["checkpoint"].where(own["split"] != "train", "best") == "best"
    own = own[chosen].sort_values("iteration", kind="stable").drop_duplicates(["run_id", "split"], keep="last")
    by = [*RECIPE, "network", "title", "iterations"]
    miou = own.groupby([*by, "split"], sort=False, dropna=False)["miou"].mean().unstack("split")
    test = own[own["split"] == "test"].groupby(by, sort=False, dropna=False)
    frame = test.agg(seeds=("seed", "nunique"), bf=("bf", "mean")).join(miou.reindex(columns=list(_SPLITS)))
    frame = frame.reset_index()
    several = frame.groupby([*RECIPE, "network"], dropna=False)["iterations"].transform("nunique") > 1
    return frame[several].sort_values([*RECIPE, "network", "iterations"], ignore_index=True)[
        [*by, "seeds", *_SPLITS, "bf"]
    ]


def _without_length(overrides: str) -> str:
    return " ".join(one for one in overrides.split() if one.split("=")[0] not in VARIED)


def training_length_text(frame: pd.DataFrame) -> str:
    """A part of a page on `training_length`; empty where that is."""
    parts = []
    for (protocol, recipe, *_), part in frame.groupby(list(RECIPE), sort=False, dropna=False):
        part = part.assign(gain=part.groupby("network")["test"].diff())
        whole = part.pivot(index="iterations", columns="title", values="test").dropna(axis="columns")
        orders = {length: list(row.sort_values(ascending=False).index) for length, row in whole.iterrows()}
        parts.append(
            {
                "recipe": f"{protocol} {recipe}".strip(),
                "rows": part.to_dict("records"),
                "orders": orders if whole.shape[1] > 1 else {},
            }
        )
    return render("training_length.md.j2", parts=parts)
