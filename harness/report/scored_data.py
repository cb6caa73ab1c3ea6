"""The data that runs were scored on: what is known of it, and its pictures, where they may be had."""

from dataclasses import dataclass

import datasets
from harness.config.run_spec import RunSpec
from harness.records.run import RunRecord


def class_names(record: RunRecord) -> tuple[str, ...]:
    """Names of the classes; numbers for a dataset that is not known here."""
    info = dataset_info(record.spec)
    if info is not None and info.num_classes == record.spec.num_classes:
        return info.classes
    return tuple(f"class {number}" for number in range(record.spec.num_classes))


def dataset_info(spec: RunSpec) -> datasets.DatasetInfo | None:
    """The description of a run's dataset; none where it is not known here."""
    try:
        return spec.dataset_info
    except datasets.DatasetError:
        return None


def image_names(record: RunRecord, split: str, count: int) -> list[str]:
    """The ids of a split's images: drawn ones are numbered; a record does not name those of other datasets."""
    info = dataset_info(record.spec)
    if info is not None and info.synthetic:
        return [f"{split}_{number:03d}" for number in range(count)]
    return [""] * count


@dataclass(frozen=True, kw_only=True)
class Source:
    """The test split, opened for its pictures, and the hash of the edition that it is of."""

    test: datasets.Dataset
    digest: str


def open_source(dataset: datasets.DatasetInfo, data_root: str | None) -> Source | None:
    """The pictures of a dataset with their edition, if they may be had; as `open_test`."""
    test = open_test(dataset, data_root)
    if test is None:
        return None
    return Source(test=test, digest=datasets.content_hash(dataset.name, None if dataset.synthetic else data_root)[1])


def open_test(dataset: datasets.DatasetInfo, data_root: str | None) -> datasets.Dataset | None:
    """The test split, if its pictures may be had: of drawn data always, of others where a root is given.

    Raises:
        datasets.DatasetError: a root was given, and the data there can't be read.
    """
    if not dataset.synthetic and data_root is None:
        return None
    return datasets.load(dataset.name, "test", None if dataset.synthetic else data_root)
