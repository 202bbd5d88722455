"""What a client asks of a job, apart from the photo and its mask."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fdikp.imaging.formats import FORMATS
from fdikp.jobs import DeblurRequest
from fdikp.jobs.records import JsonRecord
from fdikp.jobs.request import Format
from fdikp.models.descriptor import DEFAULT

SOURCE: Final = "source"
"""Name of the photo's file in the folder of a job."""

MASK: Final = "mask"
"""Name of the mask's file, if there is one."""


@dataclass(frozen=True)
class JobParameters(JsonRecord):
    """The options of a job. No field names a file: a client cannot make the service open one.

    Raises:
        ArgumentError: a value is of the wrong type or out of range; one line names the field.
    """

    model: str = DEFAULT
    """One of `ServiceSettings.models`."""
    strength: float = 1.0
    """As for `DeblurRequest`; so are the following."""
    format: Format | None = None
    quality: int | None = None
    strip: bool = False
    regions: tuple[str, ...] = ()
    min_blur: float | None = None
    max_blur: float | None = None
    preview: bool = True
    """Whether to make a preview first."""
    maps: bool = True
    """Whether to write the maps of blur radius and confidence, where the model has a calibration."""
    display: bool = True
    """Whether to write photo and result once more in a format that browsers show."""

    def __post_init__(self) -> None:
        self.convert_fields()
        self.request(Path())

    def request(self, folder: Path, *, mask: bool = False) -> DeblurRequest:
        """The request for `fdikp.jobs`, without the name of its result.

        Args:
            folder: the one of the job.
            mask: whether the client gave a mask.
        """
        return DeblurRequest(
            folder / SOURCE,
            format=self.format,
            quality=self.quality,
            strip=self.strip,
            strength=self.strength,
            mask=folder / MASK if mask else None,
            regions=self.regions,
            min_blur=self.min_blur,
            max_blur=self.max_blur,
        )


def media_type(format: str) -> str:
    """The media type of a format that fdikp writes.

    >>> media_type("jpeg")
    'image/jpeg'
    """
    assert FORMATS[format].writable
    return f"image/{format}"
