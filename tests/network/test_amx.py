"""Convolutions in tiles against torch's, over shapes that no network of ours has too."""

import threading
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fdikp.network import amx, native
from fdikp.network.blocks import activated, joined

needs_tiles = pytest.mark.skipif(not native.tiles(), reason="this processor has no AMX, or its system does not let us")


def layer(
    channels: int, out: int, side: int = 3, stride: int = 1, seed: int = 0, border: int | None = None
) -> nn.Conv2d:
    torch.manual_seed(seed)
    conv = nn.Conv2d(channels, out, side, stride, padding=side // 2 if border is None else border)
    return conv.to(torch.bfloat16).requires_grad_(False)


def picture(*shape: int) -> Tensor:
    return torch.randn(*shape).to(torch.bfloat16)


def check(
    conv: nn.Conv2d, x: Tensor, slope: float = 1.0, skip: Tensor | None = None, beside: Tensor | None = None
) -> None:
    both = x if beside is None else torch.cat((x, beside), dim=1)
    assert conv.bias is not None
    with torch.no_grad():
        assert amx.applies(conv, *([x] if beside is None else [x, beside]))
        found = amx.convolved(conv, x, slope, skip, beside)
        y = F.conv2d(both.double(), conv.weight.double(), conv.bias.double(), conv.stride, conv.padding)
        wanted = F.leaky_relu(y if skip is None else y + skip.double(), slope)
    assert found.shape == wanted.shape
    assert found.dtype == torch.bfloat16
    assert (found.double() - wanted).norm() <= 4e-3 * wanted.norm()  # rounded once
    assert (found.double() - wanted).abs().max() <= 0.01 * wanted.abs().max()


@needs_tiles
@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 99),
    st.integers(1, 3),
    st.sampled_from([1, 3, 12, 16, 18, 32, 44, 64, 96, 160]),
    st.sampled_from([0, 1, 12, 32]),
    st.sampled_from([3, 12, 16, 32, 48, 64, 80, 160]),
    st.sampled_from([(1, 0), (2, 0), (2, 1), (3, 1), (3, 0), (4, 3), (5, 2), (5, 4)]),
    st.integers(1, 2),
    st.integers(7, 40),
    st.integers(7, 70),
    st.sampled_from([0.0, 0.2, 1.0]),
    st.booleans(),
)
def test_any_size(
    seed: int,
    B: int,
    own: int,
    more: int,
    out: int,
    window: tuple[int, int],
    stride: int,
    H: int,
    W: int,
    slope: float,
    skips: bool,
) -> None:
    side, border = window
    conv = layer(own + more, out, side, stride, seed, border)
    rows, width = ((size + 2 * border - side) // stride + 1 for size in (H, W))
    skip = picture(B, out, rows, width) if skips else None
    check(conv, picture(B, own, H, W), slope, skip, picture(B, more, H, W) if more else None)


@needs_tiles
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("channels", "side"), [(512, 1), (512, 3), (400, 4), (256, 5), (52, 11)])
@pytest.mark.parametrize("stride", [1, 2])
def test_rows_too_long_for_the_workspace_in_several_threads(
    threads: int, channels: int, side: int, stride: int
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        check(layer(channels, 40, side, stride), picture(2, channels, 21, 700), 0.2)
    finally:
        torch.set_num_threads(before)


@needs_tiles
def test_what_is_not_a_number_spreads_no_farther_than_its_windows() -> None:
    """Where runs are whole; else as far as they are rounded up."""
    x = torch.zeros(1, 32, 40, 40, dtype=torch.bfloat16)
    x[0, 3, 20, 20] = torch.nan
    with torch.no_grad():
        found = amx.convolved(layer(32, 32), x).isnan().any(dim=1)[0]
    assert found[19:22, 19:22].all()
    assert found.sum() == 9


@needs_tiles
def test_beside_torchs_own_tiles_and_in_a_thread_of_its_own() -> None:
    """Both lay tiles out for themselves; a thread begins without any."""
    conv, x = layer(32, 32), picture(1, 32, 33, 45)

    def work() -> None:
        for _ in range(3):
            check(conv, x)
            found.append(conv(x) @ x.transpose(-1, -2))

    found: list[Tensor] = []
    work()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(found) == 6
    assert all(torch.equal(y, found[0]) for y in found)


@needs_tiles
@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 99),
    st.integers(1, 3),
    st.sampled_from([3, 16, 32, 160]),
    st.sampled_from([3, 16, 32, 64, 80]),
    st.integers(1, 20),
    st.integers(1, 40),
    st.sampled_from([0.2, 1.0]),
)
def test_transposed_convolution(seed: int, B: int, channels: int, out: int, H: int, W: int, slope: float) -> None:
    torch.manual_seed(seed)
    conv = nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1).to(torch.bfloat16).requires_grad_(False)
    x = picture(B, channels, H, W)
    assert conv.bias is not None
    with torch.no_grad():
        y = F.conv_transpose2d(x.double(), conv.weight.double(), conv.bias.double(), stride=2, padding=1)
        wanted = F.leaky_relu(y, slope)
        assert amx.doubles(conv, x)
        found = amx.doubled(conv, x, slope)
        assert torch.equal(activated(conv, x, slope), found)
    assert found.shape == wanted.shape
    assert (found.double() - wanted).norm() <= 4e-3 * wanted.norm()
    assert (found.double() - wanted).abs().max() <= 0.01 * wanted.abs().max()


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 2, "stride": 2},
        {"kernel_size": 4, "stride": 2},
        {"kernel_size": 4, "stride": 2, "padding": 1, "output_padding": 1},
        {"kernel_size": 4, "stride": 2, "padding": 1, "groups": 2},
        {"kernel_size": 4, "stride": 2, "padding": 1, "bias": False},
    ],
)
def test_other_transposed_layers_are_left_to_torch(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "tiles", lambda: True)
    conv = nn.ConvTranspose2d(32, 32, **options).to(torch.bfloat16)
    with torch.no_grad():
        assert not amx.doubles(conv, picture(1, 32, 9, 9))


