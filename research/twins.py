"""Why real pairs are harder than rendered ones: each real pair beside a rendered twin with known blur.

    python research/twins.py lytro=DIR/lytro epfl48=DIR/epfl48 --model fdikp-lite -o DIR

The twin of a pair is its target blurred by discs in linear light, with the radius at each pixel that describes the real
source best (`real_blur.py`): the same scene and nearly the same blur, without noise, JPEG and tone curves. The residual
between source and twin is then added back in parts, and shifted as a whole. Gains are those of the network, and of a
Wiener filter that knows every radius and the best noise level, over squares that are clearly blurred and described by a
disc.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import real_blur
import torch
import torch.nn.functional as F
from torch import Tensor

from fdikp import Deblurrer, load_model
from fdikp.data import EvaluationSet, open_set
from fdikp.evaluation.evaluate import Evaluator
from fdikp.evaluation.protocols import find_protocol
from fdikp.evaluation.tables import grid
from fdikp.synthesis import Aperture, aperture_kernels
from fdikp.synthesis.sensor import round_to_8_bits, through_jpeg
from fdikp.transfer_functions import linear_to_srgb, srgb_to_linear

SQUARE, REACH, RADII = real_blur.SQUARE, real_blur.REACH, real_blur.RADII
NOISE_LEVELS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
SHIFT = 40
"""Shift of the residual, pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", metavar="NAME=DIR", help="real pairs")
    parser.add_argument("--model", default="fdikp-lite", help="name or weights file")
    parser.add_argument("-o", "--output", type=Path, help="folder for twins.md")
    options = parser.parse_args()
    model = load_model(options.model)
    parts = ["# Real pairs and their twins"]
    for text in options.data:
        name, _, folder = text.partition("=")
        parts.append(measured(open_set(name, Path(folder)), model))
    print("\n\n".join(parts))
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "twins.md").write_text("\n\n".join(parts) + "\n")


def measured(data: EvaluationSet, model: Deblurrer) -> str:
    """The gains on a set, as Markdown."""
    evaluator = Evaluator(find_protocol("defocus"))
    kernels = aperture_kernels(RADII, Aperture(), REACH)
    gains: dict[str, list[float]] = {}
    for sample in data.samples:
        source, target = evaluator.prepared(data, sample)
        assert target is not None
        height, width = (side // SQUARE * SQUARE for side in source.shape[-2:])
        source, target = source[..., :height, :width], target[..., :height, :width]
        twin, used, blend = _twin(source, target, kernels)
        if not used.any():
            continue

        def error(image: Tensor, target: Tensor = target, used: Tensor = used) -> Tensor:
            return 10 * F.avg_pool2d((image - target).square().mean(dim=1), SQUARE)[0][used].mean().log10()

        for name, image in _variants(source, twin).items():
            seen = round_to_8_bits(image.clamp(0, 1))
            gains.setdefault(name, []).append(float(error(seen) - error(model(seen).clamp(0, 1))))
        for name, image in (("real", source), ("twin", round_to_8_bits(twin))):
            restored = (blend(_wiener(srgb_to_linear(image), kernels, level)) for level in NOISE_LEVELS)
            least = min(error(linear_to_srgb(light.clamp(0, 1))) for light in restored)
            gains.setdefault(f"{name}, by the Wiener filter with known radii", []).append(float(error(image) - least))
    rows = ((name, f"{sum(found) / len(found):+.2f}") for name, found in gains.items())
    return f"## {data.name}\n\n" + grid(("source", "gain, dB"), rows)


def _variants(source: Tensor, twin: Tensor) -> dict[str, Tensor]:
    left = source - twin
    grey = left.mean(dim=1, keepdim=True).expand_as(left)
    noise = torch.randn(twin.shape, generator=torch.Generator().manual_seed(0))
    return {
        "real": source,
        "twin": twin,
        "twin with the luminance residual": twin + grey,
        "twin with the colour residual": twin + left - grey,
        "twin with half of the residual": twin + left / 2,
        f"twin with the residual shifted by {SHIFT} pixels": twin + left.roll((SHIFT, SHIFT), (-2, -1)),
        "twin with white noise, 2.5 of 255": twin + 0.01 * noise,
        "twin as JPEG of quality 75": through_jpeg(twin[0], 75, chroma_halved=True)[None],
    }


def _twin(source: Tensor, target: Tensor, kernels: Tensor) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
    """The twin [1, 3, H, W], a mask of the squares that count, and a function that blends a stack [R, 3, H, W]."""
    light = srgb_to_linear(target)
    seen = _spectrum(light)
    stack = torch.cat((light, *(_picture(seen * response, light) for response in _responses(kernels, light))))
    left = F.avg_pool2d((linear_to_srgb(stack.clamp(0, 1)) - source).square().mean(dim=1, keepdim=True), SQUARE)[:, 0]
    least, which = left.min(dim=0)
    differs = F.avg_pool2d((source - target).square().mean(dim=1), SQUARE)[0]
    used = (differs > real_blur.BLURRED) & (least < real_blur.DESCRIBED * differs)
    place = which.float().masked_fill(~used & (differs < real_blur.BLURRED), 0.0)
    smooth = F.interpolate(place[None, None], source.shape[-2:], mode="bilinear")
    below = smooth.floor().long().clamp_max(len(RADII) - 1)

    def blend(stack: Tensor) -> Tensor:
        near, far = (stack.gather(0, n.expand(1, 3, -1, -1)) for n in (below, below + 1))
        return torch.lerp(near, far, (smooth - below).expand_as(near))

    return linear_to_srgb(blend(stack).clamp(0, 1)), used, blend


def _spectrum(image: Tensor) -> Tensor:
    return torch.fft.rfft2(F.pad(image, (REACH,) * 4, mode="reflect"))


def _picture(spectrum: Tensor, like: Tensor) -> Tensor:
    """The inverse of `_spectrum`, for an image of the size of `like`."""
    size = [side + 2 * REACH for side in like.shape[-2:]]
    return torch.fft.irfft2(spectrum, s=size)[..., REACH:-REACH, REACH:-REACH]


def _responses(kernels: Tensor, like: Tensor) -> Tensor:
    """The spectra [R, H, W // 2 + 1] of kernels [R, K, K] centred at the origin."""
    size = [side + 2 * REACH for side in like.shape[-2:]]
    middle = kernels.shape[-1] // 2
    placed = F.pad(kernels, (0, size[1] - kernels.shape[-1], 0, size[0] - kernels.shape[-2]))
    return torch.fft.rfft2(placed.roll((-middle, -middle), (-2, -1)))


def _wiener(image: Tensor, kernels: Tensor, level: float) -> Tensor:
    """An image [1, 3, H, W] and its Wiener deconvolution by each kernel, [R + 1, 3, H, W].

    The ratio of noise to signal is assumed to grow with the squared frequency.
    """
    seen = _spectrum(image)
    H, W = (side + 2 * REACH for side in image.shape[-2:])
    squared = torch.fft.fftfreq(H)[:, None] ** 2 + torch.fft.rfftfreq(W)[None] ** 2
    responses = _responses(kernels, image)
    inverses = responses.conj() / (responses.abs().square() + level * (1e3 * squared + 0.1))
    return torch.cat((image, *(_picture(seen * inverse, image) for inverse in inverses)))


if __name__ == "__main__":
    main()
