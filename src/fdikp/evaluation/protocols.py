"""Named protocols: papers' numbers differ because their scripts do, so each script is data here.

A protocol says what of a picture the network is given, which part of the result is scored, and how. Where a script
computes one number from other values than the next (an output clamped for PSNR but not for LPIPS), so does its
protocol. All of them score each picture alone and report the mean; squared errors are never pooled.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from fdikp.errors import DataError, WeightsError
from fdikp.evaluation.results import finite
from fdikp.metrics.lpips import LPIPS, Backbone
from fdikp.metrics.psnr import luma, mae, psnr, rounded
from fdikp.metrics.registry import METRICS
from fdikp.metrics.ssim import WINDOW, Window, ssim

ALL = ("psnr", "ssim", "mae", "lpips")
"""Every number that a protocol computes."""

LEAST_FOR_LPIPS = 32
"""Side in pixels below which AlexNet has nothing left to look at."""

DEFAULT = "defocus"
"""The protocol that is used when none is named."""


@dataclass(frozen=True)
class Protocol:
    """How one group of papers scores pictures."""

    name: str
    """What `find_protocol` takes: a key of `PROTOCOLS`, with its options."""

    whose: str
    """Papers or libraries whose scripts do so."""

    fit: Literal["whole", "crop", "reflect", "zero"] = "whole"
    """How a picture comes to sides that are multiples of `multiple`: not at all; rows and columns at the bottom and on
    the right cut off; padded by its mirror image or by black, half on each side, of an odd number the larger part at
    the end. What is padded is scored."""

    multiple: int = 1
    """Pixels; see `fit`."""

    resized: tuple[int, int] | None = None
    """Long and short side that source and target are resized to first, as OpenCV's bilinear `resize` does."""

    halved: tuple[str, ...] = ()
    """Kinds of sets that are scored at half size, source and target reduced by the mean of 2x2 pixels (ours: no script
    says how)."""

    rtf_crop: int | None = None
    """Side of the top left square of RTF's pictures that the network is given."""

    rtf_region: tuple[int, int] | None = None
    """Rows, and columns alike, of RTF's results that are scored: from the first, before the second."""

    crop_border: int = 0
    """Rows and columns left out at each side of every result."""

    y_channel: bool = False
    """Whether PSNR, SSIM and MAE are those of Y (BT.601) instead of the mean over R, G and B."""

    clamped: tuple[str, ...] = ALL
    """Numbers that are computed from a result clamped to 0..1."""

    rounded: tuple[str, ...] = ()
    """Numbers that are computed from pictures rounded to `bits`, after the clamp."""

    bits: int = 8
    """See `rounded`."""

    ssim: Window = "uniform"
    """Window of SSIM, 7x7 uniform or 11x11 Gaussian; see `metrics.ssim`."""

    lpips: Backbone | None = "alex"
    """Backbone of LPIPS; None where the script has no LPIPS."""

    lpips_range: Literal["-1..1", "0..1"] = "-1..1"
    """What values LPIPS is fed; it was made for the first."""

    lpips_order: Literal["RGB", "BGR"] = "RGB"
    """The order of channels LPIPS is fed; it was made for the first. All other numbers are alike in both."""

    def prepare(self, source: Tensor, target: Tensor | None, data: str = "") -> tuple[Tensor, Tensor | None]:
        """What the network is given, and the target in the same frame.

        Args:
            source: [1, 3, H, W] in 0..1.
            target: alike, or None for a set without ground truth.
            data: kind of the set (`rtf`, `realdof`, …), for rules that hold for one set.

        Returns:
            The two as float32, alike in size.

        Raises:
            DataError: a picture is too small for this protocol.
            ValueError: source and target differ in shape, or are not [1, 3, H, W].
        """
        if source.ndim != 4 or source.shape[:2] != (1, 3) or (target is not None and target.shape != source.shape):
            shapes = tuple(source.shape), None if target is None else tuple(target.shape)
            raise ValueError(f"expected [1, 3, H, W] alike, got {shapes[0]} and {shapes[1]}")
        given = self._framed(source.float(), data)
        return given, None if target is None else self._framed(target.float(), data)

    def scored(self, image: Tensor, data: str = "") -> Tensor:
        """The part that is scored, [1, 3, h, w], of a picture in the frame of `prepare`."""
        if self.rtf_region and data.lower() == "rtf":
            region = slice(*self.rtf_region)
            image = image[..., region, region]
        b = self.crop_border
        return image[..., b : image.shape[-2] - b, b : image.shape[-1] - b]

    def score(self, output: Tensor, target: Tensor, lpips: LPIPS | None = None, data: str = "") -> dict[str, float]:
        """The numbers of one picture, by names of `METRICS`.

        Args:
            output: [1, 3, H, W], what the network made of the source that `prepare` gave; may leave 0..1.
            target: alike in 0..1, as `prepare` gave it.
            lpips: the measure with this protocol's backbone; without it, and where the protocol has none, the number
                is left out.
            data: as for `prepare`.

        Raises:
            DataError: the part that is scored is too small.
            WeightsError: `lpips` has another backbone.
        """
        if lpips and self.lpips and lpips.backbone != self.lpips:
            raise WeightsError(
                f"the protocol {self.name} takes LPIPS with the backbone {self.lpips}, but the weights are of "
                f"{lpips.backbone}; give others with --lpips"
            )
        wanted = [name for name in ALL if name != "lpips" or (lpips and self.lpips)]
        pair = [self.scored(image.float(), data) for image in (output, target)]
        self._refuse_smaller(pair[0], max(WINDOW[self.ssim], LEAST_FOR_LPIPS if "lpips" in wanted else 1))
        numbers = {}
        for name in wanted:
            x, y = (self._seen(name, image) for image in pair)
            if name == "psnr":
                numbers[name] = finite(float(psnr(x, y)))
            elif name == "ssim":
                numbers[name] = float(ssim(x, y, self.ssim))
            elif name == "mae":
                numbers[name] = float(mae(x, y))
            elif lpips:
                numbers[name] = float(lpips(x, y))
        return numbers

    def describe(self) -> str:
        """One line that a table carries: everything above, in words."""
        sizes = {
            "whole": "whole pictures",
            "crop": f"pictures cut to a multiple of {self.multiple}",
            "reflect": f"pictures padded by reflection to a multiple of {self.multiple}, padding scored",
            "zero": f"pictures padded with black to a multiple of {self.multiple}, padding scored",
        }
        parts = [
            f"{self.name} ({self.whose}): {sizes[self.fit]}",
            f"resized to {self.resized[0]}×{self.resized[1]}" if self.resized else "",
            f"{' and '.join(self.halved)} at half size" if self.halved else "",
            f"RTF its top left {self.rtf_crop}×{self.rtf_crop}" if self.rtf_crop else "",
            "RTF rows and columns {} to {} scored".format(*self.rtf_region) if self.rtf_region else "",
            f"{self.crop_border} pixels of border not scored" if self.crop_border else "",
            "Y channel (BT.601)" if self.y_channel else "RGB",
            f"clamped to 0..1 {_for(self.clamped)}",
            f"rounded to {self.bits} bit {_for(self.rounded)}" if self.rounded else "not rounded",
            {"uniform": "SSIM 7×7 uniform, sample covariance", "gaussian": "SSIM 11×11 Gaussian, σ 1.5"}[self.ssim],
            f"LPIPS v0.1 {self.lpips} fed {self.lpips_order} in {self.lpips_range}" if self.lpips else "no LPIPS",
            "mean over pictures",
        ]
        return "; ".join(part for part in parts if part)

    def _framed(self, image: Tensor, data: str) -> Tensor:
        """A picture as the network is given it."""
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
        self._refuse_smaller(image, max(self.multiple, WINDOW[self.ssim] + 2 * self.crop_border))
        height, width = image.shape[-2:]
        if self.fit == "crop":
            return image[..., : height - height % self.multiple, : width - width % self.multiple]
        if self.fit in ("reflect", "zero"):
            more_x, more_y = -width % self.multiple, -height % self.multiple
            sides = (more_x // 2, more_x - more_x // 2, more_y // 2, more_y - more_y // 2)
            return F.pad(image, sides, mode="reflect" if self.fit == "reflect" else "constant")
        return image

    def _seen(self, name: str, image: Tensor) -> Tensor:
        """What a number is computed from."""
        if name in self.clamped:
            image = image.clamp(0.0, 1.0)
        if name in self.rounded:
            image = rounded(image, self.bits)
        if name == "lpips":
            image = image.flip(1) if self.lpips_order == "BGR" else image
            return (image + 1.0) / 2.0 if self.lpips_range == "0..1" else image  # `LPIPS` itself maps 0..1 to -1..1
        return luma(image) if self.y_channel else image

    def _refuse_smaller(self, image: Tensor, least: int) -> None:
        height, width = image.shape[-2:]
        if min(height, width) < least:
            raise DataError(
                f"{width}×{height} pixels are too few for the protocol {self.name}: it needs {least}×{least}; "
                "leave the picture out"
            )


def _for(names: tuple[str, ...]) -> str:
    """Which numbers a step is taken for."""
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
        # Its script reads 16 bit files and compares floating point: a result of 16 bit is as near to that
        Protocol("dpdnet", "DPDNet", resized=(1680, 1120), rounded=("psnr", "ssim", "mae"), bits=16, lpips=None),
        Protocol("basicsr", "BasicSR, NAFNet", rounded=("psnr", "ssim", "mae"), ssim="gaussian", lpips=None),
    )
}
"""Every protocol that has a name. MAE, which few scripts have, is computed from what PSNR is."""


def find_protocol(text: str) -> Protocol:
    """A protocol by its name; `basicsr` takes options: `basicsr+y` for the Y channel, `basicsr+crop4` for a border of
    4 pixels that is not scored, `basicsr+y+crop4` for both.

    Raises:
        DataError: there is none of this name, or it has no such option.
    """
    name, *options = text.split("+")
    if name not in PROTOCOLS:
        raise DataError(f"{text}: no such protocol; there are {', '.join(PROTOCOLS)}")
    protocol = replace(PROTOCOLS[name], name=text)
    for option in options:
        border = re.fullmatch(r"crop(\d{1,3})", option)
        if name != "basicsr" or not (border or option == "y"):
            raise DataError(f"{text}: the protocol {name} has no option '{option}'; only basicsr has: +y and +crop4")
        protocol = replace(protocol, crop_border=int(border[1])) if border else replace(protocol, y_channel=True)
    return protocol
