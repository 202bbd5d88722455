"""Named protocols: papers' scores differ because their scripts do, so each script is described as data.

A protocol defines which part of an image the network gets, which part of the result is scored, and how. Where a script
treats metrics differently (an output clamped for PSNR but not for LPIPS), so does its protocol. All of them score each
image alone and report the mean; squared errors are never pooled.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from fdikp.errors import DataError, WeightsError
from fdikp.metrics.lpips import LPIPS, MIN_SIDE, Backbone
from fdikp.metrics.psnr import luma, mae, psnr, rounded
from fdikp.metrics.registry import METRICS
from fdikp.metrics.ssim import WINDOW, Window, ssim

ALL = ("psnr", "ssim", "mae", "lpips")
"""Every metric that a protocol computes."""

DEFAULT = "defocus"
"""The default protocol."""


@dataclass(frozen=True)
class Protocol:
    """How one group of papers scores images."""

    name: str
    """The name for `find_protocol`: a key of `PROTOCOLS`, with its options."""

    whose: str
    """The papers or libraries whose scripts score so."""

    fit: Literal["whole", "crop", "reflect", "zero"] = "whole"
    """How the sides become multiples of `multiple`: not at all; by cropping at the bottom and right; by reflection or
    black padding, half on each side, and one pixel more at the end if the amount is odd. Padding is scored."""

    multiple: int = 1
    """Pixels; see `fit`."""

    resized: tuple[int, int] | None = None
    """Long and short side, pixels, to which source and target are resized first, as by OpenCV's bilinear `resize`."""

    halved: tuple[str, ...] = ()
    """Kinds of sets that are scored at half size; source and target are averaged over 2x2 pixels (ours: no script
    states the filter)."""

    rtf_crop: int | None = None
    """Side of the top left square of RTF's images that the network gets, pixels."""

    rtf_region: tuple[int, int] | None = None
    """The scored rows, and columns, of RTF's results: from the first, up to but not including the second."""

    crop_border: int = 0
    """Pixels at each border of every result that are not scored."""

    y_channel: bool = False
    """Whether PSNR, SSIM and MAE are computed on Y (BT.601) instead of RGB."""

    clamped: tuple[str, ...] = ALL
    """Metrics that are computed from images clamped to 0..1."""

    rounded: tuple[str, ...] = ()
    """Metrics that are computed from images rounded to `bits`, after the clamp."""

    bits: int = 8
    """See `rounded`."""

    ssim: Window = "uniform"
    """Window of SSIM, 7x7 uniform or 11x11 Gaussian; see `metrics.ssim`."""

    lpips: Backbone | None = "alex"
    """Backbone of LPIPS; None if the script does not compute it."""

    lpips_range: Literal["-1..1", "0..1"] = "-1..1"
    """The range of the values that the script passes to LPIPS; -1..1 is the range it is defined for."""

    lpips_order: Literal["RGB", "BGR"] = "RGB"
    """The channel order that the script passes to LPIPS; RGB is the order it is defined for. Other metrics do not
    depend on it."""

    def prepare(self, source: Tensor, target: Tensor | None, data: str = "") -> tuple[Tensor, Tensor | None]:
        """The network's input, and the target cropped and padded alike.

        Args:
            source: [1, 3, H, W] in 0..1.
            target: the same shape and range, or None for a set without ground truth.
            data: kind of the set (`rtf`, `realdof`, …), for rules that apply to one set.

        Returns:
            Both as float32, of one size.

        Raises:
            DataError: the image is too small for this protocol.
            ValueError: source and target differ in shape, or are not [1, 3, H, W].
        """
        if source.ndim != 4 or source.shape[:2] != (1, 3) or (target is not None and target.shape != source.shape):
            shapes = tuple(source.shape), None if target is None else tuple(target.shape)
            raise ValueError(f"expected [1, 3, H, W] of one shape, got {shapes[0]} and {shapes[1]}")
        given = self._fitted(source.float(), data)
        return given, None if target is None else self._fitted(target.float(), data)

    def scored(self, image: Tensor, data: str = "") -> Tensor:
        """The part of a prepared image that is scored, [1, 3, h, w]."""
        if self.rtf_region and data.lower() == "rtf":
            region = slice(*self.rtf_region)
            image = image[..., region, region]
        b = self.crop_border
        return image[..., b : image.shape[-2] - b, b : image.shape[-1] - b]

    def score(self, output: Tensor, target: Tensor, lpips: LPIPS | None = None, data: str = "") -> dict[str, float]:
        """The scores of one image, by names of `METRICS`. PSNR is infinite if the scored pixels are equal.

        Args:
            output: [1, 3, H, W], the network's output for the prepared source; may leave 0..1.
            target: the prepared target, the same shape, in 0..1.
            lpips: the metric with this protocol's backbone; without it, or if the protocol has none, LPIPS is left
                out.
            data: as for `prepare`.

        Raises:
            DataError: the scored part is too small.
            WeightsError: `lpips` has another backbone.
        """
        if lpips and self.lpips and lpips.backbone != self.lpips:
            raise WeightsError(
                f"the protocol {self.name} needs LPIPS weights of the backbone {self.lpips}, got {lpips.backbone}; "
                "choose another weights file"
            )
        metrics = [name for name in ALL if name != "lpips" or (lpips and self.lpips)]
        pair = [self.scored(image.float(), data) for image in (output, target)]
        self._require_side(pair[0], max(WINDOW[self.ssim], MIN_SIDE if "lpips" in metrics else 1))
        scores = {}
        for name in metrics:
            x, y = (self._as_scored(name, image) for image in pair)
            if name == "psnr":
                scores[name] = float(psnr(x, y))
            elif name == "ssim":
                scores[name] = float(ssim(x, y, self.ssim))
            elif name == "mae":
                scores[name] = float(mae(x, y))
            elif lpips:
                scores[name] = float(lpips(x, y))
        return scores

    def describe(self) -> str:
        """All settings in one line, for tables."""
        sizes = {
            "whole": "whole images",
            "crop": f"images cropped to a multiple of {self.multiple}",
            "reflect": f"images padded by reflection to a multiple of {self.multiple}, padding scored",
            "zero": f"images padded with black to a multiple of {self.multiple}, padding scored",
        }
        parts = [
            f"{self.name} ({self.whose}): {sizes[self.fit]}",
            f"resized to {self.resized[0]}×{self.resized[1]}" if self.resized else "",
            f"{' and '.join(self.halved)} at half size" if self.halved else "",
            f"RTF the top left {self.rtf_crop}×{self.rtf_crop}" if self.rtf_crop else "",
            "RTF rows and columns {} to {} scored".format(*self.rtf_region) if self.rtf_region else "",
            f"{self.crop_border} pixels of border not scored" if self.crop_border else "",
            "Y channel (BT.601)" if self.y_channel else "RGB",
            f"clamped to 0..1 {_for(self.clamped)}",
            f"rounded to {self.bits} bit {_for(self.rounded)}" if self.rounded else "not rounded",
            {"uniform": "SSIM 7×7 uniform, sample covariance", "gaussian": "SSIM 11×11 Gaussian, σ 1.5"}[self.ssim],
            f"LPIPS v0.1 {self.lpips} fed {self.lpips_order} in {self.lpips_range}" if self.lpips else "no LPIPS",
            "mean over images",
        ]
        return "; ".join(part for part in parts if part)

    def _fitted(self, image: Tensor, data: str) -> Tensor:
        """An image resized, cropped and padded as this protocol does it."""
        kind = data.lower()
        if self.resized:
            long, short = self.resized
            size = (short, long) if image.shape[-1] >= image.shape[-2] else (long, short)
            if image.shape[-2:] != size:
                image = F.interpolate(image, size, mode="bilinear", align_corners=False)
        if kind in [name.lower() for name in self.halved]:
            image = F.avg_pool2d(image, 2)
        if self.rtf_crop and kind == "rtf":
            image = image[..., : self.rtf_crop, : self.rtf_crop]
        self._require_side(image, max(self.multiple, WINDOW[self.ssim] + 2 * self.crop_border))
        height, width = image.shape[-2:]
        if self.fit == "crop":
            return image[..., : height - height % self.multiple, : width - width % self.multiple]
        if self.fit in ("reflect", "zero"):
            more_x, more_y = -width % self.multiple, -height % self.multiple
            sides = (more_x // 2, more_x - more_x // 2, more_y // 2, more_y - more_y // 2)
            return F.pad(image, sides, mode="reflect" if self.fit == "reflect" else "constant")
        return image

    def _as_scored(self, name: str, image: Tensor) -> Tensor:
        """The pixels that a metric is computed from."""
        if name in self.clamped:
            image = image.clamp(0.0, 1.0)
        if name in self.rounded:
            image = rounded(image, self.bits)
        if name == "lpips":
            image = image.flip(1) if self.lpips_order == "BGR" else image
            return (image + 1.0) / 2.0 if self.lpips_range == "0..1" else image  # `LPIPS` itself maps 0..1 to -1..1
        return luma(image) if self.y_channel else image

    def _require_side(self, image: Tensor, least: int) -> None:
        height, width = image.shape[-2:]
        if min(height, width) < least:
            raise DataError(
                f"{width}×{height} pixels are too few for the protocol {self.name}: it needs {least}×{least}; "
                "remove the image"
            )


def _for(names: tuple[str, ...]) -> str:
    """The metrics that a step applies to, in words."""
    return "for all" if set(names) == set(ALL) else "for " + ", ".join(METRICS[name].title for name in names)


_DEFOCUS = Protocol("defocus", "IFAN, DRBNet, Restormer, P2IKT; the FDIKP paper", rtf_crop=352)

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        _DEFOCUS,
        replace(_DEFOCUS, name="ifan", whose="IFAN", fit="crop", multiple=8, rtf_crop=None),
        replace(_DEFOCUS, name="drbnet", whose="DRBNet", fit="crop", multiple=16, rtf_crop=None),
        replace(_DEFOCUS, name="p2ikt-half", whose="P2IKT's script", halved=("RealDOF",)),
        Protocol(
            "nrknet",
            "NRKNet",
            fit="reflect",
            multiple=16,
            rtf_region=(4, 364),
            clamped=("psnr", "mae"),
            rounded=ALL,
            ssim="gaussian",
            lpips_order="BGR",
        ),
        Protocol(
            "gkmnet",
            "GKMNet",
            fit="zero",
            multiple=16,
            clamped=("psnr", "mae"),
            rounded=("psnr", "ssim", "mae"),
            ssim="gaussian",
            lpips_range="0..1",
        ),
        Protocol("iniknet", "INIKNet", fit="crop", multiple=32, clamped=("psnr", "ssim", "mae"), lpips_order="BGR"),
        # The script compares floats with 16-bit files; rounding to 16 bits is as close as a file can be
        Protocol("dpdnet", "DPDNet", resized=(1680, 1120), rounded=("psnr", "ssim", "mae"), bits=16, lpips=None),
        Protocol("basicsr", "BasicSR, NAFNet", rounded=("psnr", "ssim", "mae"), ssim="gaussian", lpips=None),
    )
}
"""Every named protocol. MAE, which few scripts compute, uses the same pixels as PSNR."""


def find_protocol(text: str) -> Protocol:
    """A protocol by its name.

    `basicsr` has options: `basicsr+y` scores the Y channel, `basicsr+crop4` ignores a border of 4 pixels, and
    `basicsr+y+crop4` does both.

    Raises:
        DataError: there is no protocol of this name, or it has no such option.
    """
    name, *options = text.split("+")
    if name not in PROTOCOLS:
        raise DataError(f"{text}: no such protocol; choose one of {', '.join(PROTOCOLS)}")
    protocol = replace(PROTOCOLS[name], name=text)
    for option in options:
        border = re.fullmatch(r"crop(\d{1,3})", option)
        if name != "basicsr" or not (border or option == "y"):
            raise DataError(f"{text}: the protocol {name} has no option '{option}'; only basicsr has: +y and +crop4")
        protocol = replace(protocol, crop_border=int(border[1])) if border else replace(protocol, y_channel=True)
    return protocol
