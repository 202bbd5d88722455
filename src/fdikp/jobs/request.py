"""What a deblurring job is asked to do, and what came of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fdikp.errors import ArgumentError, ErrorCode, FdikpError
from fdikp.imaging.limits import MAX_PIXELS
from fdikp.inference.strength import check_strength
from fdikp.jobs.records import JsonRecord

if TYPE_CHECKING:
    import numpy as np

    from fdikp.imaging.selection import Selection

RESULT_SUFFIX = "_deblurred"
"""Inserted between name and extension of results that lie beside their photos."""

PREVIEW_SUFFIX = "_preview"
"""The same for previews, which keep it in an output folder."""

SIDE_IMAGES = {
    "blur_map": ("_blurmap", ".png"),
    "blur_map_figure": ("_blurmap_figure", ".png"),
    "confidence_map": ("_confidence", ".png"),
    "compare": ("_compare", ".jpg"),
}
"""By the field of a request that names it: suffix and extension of each image that is written beside a result."""

Format = Literal["jpeg", "png", "tiff", "webp", "avif"]
"""Formats that results can be written in."""

Existing = Literal["refuse", "skip", "replace"]
"""What to do if the result exists already."""


@dataclass(frozen=True)
class DeblurRequest(JsonRecord):
    """One photo to restore. Requests are plain data: they can be pickled, and stored as JSON.

    Paths may be given as strings.

    Raises:
        ArgumentError: a value is of the wrong type or out of range; one line names the field.
    """

    source: Path
    """The photo."""

    output: Path | None = None
    """The file to write; its folder is created. None: beside the photo, with `RESULT_SUFFIX`."""

    format: Format | None = None
    """Format of the result. None: the one that the extension of `output` names, or without `output` the photo's own."""

    quality: int | None = None
    """Quality of lossy formats, 1 to 100. None: the photo's own where it is a JPEG, else the encoder's default."""

    strip: bool = False
    """Leave out EXIF, XMP and IPTC; the colour profile stays."""

    strength: float = 1.0
    """How much of the change to apply: 0 is none, 1 is what the network predicts; at most 2."""

    mask: Path | None = None
    """A grey image of the photo's size or aspect, upright: white is restored, black kept. None: all white. `plan_jobs`
    also takes a folder, and matches the masks in it by name."""

    regions: tuple[str, ...] = ()
    """Restore only inside these, each `X,Y,WIDTH,HEIGHT` in pixels or per cent. Empty: everywhere."""

    min_blur: float | None = None
    """Restore only where the blur radius is at least this, in pixels of the photo. None: no limit."""

    max_blur: float | None = None
    """Restore only where the blur radius is at most this, in pixels of the photo. None: no limit."""

    preview: int | None = None
    """Restore and write at reduced size: the long side is at most this, in pixels. None: full size."""

    blur_map: Path | None = None
    """Also write the blur radius at each pixel, a PNG of 16 bits in units of 1/256 pixel, to this file."""

    blur_map_figure: Path | None = None
    """Also write a drawing of the blur radius with its scale, a PNG, to this file."""

    confidence_map: Path | None = None
    """Also write how certain the blur radius is, a PNG of 8 bits from 0 to 255, to this file."""

    compare: Path | None = None
    """Also write the photo and the result side by side, as a JPEG, to this file."""

    max_pixels: int = MAX_PIXELS
    """Refuse photos with more pixels than this before they are decoded."""

    max_bytes: int | None = None
    """Refuse photos that take more memory than this together with their result, in bytes (`jobs.memory`)."""

    existing: Existing = "refuse"
    """What to do if the result exists. Only `replace` ever writes over the photo itself."""

    adapt_extension: bool = False
    """Whether `output` may take another extension where the photo turns out to be in another format than its name
    says. A request without `output` always does so, unless `format` is given."""

    keep_dates: bool = False
    """Give the result the dates of the photo's file: when it was last read and written."""

    def __post_init__(self) -> None:
        self.convert_fields()
        check_strength(self.strength)
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ArgumentError("must be between 1 and 100", argument="quality", value=self.quality)
        if self.max_pixels < 1:
            raise ArgumentError("must be at least 1", argument="max_pixels", value=self.max_pixels)
        if self.max_bytes is not None and self.max_bytes < 1:
            raise ArgumentError("must be at least 1", argument="max_bytes", value=self.max_bytes)
        if self.preview is not None and self.preview < 1:
            raise ArgumentError("must be at least 1", argument="preview", value=self.preview)
        if self.selective:
            self.selection()

    def selection(self, mask: "np.ndarray | None" = None) -> "Selection":
        """What to restore; `mask` are the samples of the mask's file.

        Raises:
            ArgumentError: a region is malformed, or a blur limit out of range.
        """
        from fdikp.imaging.selection import Region, Selection  # loads libvips

        return Selection(mask, tuple(map(Region.parse, self.regions)), self.min_blur, self.max_blur)

    @property
    def selective(self) -> bool:
        """Whether to restore only a part of the photo."""
        return self.mask is not None or bool(self.regions) or self.min_blur is not None or self.max_blur is not None

    @property
    def measures_blur(self) -> bool:
        """Whether to return the maps of blur radius and confidence."""
        return any(path is not None for path in (self.blur_map, self.blur_map_figure, self.confidence_map))

    @property
    def side_images(self) -> tuple[Path, ...]:
        """Every file that the job writes beside the result."""
        return tuple(path for name in SIDE_IMAGES if (path := getattr(self, name)) is not None)

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Every file that the job writes, as far as they are named."""
        return (*self.side_images, self.output) if self.output is not None else self.side_images


@dataclass(frozen=True)
class DeblurResult(JsonRecord):
    """What came of one photo. `to_json` gives a line of `fdikp deblur --json`; None where a field does not apply."""

    input: Path
    output: Path | None = None
    status: Literal["ok", "skipped", "failed", "planned"] = "ok"
    """`planned` is what a dry run says of a photo that would be restored."""
    error: str | None = None
    """One line: what failed, where, and what to do."""
    code: ErrorCode | None = None
    """What kind of fault it is, for programs."""
    hint: str | None = None
    """What to do, the end of `error`; None where `error` has no separate hint."""
    width: int | None = None
    height: int | None = None
    seconds: float = 0.0
    """Time to read, restore and write the photo; waiting for other photos and loading the model are not counted."""
    tiles: int | None = None
    notes: tuple[str, ...] = ()
    """One sentence for everything that did not go the usual way, such as metadata that could not be kept."""
    blur_map: Path | None = None
    blur_map_figure: Path | None = None
    confidence_map: Path | None = None
    compare: Path | None = None
    model: str | None = None
    weights_sha256: str | None = None

    @classmethod
    def failed(cls, source: Path, error: FdikpError, seconds: float = 0.0) -> "DeblurResult":
        """The result of a photo that failed."""
        error = error.located(str(source))
        return cls(source, status="failed", error=str(error), code=error.code, hint=error.hint or None, seconds=seconds)
