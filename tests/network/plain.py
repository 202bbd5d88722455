"""The network's forward pass, written out in float32 with torch's textbook operations on contiguous planes.

The oracle for the network, with fused kernels and by its reference bodies, and for the operation counts of the
benchmark's targets. It uses the weights of an `FDIKP` and none of its code.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network import FDIKP
from fdikp.network.dilation import ENERGY_FLOOR


class Plain(nn.Module):
    """The same function as the given network in inference mode, for sides that are multiples of 16 and at least 48.

    The weights are not parameters of this module, so converting it to another type leaves them in float32.
    """

    def __init__(self, network: FDIKP) -> None:
        super().__init__()
        self.config = network.config
        assert self.config.predictor == "frequency" and self.config.bottleneck == "sequential"
        assert self.config.kernels_act_on == "codes" and self.config.blur_reads == "detail"
        self.__dict__["weights"] = {
            name: tensor.detach().float().contiguous() for name, tensor in network.state_dict().items()
        }

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] to [B, 3, H, W], float32."""
        x = x.float().contiguous()
        previous = state = None
        change: Any = 0.0
        for scale in (4, 2, 1):
            blurry = F.avg_pool2d(x, scale)
            base = blurry + change
            first = self.candidate_residuals(blurry, base)
            second = first if previous is None else self.candidate_residuals(previous, base)
            coefficients, state = self.recurrent(self.features(blurry), state)
            weighted = torch.cat((first, second), 1) * coefficients.unsqueeze(2)
            image = base + self.conv("output", weighted.flatten(1, 2))
            if scale > 1:
                previous = F.interpolate(image, scale_factor=2, mode="bilinear")
                change = F.interpolate(image - blurry, scale_factor=2, mode="bilinear")
                state = tuple(F.interpolate(part, scale_factor=2, mode="bilinear") for part in state)
        return image

    def conv(self, name: str, x: Tensor, **how: Any) -> Tensor:
        return F.conv2d(x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"), **how)

    def transposed(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return F.conv_transpose2d(x, weight, bias, stride=2, padding=1)

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def normal(self, name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    # FIKP

    def candidate_residuals(self, x: Tensor, base: Tensor) -> Tensor:
        """The deconvolved images and x itself minus the base, refined: [B, N + 1, 3, H, W]."""
        sampled = self.sample(x, self.dilation(x))  # [B, 3, K², H, W]
        weights = self.kernels(x).flatten(2)  # [B, N, K²]
        deconvolved = (weights[:, :, None, :, None, None] * sampled[:, None]).sum(dim=3)
        residuals = torch.cat((deconvolved, x[:, None]), 1) - base[:, None]
        return self.conv("fikp.refine", residuals.flatten(1, 2), padding=1).unflatten(1, (-1, 3))

    def kernels(self, x: Tensor) -> Tensor:
        K = self.config.kernel_size
        f = torch.fft.fftshift(torch.fft.rfft2(x, norm="ortho"), dim=-2)
        amplitude = torch.log1p(f.abs() / 1e-3) / 4
        phase = f.angle() * f.abs() ** 2 / (f.abs() ** 2 + 1e-6)
        residual = amplitude - self.mean(amplitude, 3)
        weight, bias = self.weights["fikp.predict.attend.weight"], self.weights["fikp.predict.attend.bias"]
        response = F.conv2d(residual, weight, padding=1).clamp_min(0).mean((-2, -1))
        attention = (8 * response + bias).softmax(1)[:, None]
        A = 2 * K**2 * self.predict("fikp.predict.amplitude", amplitude)
        P = math.pi * K**2 * self.predict("fikp.predict.phase", phase) * attention
        A[..., 0], P[..., 0] = 1, 0
        spectrum = torch.polar(A, P).unflatten(-1, (K, K))
        return torch.fft.fftshift(torch.fft.ifft2(spectrum).real, dim=(-2, -1))

    def predict(self, name: str, x: Tensor) -> Tensor:
        N = self.config.kernels
        x = F.adaptive_avg_pool2d(F.relu(self.conv(f"{name}.read", x, padding=2)), N)
        x = F.adaptive_avg_pool2d(F.relu(self.conv(f"{name}.mix", x)), (N, 1))
        logits = self.conv(f"{name}.last", x).squeeze(-1).transpose(1, 2)
        return (logits + self.weights[f"{name}.bank"]).softmax(-1)

    def mean(self, x: Tensor, side: int) -> Tensor:
        return F.avg_pool2d(F.pad(x, (side // 2,) * 4, mode="replicate"), side, stride=1)

    def dilation(self, x: Tensor) -> Tensor:
        rest, energy = x.mean(1, keepdim=True), []
        for side in (3, 3, 5):
            smooth = self.mean(rest, side)
            energy.append(self.mean(self.mean((rest - smooth) ** 2, 9), 9))
            rest = smooth
        detail = torch.log1p(torch.cat(energy, 1) / ENERGY_FLOOR) / 10
        logits = self.conv("fikp.blur.weigh", F.pad(detail, (1,) * 4, mode="replicate"))
        return self.config.dilation_range * torch.sigmoid(logits)

    def sample(self, x: Tensor, D: Tensor) -> Tensor:
        """x at p + Δp D(p) for the K² offsets Δp: [B, 3, K², H, W]."""
        K, (H, W) = self.config.kernel_size, x.shape[-2:]
        ys, xs = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
        taps = []
        for dy in range(-(K // 2), K // 2 + 1):
            for dx in range(-(K // 2), K // 2 + 1):
                across, down = xs + dx * D[:, 0], ys + dy * D[:, 0]
                grid = torch.stack(((2 * across + 1) / W - 1, (2 * down + 1) / H - 1), -1)
                taps.append(F.grid_sample(x, grid, padding_mode="border", align_corners=False))
        return torch.stack(taps, 2)

    # DSRM

    def features(self, x: Tensor) -> Tensor:
        c = self.config
        full = self.blocks("dsrm.encoder.full_blocks", leaky(self.conv("dsrm.encoder.to_full", 2 * x - 1, padding=1)))
        half = leaky(self.conv("dsrm.encoder.to_half", full, padding=1, stride=2))
        half = self.blocks("dsrm.encoder.half_blocks", half)
        x = leaky(self.conv("dsrm.encoder.to_quarter", half, padding=1, stride=2))
        for n in range(2 * c.bottleneck_depth):
            x = self.strips(f"dsrm.bottleneck.0.{n}", x, between=bool(n % 2))
        for n in range(c.bottleneck_depth):
            x = self.frequency(f"dsrm.bottleneck.1.{n}", x)
        up = leaky(self.transposed("dsrm.decoder.to_half", x))
        x = self.blocks("dsrm.decoder.half_blocks", self.conv("dsrm.decoder.meet_half", torch.cat((up, half), 1)))
        up = leaky(self.transposed("dsrm.decoder.to_full", x))
        x = self.conv("dsrm.decoder.meet_full", torch.cat((up, full), 1))
        return self.blocks("dsrm.decoder.full_blocks", x + self.conv("dsrm.decoder.smooth", x, padding=1))

    def blocks(self, name: str, x: Tensor) -> Tensor:
        n = 0
        while f"{name}.{n}.first.weight" in self.weights:
            y = leaky(self.conv(f"{name}.{n}.first", x, padding=1))
            x = leaky(x + self.conv(f"{name}.{n}.second", y, padding=1))
            n += 1
        return x

    def strips(self, name: str, x: Tensor, between: bool) -> Tensor:
        y = x.permute(0, 2, 3, 1)
        across, down = self.linear(f"{name}.split", self.normal(f"{name}.norm", y)).chunk(2, -1)
        across = self.attend(self.linear(f"{name}.rows", across), between)
        down = self.attend(self.linear(f"{name}.columns", down).transpose(1, 2), between).transpose(1, 2)
        y = y + self.linear(f"{name}.fuse", torch.cat((across, down), -1))
        mlp = F.gelu(self.linear(f"{name}.mlp.1", self.normal(f"{name}.mlp.0", y)))
        y = (y + self.linear(f"{name}.mlp.3", mlp)).permute(0, 3, 1, 2)
        return y + self.conv(f"{name}.position", y, padding=1, groups=y.shape[1])

    def attend(self, qkv: Tensor, between: bool) -> Tensor:
        B, H, W, C = *qkv.shape[:3], qkv.shape[3] // 3
        parts = qkv.reshape(B, H, W, 3, self.config.heads, -1)
        if between:
            q, k, v = parts.permute(3, 0, 4, 1, 2, 5).flatten(-2)  # [B, heads, H, W · C']
        else:
            q, k, v = parts.permute(3, 0, 1, 4, 2, 5)  # [B, H, heads, W, C']
        out = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), -1) @ v
        if between:
            return out.unflatten(-1, (W, -1)).permute(0, 2, 3, 1, 4).reshape(B, H, W, C)
        return out.transpose(2, 3).reshape(B, H, W, C)

    def frequency(self, name: str, x: Tensor) -> Tensor:
        local = F.relu(self.conv(f"{name}.local.0", x, padding=1))
        local = self.conv(f"{name}.local.2", local, padding=1)
        f = torch.fft.rfft2(x, norm="ortho")
        f = F.relu(self.conv(f"{name}.spectral.0", torch.cat((f.real, f.imag), 1)))
        real, imaginary = self.conv(f"{name}.spectral.2", f).chunk(2, 1)
        spectral = torch.fft.irfft2(torch.complex(real, imaginary), s=x.shape[-2:], norm="ortho")
        return x + self.conv(f"{name}.fuse", torch.cat((local, spectral), 1))

    def recurrent(self, features: Tensor, state: Any) -> tuple[Tensor, Any]:
        name, pooled = "dsrm.apu", F.avg_pool2d(features, 2)
        hidden, cell = state or (pooled.new_zeros(len(pooled), self.config.candidates, *pooled.shape[-2:]),) * 2
        gates = self.conv(f"{name}.gates", torch.cat((pooled, hidden), 1), padding=2)
        forget, write, read, new = gates.chunk(4, 1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(write) * torch.tanh(new)
        hidden = torch.sigmoid(read) * torch.tanh(cell)
        u = F.interpolate(hidden, scale_factor=2, mode="nearest")
        norm = [self.weights[f"{name}.norm.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        v = F.relu(F.batch_norm(self.conv(f"{name}.locate", features, padding=1), *norm))
        return 2 * torch.sigmoid(u * v + u) - 1, (hidden, cell)


def leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


def lively(network: FDIKP, seed: int = 0) -> FDIKP:
    """The network with weights that have an effect everywhere; an untrained network returns its input."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        gates = network.dsrm.apu.gates
        for parameter in (gates.weight, gates.bias):
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.0002)
        network.dsrm.apu.locate.weight *= 0.1  # random features are large, and trained coefficients are small
        norm = network.dsrm.apu.norm
        norm.running_mean.copy_(torch.randn(norm.running_mean.shape, generator=generator))
        norm.running_var.copy_(torch.rand(norm.running_var.shape, generator=generator) + 0.5)
    return network.eval()
