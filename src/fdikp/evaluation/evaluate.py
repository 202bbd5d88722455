"""Models on data sets: restore and score each image under one protocol."""

import platform
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import fdikp
from fdikp.data import SETS, EvaluationSet, Sample, open_set
from fdikp.errors import DataError
from fdikp.evaluation.cost import PeakMemory, gflop
from fdikp.evaluation.protocols import DEFAULT, Protocol, find_protocol
from fdikp.evaluation.results import Evaluation, ImageResult, ModelInfo
from fdikp.inference.deblurrer import Deblurrer
from fdikp.inference.load import load_model
from fdikp.metrics.focus import sharp_pixels
from fdikp.metrics.lpips import LPIPS, MIN_SIDE
from fdikp.metrics.no_reference import no_reference
from fdikp.metrics.overshoot import overshoot

WARM_UP = 256
"""Side of the crop of the first image that each model restores before timing starts, pixels."""


@dataclass(frozen=True)
class Restored:
    """An image that was just scored, with its tensors."""

    result: ImageResult
    source: Tensor
    """[3, H, W] float32 in 0..1, as the protocol prepared it."""
    output: Tensor
    """[3, H, W] float32, not clamped."""
    target: Tensor | None
    """[3, H, W] float32 in 0..1; None without ground truth."""


@dataclass(frozen=True)
class Evaluator:
    """The settings that all images of an evaluation share."""

    protocol: Protocol
    lpips: LPIPS | None = None
    """None leaves that column out."""
    strength: float = 1.0
    """Factor of the change that the model makes."""

    def about(self, models: Sequence[Deblurrer]) -> dict[str, str]:
        """Everything besides the data that the results depend on, as table entries."""
        return {
            "protocol": self.protocol.describe(),
            "LPIPS": f"v0.1, {self.lpips.backbone}" if self.lpips else "left out: no weights",
            "tile": " ".join(dict.fromkeys(str(model.tile or "none") for model in models)),
            "precision": " ".join(dict.fromkeys(str(model.precision).removeprefix("torch.") for model in models)),
            "strength": f"{self.strength:g}",
            **({"ensemble": "mean of eight flips and rotations"} if any(model.ensemble for model in models) else {}),
            "device": " ".join(dict.fromkeys(_device_name(model.device) for model in models)),
            "time": "the network alone, with tiles and transfers; one image at a time, after one to warm up",
            "versions": f"fdikp {fdikp.__version__}, torch {torch.__version__}, Python {platform.python_version()}",
        }

    def results(
        self, model: Deblurrer, data: EvaluationSet, skip: Collection[str] = (), limit: int | None = None
    ) -> Iterator[Restored]:
        """Restore and score each image of a set, in its order.

        Args:
            model: restores the images.
            data: the set.
            skip: names of images to leave out, because they are scored already.
            limit: stop after this many images of the set.

        Raises:
            DataError: an image cannot be read, or is too small to be scored.
        """
        warm = False
        for sample in data.samples[:limit]:
            if sample.name in skip:
                continue
            source, target = self.prepared(data, sample)
            if not warm:
                model.predict(source[0, :, :WARM_UP, :WARM_UP])
                warm = True
            started = time.perf_counter()
            output = model.predict(source[0], strength=self.strength)  # returns a CPU tensor, so the device is done
            seconds = time.perf_counter() - started
            before, after = self._scores(source, output[None], target, data.kind)
            height, width = self.protocol.scored(source if target is None else target, data.kind).shape[-2:]
            result = ImageResult(
                model.name, data.name, sample.name, sample.group, width, height, before, after, seconds
            )
            yield Restored(result, source[0], output, None if target is None else target[0])

    def prepared(self, data: EvaluationSet, sample: Sample) -> tuple[Tensor, Tensor | None]:
        """The network's input for an image, and the target cropped and padded alike, [1, 3, H, W] in 0..1.

        Raises:
            DataError: the image cannot be read, or is too small to be scored.
        """
        source, target = sample.load()
        if min(source.shape[:2]) < MIN_SIDE:  # without LPIPS too, so that the same images are scored
            raise DataError(
                f"{data.name} {sample.name}: {source.shape[1]}x{source.shape[0]} is too small to be scored; "
                f"remove it (sides must be at least {MIN_SIDE} pixels)"
            )
        return self.protocol.prepare(_tensor(source), None if target is None else _tensor(target), data.kind)

    def _scores(
        self, source: Tensor, output: Tensor, target: Tensor | None, kind: str
    ) -> tuple[dict[str, float], dict[str, float]]:
        """The scores of the input and of the output; all are [1, 3, H, W]."""
        shift = float((output.clamp(0, 1) - source).double().mean(dim=(0, 2, 3)).abs().mean())
        if target is None:
            before, after = no_reference(source[0]), no_reference(output[0].clamp(0, 1))
        else:
            before, after = (self.protocol.score(image, target, self.lpips, kind) for image in (source, output))
            if SETS[kind].aligned:
                for scores, image in ((before, source), (after, output)):
                    pair = (self.protocol.scored(each.clamp(0, 1), kind) for each in (image, target))
                    scores["overshoot"] = float(overshoot(*pair))
            if source.shape == target.shape and (sharp := sharp_pixels(source[0], target[0])).any():
                for scores, image in ((before, source), (after, output)):
                    error = (image.clamp(0, 1) - target).square().mean(dim=1)[0].double()
                    scores["focus"] = float(error[sharp].mean())
        return before, after | {"shift": shift}


def model_info(model: Deblurrer, peak_mib: float | None = None) -> ModelInfo:
    """The facts about a model that tables list."""
    return ModelInfo(
        model.name, model.descriptor.sha256, model.descriptor.parameters, round(gflop(model.config), 1), peak_mib
    )


def evaluate(
    model: Deblurrer | str | Path,
    data: EvaluationSet | str | Path,
    protocol: str = DEFAULT,
    *,
    lpips: LPIPS | None = None,
    strength: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Evaluate one model on one data set.

    >>> evaluate("fdikp-lite", "DPDD/").summary_rows()                 # doctest: +SKIP

    Args:
        model: a loaded model, or the name of a shipped model or a weights file, which then computes in float32.
        data: an opened set, or its folder, whose layout is detected.
        protocol: a name that `find_protocol` accepts.
        lpips: the LPIPS metric; without it that column is left out.
        strength: factor of the change that the model makes.
        progress: called with the number of finished images and the total.

    Raises:
        FdikpError: the protocol does not exist, or model or data cannot be used; lists all faults of the data.
    """
    evaluator = Evaluator(find_protocol(protocol), lpips, strength)
    loaded = model if isinstance(model, Deblurrer) else load_model(model, precision="float32")
    opened = data if isinstance(data, EvaluationSet) else open_set(Path(data).name, Path(data))
    memory = PeakMemory(loaded.device)
    results = []
    for restored in evaluator.results(loaded, opened):
        results.append(restored.result)
        if progress:
            progress(len(results), len(opened.samples))
    return Evaluation(protocol, evaluator.about([loaded]), (model_info(loaded, memory.mib()),), tuple(results))


def _tensor(pixels: np.ndarray) -> Tensor:
    """[H, W, 3] to [1, 3, H, W]."""
    return torch.tensor(pixels).permute(2, 0, 1)[None].contiguous()


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads" if device.type == "cpu" else device.type
