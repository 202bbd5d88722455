"""Every error of the service as `application/problem+json` (RFC 9457), and the one map from error codes to statuses."""

import http
import json
from collections.abc import Mapping
from typing import Any

from fdikp.errors import FdikpError

MEDIA_TYPE = "application/problem+json"

STATUS: dict[str, int] = {
    "failed": 422,
    "internal_error": 500,
    "request_invalid": 422,
    "cancelled": 409,
    "out_of_memory": 503,
    "over_memory_budget": 413,
    "no_photo_found": 422,
    "photo_not_found": 422,
    "photo_unreadable": 422,
    "photo_unsupported": 415,
    "photo_damaged": 422,
    "too_many_pixels": 413,
    "timed_out": 422,
    "mask_unusable": 422,
    "output_exists": 500,
    "output_is_input": 500,
    "output_collision": 500,
    "output_unwritable": 500,
    "model_unknown": 422,
    "model_damaged": 500,
    "device_unusable": 500,
    # What only a service can meet
    "http_malformed": 400,
    "token_missing": 401,
    "token_wrong": 401,
    "origin_refused": 403,
    "not_found": 404,
    "job_unknown": 404,
    "not_available": 404,
    "method_not_allowed": 405,
    "client_too_slow": 408,
    "not_ready": 409,
    "body_too_large": 413,
    "host_refused": 421,
    "client_limit": 429,
    "queue_full": 503,
    "not_ready_yet": 503,
    "too_many_connections": 503,
    "storage_full": 507,
}
"""By the code of a problem, the status of the response. The first part are those of `fdikp.errors.ErrorCode`."""

RETRY_AFTER = {
    "queue_full": 5,
    "not_ready_yet": 5,
    "too_many_connections": 2,
    "client_limit": 5,
    "out_of_memory": 30,
    "storage_full": 600,
}
"""By code, the seconds after which a client may try again."""


class Problem(Exception):  # noqa: N818 (the name of RFC 9457)
    """A request that is refused or fails.

    Args:
        code: a key of `STATUS`.
        detail: one line: what failed.
        hint: what to do about it.
        headers: further headers of the response.
    """

    def __init__(self, code: str, detail: str, hint: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{detail}; {hint}" if hint else detail)
        self.code = code
        self.detail = detail
        self.hint = hint
        self.headers = dict(headers or {})
        if code in RETRY_AFTER:
            self.headers.setdefault("Retry-After", str(RETRY_AFTER[code]))

    @property
    def status(self) -> int:
        """The status of the response."""
        return STATUS.get(self.code, 500)

    def to_dict(self, request_id: str | None = None) -> dict[str, Any]:
        """The members of the problem.

        >>> Problem("queue_full", "64 jobs wait", "try again in 5 s").to_dict("r1")["type"]
        'urn:fdikp:problem:queue_full'
        """
        members = {
            "type": f"urn:fdikp:problem:{self.code}",
            "title": title(self.status),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "hint": self.hint,
        }
        return members | ({"request_id": request_id} if request_id else {})

    def body(self, request_id: str | None = None) -> bytes:
        """The problem as JSON."""
        return json.dumps(self.to_dict(request_id), ensure_ascii=False).encode()


def title(status: int) -> str:
    """The phrase of a status.

    >>> title(507)
    'Insufficient Storage'
    """
    return http.HTTPStatus(status).phrase


def problem_of(error: FdikpError) -> Problem:
    """An error of the library as a problem. Its hint is not part of the detail."""
    line = str(error)
    detail = line.removesuffix(f"; {error.hint}") if error.hint else line
    return Problem(error.code, detail, error.hint)
