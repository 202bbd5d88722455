"""What the XMP of a result records of the job that made it (`fdikp.imaging.xmp`)."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from fdikp import __version__
from fdikp.jobs.request import DeblurRequest

SOFTWARE = f"fdikp {__version__}"

_NAMES = {
    "strength": "Strength",
    "mask": "Mask",
    "regions": "Regions",
    "min_blur": "MinBlur",
    "max_blur": "MaxBlur",
    "preview": "Preview",
}
"""By field of a request that decides how the pixels change, its name in the record."""


def edit_record(request: DeblurRequest, model: str, weights_sha256: str) -> dict[str, str]:
    """The values to record, by name. Of a file only the name is recorded; what is not set is left out.

    Args:
        request: the job.
        model: name of the model.
        weights_sha256: of its weights file.
    """
    values = {"Software": "fdikp", "Version": __version__, "Model": model, "WeightsSHA256": weights_sha256}
    for field in fields(request):
        value = getattr(request, field.name)
        if field.name in _NAMES and value is not None and value is not False and value != ():
            values[_NAMES[field.name]] = _text(value)
    return values


def _text(value: Any) -> str:
    if isinstance(value, Path):
        return value.name
    if isinstance(value, tuple):
        return "; ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
