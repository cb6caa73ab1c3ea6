"""The registry: lazy, without duplicates, helpful with names."""

import csv
import dataclasses
from pathlib import Path

import pytest

import architectures
from architectures.catalog import make_table

ROOT = Path(__file__).parents[2]
VGG_SIZED = ["segnet", "fcn8s", "fcn8s-bilinear", "deeplab-largefov", "deconvnet"]
BASIC = [
    "bilinear-interpolation",
    "segnet-basic",
    "segnet-basic-encoder-addition",
    "segnet-basic-single-channel-decoder",
    "fcn-basic",
    "fcn-basic-no-addition",
    "fcn-basic-no-dim-reduction",
    "fcn-basic-no-addition-no-dim-reduction",
]
BASELINES = ["position-prior", "pixel-mlp"]


@pytest.mark.parametrize("name", architectures.names())
def test_entry_is_complete(name: str) -> None:
    info = architectures.info(name)
    assert info.name == name
    assert info.min_size == (32 if name in VGG_SIZED else 16 if name in BASIC else 1)
    assert info.output_stride == (8 if name == "deeplab-largefov" else 1)
    assert info.fixed_size == (name == "deconvnet")
    assert info.revision >= 1
    assert ("arXiv" in info.reference) == (info.context == "image")
    assert "\n" not in info.reference + info.summary
    with pytest.raises(dataclasses.FrozenInstanceError):
        info.revision = 99  # type: ignore[misc]


def test_titles_are_those_of_the_paper(shared: Path) -> None:
    in_paper = set()
    for table, column in (("table3_camvid", "network"), ("table1_decoder_variants", "variant")):
        with (shared / f"paper/{table}.csv").open(newline="") as file:
            in_paper |= {row[column] for row in csv.DictReader(file)}
    titles = {architectures.info(name).title for name in architectures.names(baselines=False)}
    assert titles == in_paper - {"DeepLab-LargeFOV-denseCRF"}
    assert not {architectures.info(name).title for name in BASELINES} & in_paper


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(architectures.ArchitectureError, match=r"'SegNte'; did you mean 'segnet'\?"):
        architectures.info("SegNte")
    with pytest.raises(architectures.ArchitectureError) as caught:
        architectures.build("zzzzzz", 11)
    assert "did you mean" not in str(caught.value)
    assert "deeplab-largefov" in str(caught.value)


def test_duplicate_name_raises() -> None:
    info = architectures.info("segnet")
    with pytest.raises(architectures.ArchitectureError, match=r"'segnet' is registered twice: as .* and as a:B"):
        make_table([info, dataclasses.replace(info, target="a:B")])
