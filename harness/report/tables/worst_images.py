"""The twenty test images on which each network has the lowest mIoU."""

import pandas as pd

from harness.report.accuracy import scored_at
from harness.report.frames import image_names
from harness.report.metrics import image_miou
from harness.report.sections import Section
from harness.report.store import title
from harness.report.tables.spec import TableSpec

KEPT = 20


def _values(section: Section) -> pd.DataFrame:
    """Columns network, class_weighting, place (1: the lowest), image (number in the split), image_id, miou (%)."""
    rows: list[dict[str, object]] = []
    for group in section.groups:
        for network in group.networks:
            runs = group.of(network)
            scored = scored_at(runs, "test", group.shown_label)
            if not scored:
                continue
            scores = pd.DataFrame([100 * image_miou(one) for one in scored]).mean().dropna()
            ids = image_names(runs[0].record, "test", len(scored[0].matrices))
            for place, (image, miou) in enumerate(scores.sort_values(kind="stable").head(KEPT).items(), 1):
                cells = {"network": title(network), "class_weighting": group.protocol.class_weighting, "place": place}
                rows.append(cells | {"image": image, "image_id": ids[int(str(image))], "miou": miou})
    return pd.DataFrame(rows)


TABLE = TableSpec(
    name="worst-images",
    heading="Images with the lowest mIoU",
    place=50,
    values=_values,
    shown=False,
)
