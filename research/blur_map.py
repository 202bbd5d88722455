"""How well an untrained blur map tells the blur radius, and the numbers it should start from.

    python research/blur_map.py --data SHARP

Renders pairs from a folder of sharp photographs, and fits the map's weights of fine, medium and coarse detail and its
bias, by the mean distance from the dilation that is wanted (the radius over the reach of 2 samples, at most 2),
at all three scales of the network together. Prints both the fit and what `fdikp.network.dilation` starts from, with
their correlation with that dilation at each scale.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from fdikp.data import load_images
from fdikp.network import SCALES, downsample
from fdikp.network.dilation import INITIAL_BIAS, INITIAL_WEIGHTS, detail
from fdikp.synthesis import RenderSettings
from fdikp.training.data import RenderedStream

RANGE = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of sharp photographs")
    parser.add_argument("--pairs", type=int, default=80)
    options = parser.parse_args()
    stream = RenderedStream(load_images(options.data), 8, 5, RenderSettings())
    batch = stream.batch(0, options.pairs, 128, torch.device("cpu"))
    assert batch.radius is not None
    seen, wanted = [], []
    for scale in SCALES:
        features = detail(downsample(batch.blurred, scale)).transpose(0, 1).flatten(1).T
        seen.append(torch.cat((features, torch.ones(len(features), 1)), dim=1))
        wanted.append((downsample(batch.radius, scale).flatten() / scale / 2).clamp_max(RANGE))
    start = torch.tensor([*INITIAL_WEIGHTS, INITIAL_BIAS])
    for name, weights in (("fitted", fit(seen, wanted)), ("starts from", start)):
        correlations = [correlation(dilation(x, weights), d) for x, d in zip(seen, wanted, strict=True)]
        told = ", ".join(f"1/{scale}: {value:.2f}" for scale, value in zip(SCALES, correlations, strict=True))
        print(f"{name}: {[round(w, 1) for w in weights.tolist()]}; correlation at scale {told}")


def dilation(features: Tensor, weights: Tensor) -> Tensor:
    return RANGE * torch.sigmoid(features @ weights)


def fit(seen: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """The four numbers with the least mean distance; the scales count 1 : 2 : 4 from coarse to fine."""
    generator = torch.Generator().manual_seed(0)
    picks = [torch.randperm(len(x), generator=generator)[: 40_000 // s] for x, s in zip(seen, SCALES, strict=True)]
    x = torch.cat([features[pick] for features, pick in zip(seen, picks, strict=True)])
    d = torch.cat([target[pick] for target, pick in zip(wanted, picks, strict=True)])
    weights = torch.zeros(x.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (dilation(x, weights) - d).abs().mean()
        loss.backward()
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]
    return weights.detach()


def correlation(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack((one, other)))[0, 1])


if __name__ == "__main__":
    main()
