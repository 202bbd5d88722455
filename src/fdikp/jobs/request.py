"""What a deblurring job is asked to do, and what came of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fdikp.errors import ArgumentError, ErrorCode, FdikpError
from fdikp.imaging.limits import MAX_PIXELS
from fdikp.inference.arguments import check_strength
from fdikp.jobs.records import JsonRecord

RESULT_SUFFIX = "_deblurred"
"""Inserted between name and extension of results that lie beside their photos."""

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

    blur_map: Path | None = None
    """Also write the blur map, a PNG with a colour scale, to this file."""

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

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Every file that the job writes, as far as they are named."""
        return tuple(path for path in (self.output, self.blur_map, self.compare) if path is not None)


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
    compare: Path | None = None
    model: str | None = None
    weights_sha256: str | None = None

    @classmethod
    def failed(cls, source: Path, error: FdikpError, seconds: float = 0.0) -> "DeblurResult":
        """The result of a photo that failed."""
        error = error.located(str(source))
        return cls(source, status="failed", error=str(error), code=error.code, hint=error.hint or None, seconds=seconds)
