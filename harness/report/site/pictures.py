"""Test images: every network's score of each, and their pictures, truth and predictions where these are at hand."""

import base64
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import datasets
from harness.report.accuracy import Scores
from harness.report.metrics import image_miou
from harness.report.scored_data import image_names, open_test
from harness.report.site.content import SiteGroup
from harness.report.site.quantities import Row
from harness.report.store import Scored

# Of a larger split only the images that a prediction was kept of, and each network's worst, have pictures.
MOST_PICTURES = 400
_WORST = 20
_NOT_SCORED = 65535
_JPEG_QUALITY = 80
_Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Images:
    """The test images of a group. source: the split itself, where its pictures may be had."""

    group: SiteGroup
    source: datasets.Dataset | None

    @property
    def scored(self) -> dict[str, Scores]:
        """Network -> what is shown of its runs."""
        return self.group.scores[self.group.shown]

    @cached_property
    def count(self) -> int:
        """Images of the split."""
        return min(len(one.counts) for scores in self.scored.values() for one in scores.scored)

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """mIoU of each image and network, (N, M), percent, mean over seeds."""
        columns = [
            np.mean([100 * image_miou(one)[: self.count] for one in scores.scored], axis=0)
            for scores in self.scored.values()
        ]
        return np.stack(columns, axis=1)

    @cached_property
    def predictions(self) -> dict[str, dict[int, tuple[str, _Pixels]]]:
        """Network -> number of the image -> its id, and the label map (H, W) that the first seed predicted."""
        found: dict[str, dict[int, tuple[str, _Pixels]]] = {}
        for name, scores in self.scored.items():
            run, scored = scores.runs[0], scores.scored[0]
            maps = [(stem, label) for stem in run.record.image_ids if (label := run.prediction(stem)) is not None]
            places = [(self._place(stem, label, scored), stem, label) for stem, label in maps]
            found[name] = {place: (stem, label) for place, stem, label in places if place is not None}
        return found

    def _place(self, stem: str, label: _Pixels, scored: Scored) -> int | None:
        """Number of the image in the split: by its name, or by the one image whose predicted pixels these can be."""
        names = self._given_names
        if stem in names:
            return names.index(stem)
        if any(names):
            return None
        predicted = np.bincount(label.ravel(), minlength=256)[: len(self.group.classes)]
        beyond = predicted - scored.counts.predicted  # void pixels are predicted, but not counted
        fitting = np.flatnonzero((beyond >= 0).all(axis=1))
        closest = fitting[np.argsort(beyond[fitting].sum(axis=1), kind="stable")]
        return int(closest[0]) if len(closest) else None

    @cached_property
    def _given_names(self) -> list[str]:
        if self.source is not None:
            return list(self.source.image_ids)
        return image_names(self.group.group.runs[0].record, "test", self.count)

    @cached_property
    def names(self) -> list[str]:
        """Of every image: its id, or its number where the records do not name it."""
        stems = {place: stem for found in self.predictions.values() for place, (stem, _) in found.items()}
        return [name or stems.get(at) or f"image {at}" for at, name in enumerate(self._given_names)]

    @cached_property
    def shown(self) -> list[int]:
        """Numbers of the images that have pictures."""
        kept = {place for found in self.predictions.values() for place in found}
        if self.source is None:
            return sorted(kept)
        if self.count <= MOST_PICTURES:
            return list(range(self.count))
        order = np.argsort(np.where(np.isnan(self.means), np.inf, self.means), axis=0, kind="stable")
        return sorted(kept | {int(at) for at in order[:_WORST].ravel()})

    def data(self) -> Row:
        """The group's part of `data/images-*.js`: scores as 16-bit integers of hundredths of a percent."""
        classes = np.stack(
            [
                np.mean([100 * one.counts.class_iou()[: self.count] for one in scores.scored], axis=0)
                for scores in self.scored.values()
            ],
            axis=1,
        )  # (N, M, K)
        return {
            "ids": self.names,
            "networks": list(self.scored),
            "classes": len(self.group.classes),
            "miou": _packed(self.means),
            "iou": _packed(classes),
            "pictures": {
                "image": self.source is not None,
                "truth": self.source is not None,
                "folder": self.folder,
                "numbers": self.shown,
                "predicted": sorted({place for found in self.predictions.values() for place in found}),
            }
            if self.shown
            else None,
        }

    @property
    def folder(self) -> str:
        """Of the images, which groups on the same edition share."""
        spec = self.group.spec
        return f"{spec.dataset}-{spec.dataset_hash[:8]}"

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Path in `pictures/` and content: a script of label maps for each image, and the image."""
        for at in self.shown:
            maps: Row = {
                "networks": {name: _data_url(found[at][1]) for name, found in self.predictions.items() if at in found}
            }
            if self.source is not None:
                image, truth = self.source[at]
                maps["truth"] = _data_url(truth)
                yield f"{self.folder}/{at}.jpg", _encoded(image, format="JPEG", quality=_JPEG_QUALITY)
            yield f"{self.group.id}/{at}.js", script(f'SITE.maps["{self.group.id}/{at}"]', maps)


def script(target: str, value: Any) -> bytes:
    """A script that sets a value: a page that was opened from disk may load scripts, but no JSON."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return f"{target}={text};\n".encode()


def collect_images(groups: Sequence[SiteGroup], data_root: str | None) -> list[Images]:
    """The test images of the groups that are scored on test.

    Raises:
        datasets.DatasetError: a root was given, and the data of a group can't be read there.
    """
    sources: dict[str, datasets.Dataset | None] = {}
    found = []
    for group in groups:
        if group.split != "test":
            continue
        name = group.spec.dataset
        if name not in sources:
            info = None if group.spec.own_data else group.info  # own data lies elsewhere, if it is still there
            sources[name] = open_test(info, data_root) if info else None
        alone = Images(group=group, source=None)
        source = sources[name]
        found.append(Images(group=group, source=source) if source and _is_of(source, alone) else alone)
    return found


def _is_of(source: datasets.Dataset, images: Images) -> bool:
    """Whether the labels are those that were scored: first, middle and last image have as many pixels of each class.

    Editions of a dataset that differ in their images alone, as CamVid's JPEG copy does, show the same.
    """
    scored = next(iter(images.scored.values())).scored[0]
    if len(source.image_ids) != len(scored.counts):
        return False
    labeled, classes = scored.counts.labeled, len(images.group.classes)
    places = {0, len(labeled) // 2, len(labeled) - 1}
    counts = {at: np.bincount(source[at][1].ravel(), minlength=256)[:classes] for at in places}
    return all(np.array_equal(counts[at], labeled[at]) for at in places)


def _packed(percent: NDArray[np.float64]) -> str:
    values = np.where(np.isnan(percent), _NOT_SCORED, np.round(100 * percent))
    return base64.b64encode(values.astype("<u2").tobytes()).decode()


def _data_url(labels: _Pixels) -> str:
    return f"data:image/png;base64,{base64.b64encode(_encoded(labels, format='PNG', optimize=True)).decode()}"


def _encoded(pixels: _Pixels, **how: Any) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, **how)
    return target.getvalue()
