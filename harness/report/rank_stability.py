"""Does the order of the networks hold over seeds and initial weights? Their mIoU on test, row by row."""

from itertools import combinations

import pandas as pd

from harness.report.render import render

# What runs must share to be one comparison; initial weights and seed may differ.
SHARED = ("protocol_title", "dataset", "dataset_sha256", "precision", "compiled", "evaluation_revision")
_ROW = ("initial_weights_title", "initial_weights_sha256", "seed")


def rank_stability(results: pd.DataFrame) -> pd.DataFrame:
    """A row a network, seed and initial weights, of comparisons in which some pair stands in several such rows.

    Networks whose output is refined are left out: they were not trained apart.

    Args:
        results: `harness.load_results`; the checkpoint is the one chosen on val.

    Returns:
        Columns of SHARED, initial_weights_title, seed, network, title, miou (percent), place (1 is the highest
        of its row).
    """
    own = results[(results["split"] == "test") & (results["checkpoint"] == "best") & results["miou"].notna()]
    own = own[own["postprocess"].fillna("") == ""]
    by = [*SHARED, *_ROW]
    own = own.assign(place=own.groupby(by, dropna=False)["miou"].rank(ascending=False, method="min").astype(int))
    columns = [*SHARED, "initial_weights_title", "seed", "network", "title", "miou", "place"]
    kept = [part for _, part in own.groupby(list(SHARED), sort=False, dropna=False) if not rank_pairs(part).empty]
    return pd.concat(kept)[columns].reset_index(drop=True) if kept else own.iloc[:0][columns]


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
