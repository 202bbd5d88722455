"""How well an untrained dilation map predicts the blur radius, and its initial weights.

    python research/blur_map.py --data SHARP

Renders pairs from a folder of sharp photos, and fits the map's bias and its weights of fine, medium and coarse detail
by the mean absolute error from the target dilation (the radius divided by the reach of 2 samples, at most 2), over all
three scales of the network. Prints the fit and the initial weights in `fdikp.network`, with their correlation with the
target at each scale.
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
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of sharp photos")
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
    """The three weights and the bias with the least mean error; scales count 1 : 2 : 4 from coarse to fine."""
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
