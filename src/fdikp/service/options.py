"""The options of a request, from its query or from the fields of its form."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fdikp.jobs.request import Format
from fdikp.models.descriptor import ModelDescriptor
from fdikp.service.parameters import JobParameters
from fdikp.service.problems import Problem


class Options(BaseModel):
    """What to do with a photo. Every option can be left out."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    model: str | None = Field(
        None, max_length=200, description="A name that GET /v1/models lists.", examples=["fdikp-lite"]
    )
    strength: float = Field(
        1.0, ge=0, le=2, description="How much of the change to apply: 0 is none, 1 is what the network predicts."
    )
    format: Format | None = Field(None, description="Format of the result; by default the photo's own.")
    quality: int | None = Field(None, ge=1, le=100, description="Quality of lossy formats.")
    strip: bool = Field(False, description="Leave out EXIF, XMP and IPTC; the colour profile stays.")
    region: list[str] = Field(
        [],
        max_length=16,
        description="Restore only these rectangles, each `X,Y,WIDTH,HEIGHT` in pixels or per cent.",
        examples=[["30%,20%,40%,50%"]],
    )
    max_blur: float | None = Field(
        None, ge=0, description="Restore only what is out of focus by at most this blur radius in pixels."
    )
    min_blur: float | None = Field(
        None, ge=0, description="Restore only what is out of focus by at least this blur radius in pixels."
    )

    def parameters(self, models: Mapping[str, ModelDescriptor], *, waited_for: bool) -> JobParameters:
        """The parameters of a job.

        Args:
            models: those that the service offers, the default one first.
            waited_for: whether the client waits for the result alone, without preview, maps and a display copy.

        Raises:
            Problem: the model is unknown.
            ArgumentError: the options do not fit each other.
        """
        model = next(iter(models)) if self.model is None else self.model
        if model not in models:
            raise Problem("model_unknown", "there is no model of this name", f"choose one of {', '.join(models)}")
        return JobParameters(
            model=model,
            strength=self.strength,
            format=self.format,
            quality=self.quality,
            strip=self.strip,
            regions=tuple(self.region),
            min_blur=self.min_blur,
            max_blur=self.max_blur,
            preview=not waited_for,
            maps=not waited_for,
            display=not waited_for,
        )


def with_fields(options: Options, fields: Iterable[tuple[str, str]]) -> Options:
    """The options of the query with those of the form.

    Raises:
        Problem: a field is unknown, malformed, or given twice.
    """
    values: dict[str, Any] = options.model_dump(exclude_unset=True)
    for name, value in fields:
        if name == "region":
            values[name] = [*values.get(name, ()), value]
        elif name in values:
            raise Problem("request_invalid", f"{name} is given twice", "give it once")
        else:
            values[name[:100]] = value
    try:
        return Options.model_validate(values)
    except ValidationError as error:
        raise invalid(error.errors()) from None


def invalid(errors: Iterable[Mapping[str, Any]]) -> Problem:
    """What is wrong with the options, as pydantic reports it; the values are not repeated.

    >>> print(invalid([{"loc": ("query", "quality"), "type": "less_than_equal", "msg": "Input should be …"}]).detail)
    quality: input should be …
    """
    lines = []
    for error in errors:
        places: tuple[Literal["query", "body"] | str | int, ...] = tuple(error["loc"])
        names = [str(place)[:60] for place in places if place not in ("query", "body", "path", "header")]
        message = "there is no such option" if error["type"] == "extra_forbidden" else str(error["msg"])
        lines.append(": ".join([*names[:1], message[:1].lower() + message[1:]]))
    return Problem("request_invalid", "; ".join(dict.fromkeys(lines[:5])), "see /openapi.json")
