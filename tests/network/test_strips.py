"""Strip attention against a loop over rows."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fdikp.network import ops
from fdikp.network.ops.reference_ops import attend_between_rows, attend_within_rows
from fdikp.network.strips import StripAttention


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scaled dot-product attention of [tokens, features], written out."""
    return torch.softmax(q @ k.T / math.sqrt(q.shape[-1]), dim=-1) @ v


def within_rows_by_loop(qkv: Tensor, heads: int) -> Tensor:
    B, H, W, C = qkv.shape[0], qkv.shape[1], qkv.shape[2], qkv.shape[3] // 3
    q, k, v = qkv.split(C, dim=-1)
    out = torch.empty(B, H, W, C, dtype=qkv.dtype)
    for b in range(B):
        for row in range(H):
            for part in torch.arange(C).chunk(heads):
                out[b, row][:, part] = attention(*(t[b, row][:, part] for t in (q, k, v)))
    return out


def between_rows_by_loop(qkv: Tensor, heads: int) -> Tensor:
    B, H, W, C = qkv.shape[0], qkv.shape[1], qkv.shape[2], qkv.shape[3] // 3
    q, k, v = qkv.split(C, dim=-1)
    out = torch.empty(B, H, W, C, dtype=qkv.dtype)
    for b in range(B):
        for part in torch.arange(C).chunk(heads):
            rows = [t[b][:, :, part].reshape(H, -1) for t in (q, k, v)]  # a row with all its pixels is one token
            out[b][:, :, part] = attention(*rows).reshape(H, W, len(part))
    return out


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize(
    ("fast", "slow"), [(attend_within_rows, within_rows_by_loop), (attend_between_rows, between_rows_by_loop)]
)
def test_matches_a_loop(fast, slow, heads: int) -> None:  # type: ignore[no-untyped-def]
    qkv = torch.randn(2, 5, 6, 3 * 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(fast(qkv, heads), slow(qkv, heads))


@pytest.mark.parametrize("kind", ["intra", "inter"])
def test_vertical_strips_are_transposed_horizontal_strips(kind) -> None:  # type: ignore[no-untyped-def]
    """A block with the weights of its halves exchanged and its convolution transposed commutes with transposition."""
    torch.manual_seed(0)
    block, turned = StripAttention(16, 2, kind).double(), StripAttention(16, 2, kind).double()
    state = block.state_dict()
    swap = torch.cat((torch.arange(8, 16), torch.arange(8)))
    state["split.weight"], state["split.bias"] = state["split.weight"][swap], state["split.bias"][swap]
    state["fuse.weight"] = state["fuse.weight"][:, swap]
    for name in ("weight", "bias"):
        state[f"rows.{name}"], state[f"columns.{name}"] = state[f"columns.{name}"], state[f"rows.{name}"]
    state["position.weight"] = state["position.weight"].transpose(-1, -2)
    turned.load_state_dict(state)
    x = torch.randn(1, 16, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(turned(x.transpose(-1, -2)).transpose(-1, -2), block(x))


def test_intra_keeps_rows_apart_and_inter_does_not() -> None:
    qkv = torch.randn(1, 4, 4, 12, dtype=torch.float64)
    changed = qkv.clone()
    changed[0, 3] += 1
    torch.testing.assert_close(attend_within_rows(qkv, 2)[0, :3], attend_within_rows(changed, 2)[0, :3])
    assert (attend_between_rows(qkv, 2)[0, :3] - attend_between_rows(changed, 2)[0, :3]).abs().max() > 1e-3


@pytest.mark.parametrize("between", [False, True])
def test_fused_attention_runs_on_cpus_in_float32_without_a_gradient_alone(
    between: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, fused = [], F.scaled_dot_product_attention

    def counted(*tensors: Tensor) -> Tensor:
        calls.append(tensors)
        return fused(*tensors)

    monkeypatch.setattr(F, "scaled_dot_product_attention", counted)
    rows, columns = torch.randn(2, 2, 5, 6, 3 * 8, generator=torch.Generator().manual_seed(0))
    with_gradient = ops.attend_in_strips(rows, columns, 2, between)
    with torch.no_grad():
        ops.attend_in_strips(rows.bfloat16(), columns.bfloat16(), 2, between)
        with ops.reference():
            ops.attend_in_strips(rows, columns, 2, between)
        assert not calls
        torch.testing.assert_close(ops.attend_in_strips(rows, columns, 2, between), with_gradient)
    assert len(calls) == 2
