"""Parts of the OpenAPI document that FastAPI cannot derive: problems, bodies and files."""

from collections import defaultdict
from typing import Any

from fdikp.service.artefacts import MEDIA_TYPES, PATTERNS
from fdikp.service.problems import MEDIA_TYPE, STATUS, Problem, title

EVERYWHERE = (
    "http_malformed",
    "token_missing",
    "token_wrong",
    "origin_refused",
    "client_too_slow",
    "body_too_large",
    "host_refused",
    "request_invalid",
    "internal_error",
    "too_many_connections",
)
"""Codes that every request can be answered with."""

ACCEPTING = (
    "photo_damaged",
    "photo_unsupported",
    "too_many_pixels",
    "over_memory_budget",
    "mask_unusable",
    "model_unknown",
    "timed_out",
    "client_limit",
    "queue_full",
    "storage_full",
)
"""Codes of requests that bring a photo."""

JOB = ("job_unknown",)


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The responses of an operation for these codes and those of every request, by status."""
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in dict.fromkeys((*EVERYWHERE, *codes)):
        by_status[STATUS[code]].append(code)
    return {
        status: {
            "description": f"{title(status)}: {', '.join(names)}",
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/ProblemView"},
                    "examples": {
                        name: {"value": Problem(name, "what failed", "what to do").to_dict()} for name in names
                    },
                }
            },
        }
        for status, names in sorted(by_status.items())
    }


_FILE = {"type": "string", "format": "binary"}


def photo_body(options: dict[str, Any], *, form_only: bool = False) -> dict[str, Any]:
    """The body of a request with a photo: the file itself, or a form with a mask and options too.

    Args:
        options: the properties of the options' schema.
        form_only: leave out the file itself, and the photo of the form.
    """
    image = {} if form_only else {"image": {**_FILE, "description": "The photo."}}
    fields = {**image, "mask": {**_FILE, "description": "White is restored, black kept."}, **options}
    form = {"type": "object", "properties": fields, "additionalProperties": False}
    if not form_only:
        form["required"] = ["image"]
    content: dict[str, Any] = {"multipart/form-data": {"schema": form}}
    if not form_only:
        content |= {"image/*": {"schema": _FILE}, "application/octet-stream": {"schema": _FILE}}
    return {"requestBody": {"required": not form_only, "content": content}}


def photo_response(description: str) -> dict[str, Any]:
    """A response that is an image, with facts about it in headers."""
    headers = {
        "X-Model": "The name of the model.",
        "X-Weights-SHA256": "The SHA-256 of its weights file.",
        "X-Seconds": "The time to read, restore and write the photo.",
    }
    return {
        "description": description,
        "content": {"image/*": {"schema": _FILE}},
        "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()},
    }


def file_types(name: str) -> dict[str, Any]:
    """The media types that a file of a job can have."""
    suffix = PATTERNS[name].rpartition(".")[2]
    types = MEDIA_TYPES.values() if suffix == "*" else [MEDIA_TYPES[f".{suffix}"]]
    return {media_type: {"schema": _FILE} for media_type in types}
