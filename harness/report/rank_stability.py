"""Does the order of the networks hold over seeds and initial weights? Their mIoU on test, row by row."""

from itertools import combinations

import pandas as pd

from harness.report.render import render

# What runs must share to be one comparison; initial weights and seed may differ.
SHARED = ("protocol_title", "dataset", "dataset_sha256", "precision", "compiled", "evaluation_revision")
_ROW = ("initial_weights_title", "initial_weights_sha256", "seed")


def rank_stability(results: pd.DataFrame) -> pd.DataFrame:
    """A row a network, seed and initial weights, of networks that stand beside another one in several such rows.

    Networks whose output is refined are left out: they were not trained apart.

    Args:
        results: `harness.load_results`; the checkpoint is the one chosen on val.

    Returns:
        Columns of SHARED, initial_weights_title, seed, network, title, miou (percent), place (1 is the highest
        of what is left of its row).
    """
    own = results[(results["split"] == "test") & (results["checkpoint"] == "best") & results["miou"].notna()]
    own = own[own["postprocess"].fillna("") == ""]
    parts = [_compared(part) for _, part in own.groupby(list(SHARED), sort=False, dropna=False)]
    columns = [*SHARED, "initial_weights_title", "seed", "network", "title", "miou", "place"]
    return pd.concat([own.iloc[:0].assign(place=0), *parts])[columns].reset_index(drop=True)


def _compared(part: pd.DataFrame) -> pd.DataFrame:
    """Of one comparison the networks of some pair, in the rows that hold two of them or more, with their places."""
    pairs = rank_pairs(part)
    part = part[part["title"].isin([*pairs["first"], *pairs["second"]])]
    rows = part.groupby(list(_ROW), dropna=False)["miou"]
    part = part.assign(place=rows.rank(ascending=False, method="min").astype(int))
    return part[rows.transform("size") > 1]


def rank_pairs(part: pd.DataFrame) -> pd.DataFrame:
    """Every two networks that stand side by side in at least two rows of a comparison.

    Columns first, second (titles), rows, ahead (in how many the first is higher), stable (in all or in none).
    """
    scores = part.pivot_table(index=["initial_weights_title", "seed"], columns="title", values="miou", sort=False)
    found = []
    for first, second in combinations(scores.columns, 2):
        both = scores[[first, second]].dropna()
        ahead = int((both[first] > both[second]).sum())
        if len(both) > 1:
            row = {"first": first, "second": second, "rows": len(both), "ahead": ahead}
            found.append(row | {"stable": ahead in (0, len(both))})
    return pd.DataFrame(found, columns=["first", "second", "rows", "ahead", "stable"])


def rank_stability_text(frame: pd.DataFrame) -> str:
    """A part of a page on `rank_stability`; empty where that is."""
    parts = []
    for (protocol, *_), part in frame.groupby(list(SHARED), sort=False, dropna=False):
        rows = [
            {"weights": weights, "seed": seed, "cells": own.set_index("title")[["miou", "place"]].to_dict("index")}
            for (weights, seed), own in part.groupby(["initial_weights_title", "seed"], sort=False)
        ]
        spread = part.groupby(["initial_weights_title", "title"], sort=False)["miou"].agg(["min", "max", "count"])
        several = spread[spread["count"] > 1]
        apart = (several["max"] - several["min"]).groupby("title", sort=False).max()
        parts.append(
            {
                "protocol": protocol,
                "networks": list(dict.fromkeys(part["title"])),
                "rows": rows,
                "pairs": rank_pairs(part).to_dict("records"),
                "apart": apart.to_dict(),
            }
        )
    return render("rank_stability.md.j2", parts=parts)
