"""The eight decoder variants of Table 1: sizes, what is kept for the decoder, and how they upsample."""

import csv
import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import architectures
from architectures.encoders.basic import BasicNetwork
from architectures.layers import BatchNorm2d, bilinear_
from architectures.pooling import set_storage
from harness.config.protocol import load_protocol
from harness.paper import table
from harness.profiling.flops import decoder_storage
from harness.training.optimizers import build_optimizer

VARIANTS = [
    "bilinear-interpolation",
    "segnet-basic",
    "segnet-basic-encoder-addition",
    "segnet-basic-single-channel-decoder",
    "fcn-basic",
    "fcn-basic-no-addition",
    "fcn-basic-no-dim-reduction",
    "fcn-basic-no-addition-no-dim-reduction",
]
# Scales and shifts of batch norm after the deconvolutions, which the table of definitions leaves out
DECONVOLUTION_NORMS = {
    "fcn-basic": 4 * 2 * 11,
    "fcn-basic-no-addition": 4 * 2 * 11,
    "fcn-basic-no-dim-reduction": 4 * 2 * 64,
    "fcn-basic-no-addition-no-dim-reduction": 4 * 2 * 64,
}
# Bytes kept at the first pooled resolution, 180 x 240, over SegNet-Basic's 64 maps of 2-bit codes.
MULTIPLES = [0, 1, 17, 1, 2.75, 0, 16, 0]


def built(name: str, size: tuple[int, int] = (360, 480)) -> BasicNetwork:
    network = architectures.build(name, 11, size)
    assert isinstance(network, BasicNetwork)
    return network


@pytest.mark.parametrize("name", VARIANTS)
def test_totals_are_those_of_the_definitions(name: str, shared: Path) -> None:
    with (shared / "reference/basic_variants.csv").open(newline="") as file:
        rows = {row["variant"]: row for row in csv.DictReader(file)}
    expected = rows[architectures.info(name).title]
    with torch.device("meta"):
        network = built(name)
    norms = sum(
        p.numel() for module in network.modules() if isinstance(module, BatchNorm2d) for p in module.parameters()
    )
    weights = sum(p.numel() for p in network.parameters() if p.ndim == 4)
    total = sum(p.numel() for p in network.parameters())
    further = DECONVOLUTION_NORMS.get(name, 0)
    assert norms == int(expected["bn_scale_shift"]) + further
    assert weights == int(expected["weights_only"])
    assert total - weights - norms == int(expected["biases_if_present"])
    assert total == int(expected["total_with_bn_and_biases"]) + further


@pytest.mark.parametrize("name", list(DECONVOLUTION_NORMS))
def test_batch_norm_follows_every_deconvolution(name: str) -> None:
    """Its scales decay, its shifts are grouped as shifts, and no parameter is in two groups or in none."""
    with torch.device("meta"):
        network = built(name)
    followed = [
        (layer, norm)
        for block in network.decoder.children()
        if isinstance(block, nn.Sequential)
        for layer, norm in itertools.pairwise(block)
        if isinstance(layer, nn.ConvTranspose2d) and isinstance(norm, BatchNorm2d)
    ]
    assert len(followed) == 4 == sum(isinstance(module, nn.ConvTranspose2d) for module in network.modules())
    assert all(layer.bias is None and layer.out_channels == norm.num_features for layer, norm in followed)

    groups = build_optimizer(network, load_protocol("decoders@2")).param_groups
    decayed, shifts, biases = ({id(parameter) for parameter in group["params"]} for group in groups)
    assert {id(norm.weight) for _, norm in followed} <= decayed
    assert {id(layer.weight) for layer, _ in followed} <= decayed
    assert {id(norm.bias) for _, norm in followed} <= shifts
    assert biases == {
        id(module.bias) for module in network.modules() if isinstance(module, nn.Conv2d) and module.bias is not None
    }
    assert len(decayed) + len(shifts) + len(biases) == len(list(network.parameters()))


@pytest.mark.parametrize("name", VARIANTS)
def test_sizes_are_the_published_ones(name: str) -> None:
    """Table 1's millions are file sizes of 4 bytes a parameter, rounded to 0.1 MB, over 4."""
    published = {row["variant"]: row["params_m"] for row in table("table1_decoder_variants").to_dict("records")}
    with torch.device("meta"):
        megabytes = 4 * sum(p.numel() for p in built(name).parameters()) / 1e6
    assert round(megabytes, 1) / 4 == pytest.approx(published[architectures.info(name).title])


@pytest.mark.parametrize(("name", "multiple"), list(zip(VARIANTS, MULTIPLES, strict=True)))
def test_bytes_kept_for_the_decoder(name: str, multiple: float) -> None:
    kept = decoder_storage(lambda: built(name), (360, 480))
    codes = 64 * 180 * 240 // 4
    assert codes == 691_200
    assert kept["2bit"][0] == multiple * codes
    maps = {"segnet-basic-encoder-addition": 11_059_200, "fcn-basic": 1_900_800}.get(name, 0)
    if "segnet" in name:
        assert kept["uint8"][0] == 4 * codes + maps
        assert kept["int64"][0] == 32 * codes + maps
    else:
        assert kept["uint8"] == kept["int64"] == kept["2bit"]
    assert maps in (0, kept["2bit"][0] - codes * ("segnet" in name))


def test_all_share_one_encoder() -> None:
    networks = []
    for name in VARIANTS:
        torch.manual_seed(0)
        networks.append(built(name).encoder.state_dict())
    for other in networks[1:]:
        assert other.keys() == networks[0].keys()
        assert all(torch.equal(other[key], networks[0][key]) for key in other)