@needs_tiles
def test_what_convolves_takes_it() -> None:
    conv, x, y = layer(32, 16), picture(1, 20, 9, 9), picture(1, 12, 9, 9)
    with torch.no_grad():
        both = torch.cat((x, y), dim=1)
        assert torch.equal(activated(conv, both, 0.2), amx.convolved(conv, both, 0.2))
        assert torch.equal(joined(conv, x, y), amx.convolved(conv, x, beside=y))


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(32, 32, 3, padding=1, stride=3),
        nn.Conv2d(32, 32, 3, padding=1, stride=(1, 2)),
        nn.Conv2d(32, 32, 3, padding=2, dilation=2),
        nn.Conv2d(32, 32, 3, padding=1, groups=2),
        nn.Conv2d(32, 32, 3, padding=1, bias=False),
        nn.Conv2d(32, 32, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(32, 32, (3, 5), padding=(1, 2)),
        nn.Conv2d(32, 32, 3, padding=(0, 1)),
        nn.Conv2d(32, 32, 3, padding="same"),
        nn.Conv2d(3, 32, 12),
        nn.Conv2d(3, 32, 13, padding=6),
        nn.Conv2d(514, 32, 1),
        nn.Conv2d(544, 32, 5, padding=2),
    ],
)
def test_other_layers_are_left_to_torch(conv: nn.Conv2d, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "tiles", lambda: True)
    conv.to(torch.bfloat16)
    with torch.no_grad():
        assert not amx.applies(conv, picture(1, conv.in_channels, 12, 12))


@pytest.mark.skipif(native.library() is None, reason="no C compiler was there at installation")
def test_float32_is_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "tiles", lambda: True)
    with torch.no_grad():
        assert amx.applies(layer(32, 32), picture(1, 32, 9, 9))
        assert not amx.applies(layer(32, 32).float(), torch.randn(1, 32, 9, 9))
        assert not amx.applies(layer(32, 32), torch.randn(1, 32, 9, 9))


def test_without_tiles_or_where_there_is_a_gradient_it_is_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    conv, x = layer(32, 32), picture(1, 32, 9, 9)
    monkeypatch.setattr(native, "tiles", lambda: True)
    assert not amx.applies(conv, x)
    monkeypatch.setattr(native, "tiles", lambda: False)
    with torch.no_grad():
        assert not amx.applies(conv, x)


@pytest.mark.parametrize(("channels", "out", "side"), [(32, 32, 3), (44, 48, 5), (18, 12, 1), (70, 80, 3), (3, 16, 11)])
def test_packed_weights_are_the_tiles_of_a_product(channels: int, out: int, side: int) -> None:
    """One window, by what `amx.c` reads: runs of 32 numbers times tiles, group by group of 32 results."""
    weight = torch.randn(out, channels, side, side)
    window = torch.randn(channels, side, side)
    seen = window.permute(1, 2, 0).flatten(1)  # a row of pixels as it lies in memory
    runs = F.pad(seen, (0, -seen.shape[1] % 32)).view(side, -1, 16, 2)
    left, results = amx.packed(weight), []
    for first in range(0, out, 32):
        columns = 2 if out - first > 16 else 1
        tiles = left[: runs.numel() * 16 * columns].view(side, -1, columns, 16, 16, 2)
        left = left[tiles.numel() :]
        results.append(torch.einsum("inpe,incpoe->co", runs, tiles).flatten())
    assert len(left) == 0
    found = torch.cat(results)
    torch.testing.assert_close(found[:out], torch.einsum("cij,ocij->o", window, weight), atol=1e-4, rtol=1e-4)
    assert not found[out:].any()
