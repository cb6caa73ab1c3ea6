"""URIs of other libraries' networks: described without the library, and refused in one line."""

from pathlib import Path

import pytest

import architectures
from architectures.external import libraries

ROOT = Path(__file__).parents[2]


def test_a_uri_is_described_without_its_library() -> None:
    info = architectures.info("smp:Unet/tu-convnext_tiny.in12k")
    assert info.title == info.name == "smp:Unet/tu-convnext_tiny.in12k"
    assert (info.output_stride, info.fixed_size, info.min_size) == (1, False, 32)
    assert info.imagenet == "own" and info.wraps == "Unet/tu-convnext_tiny.in12k"
    assert architectures.info("torchvision:fcn_resnet50").wraps == "fcn_resnet50"
    assert architectures.info("smp:PAN/resnet34").min_size == 128


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("hub:Unet/resnet34", "'hub:Unet/resnet34': known are smp:DECODER/ENCODER, torchvision:NETWORK"),
        ("smp:unet/resnet34", "did you mean 'Unet'"),
        ("smp:Unett/resnet34", "did you mean 'Unet'"),
        ("smp:Unet", "write smp:DECODER/ENCODER, such as smp:Unet/resnet34"),
        ("smp:Unet/", "write smp:DECODER/ENCODER"),
        ("smp:Unet/../x", "write smp:DECODER/ENCODER"),
        ("torchvision:fcn_resnet50/resnet34", "write torchvision:NETWORK, such as torchvision:fcn_resnet50"),
        ("torchvision:fcn_resnet51", "did you mean 'fcn_resnet50'"),
    ],
)
def test_a_bad_uri_is_refused(uri: str, says: str) -> None:
    with pytest.raises(architectures.ArchitectureError) as caught:
        architectures.info(uri)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_an_encoder_that_the_library_lacks_is_refused_before_it_is_built() -> None:
    for name, says in (
        ("smp:Unet/resnet35", "no encoder 'resnet35'; did you mean 'resnet"),
        ("smp:Unet/tu-convnext_tinny", "timm has no network 'convnext_tinny'; did you mean 'tu-convnext"),
    ):
        with pytest.raises(architectures.ArchitectureError, match=says):
            architectures.verify(name)
        with pytest.raises(architectures.ArchitectureError, match=says):
            architectures.build(name, 5)
    architectures.verify("smp:Unet/resnet34")
    architectures.verify("torchvision:lraspp_mobilenet_v3_large")
    architectures.verify("segnet")


def test_every_library_s_example_is_a_uri_of_its_own() -> None:
    for library in libraries.LIBRARIES:
        architectures.info(f"{library.scheme}:{library.example}")


def test_names_of_files() -> None:
    assert architectures.file_name("smp:Unet/resnet34") == "smp-Unet-resnet34"
    assert architectures.file_name("segnet-basic") == "segnet-basic"