@pytest.mark.parametrize("name", VARIANTS)
def test_there_is_no_relu_in_a_decoder(name: str) -> None:
    with torch.device("meta"):
        network = built(name)
    assert sum(isinstance(module, nn.ReLU) for module in network.encoder.modules()) == 4
    assert not any(isinstance(module, nn.ReLU) for module in network.decoder.modules())


@pytest.mark.parametrize("size", [(360, 480), (240, 208), (201, 299)])
@pytest.mark.parametrize("name", [name for name in VARIANTS if "segnet" not in name and "-addition" not in name])
def test_upsampling_starts_with_gain_1(name: str, size: tuple[int, int]) -> None:
    """A constant goes through the untrained upsampling as it is, away from the borders."""
    network = built(name, size).eval()
    decoder = network.decoder
    if name == "fcn-basic-no-dim-reduction":
        decoder.additions = False  # type: ignore[assignment]
    with torch.no_grad():
        for parameter in decoder.parameters():
            if parameter.ndim == 4 and parameter.shape[-1] == 1:
                parameter.fill_(1 / 64)
        for module in decoder.modules():
            if isinstance(module, BatchNorm2d):  # without its shift it changes nothing before training
                module.bias.zero_()
        _, kept = network.encoder(torch.zeros(1, 3, *size), decoder)
        pooled = torch.ones(1, 64, -(-size[0] // 16), -(-size[1] // 16))
        for entry in kept:
            if entry.maps is not None:
                entry.maps.zero_()
        logits = decoder(pooled, kept)
    assert logits.shape == (1, 11, *size)
    inner = logits[..., 64:-64, 64:-64]
    torch.testing.assert_close(inner, torch.ones_like(inner))


@pytest.mark.parametrize(("kernel", "stride"), [((7, 8), 2), ((8, 8), 2), ((4, 4), 2), ((16, 16), 8)])
def test_bilinear_taps_sum_to_1_in_every_output_pixel(kernel: tuple[int, int], stride: int) -> None:
    layer = nn.ConvTranspose2d(3, 3, kernel, stride=stride, bias=False)
    bilinear_(layer)
    out = layer(torch.ones(1, 3, 9, 9))[..., 16:-16, 16:-16] if stride == 8 else layer(torch.ones(1, 3, 9, 9))
    inner = out[..., 8:-8, 8:-8]
    torch.testing.assert_close(inner, torch.ones_like(inner))
    off = layer.weight.detach().clone()
    off[range(3), range(3)] = 0
    assert not off.any()


def test_bilinear_interpolation_lies_where_the_windows_do() -> None:
    """Score j of a coarse map at 2j + 0.5 of the finer: a ramp stays a ramp."""
    decoder = built("bilinear-interpolation").decoder
    with torch.no_grad():
        decoder.conv_classifier.weight.fill_(1 / 64)  # type: ignore[union-attr,operator]
        _, kept = built("bilinear-interpolation").encoder(torch.zeros(1, 3, 64, 96), decoder)
        ramp = (torch.arange(6) * 16 + 7.5).expand(1, 64, 4, 6)
        logits = decoder(ramp, kept)
    columns = torch.arange(96.0)[16:80]
    torch.testing.assert_close(logits[0, 0, 32, 16:80], columns, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("name", ["segnet-basic-encoder-addition", "fcn-basic", "fcn-basic-no-dim-reduction"])
def test_encoder_maps_are_added_below_full_size(name: str) -> None:
    """Replacing a kept map by zeros changes the logits; at full size nothing is kept."""
    torch.manual_seed(0)
    network = built(name, (48, 64)).eval()
    images = torch.rand(1, 3, 48, 64)

    def logits(without: int | None) -> Tensor:
        x, kept = network.encoder(images, network.decoder)
        assert [entry.maps is not None for entry in kept] == [True, True, True, False]
        assert [tuple(entry.maps.shape[2:]) for entry in kept[:3]] == [(24, 32), (12, 16), (6, 8)]
        if without is not None:
            kept[without].maps.zero_()
        found: Tensor = network.decoder(x, kept)
        return found

    with torch.no_grad():
        whole = logits(None)
        assert torch.equal(whole, network(images))
        for stage in range(3):
            assert not torch.equal(logits(stage), whole)


@pytest.mark.parametrize("name", ["bilinear-interpolation", "fcn-basic-no-addition", "segnet-basic"])
def test_others_keep_no_maps(name: str) -> None:
    network = built(name, (48, 64)).eval()
    with torch.no_grad():
        _, kept = network.encoder(torch.rand(1, 3, 48, 64), network.decoder)
    assert all(entry.maps is None for entry in kept)
    assert all((entry.indices is not None) == (name == "segnet-basic") for entry in kept)


def test_single_channel_decoder_mixes_no_maps() -> None:
    network = built("segnet-basic-single-channel-decoder", (32, 32)).eval()
    with torch.no_grad():
        x = torch.zeros(1, 64, 2, 2)
        before = network.decoder.stage4  # type: ignore[union-attr]
        maps = functional.interpolate(x, size=(4, 4))
        touched = maps.clone()
        touched[:, 5] = 1.0
        for layer in before:  # type: ignore[union-attr,operator]
            maps, touched = layer(maps), layer(touched)
    changed = (maps != touched).flatten(2).any(dim=2)[0]
    assert changed.nonzero().flatten().tolist() == [5]


def test_storage_is_no_part_of_the_network_s_state() -> None:
    network = built("segnet-basic", (32, 32))
    keys = set(network.state_dict())
    set_storage(network, "2bit")
    assert set(network.state_dict()) == keys
