"""Bearer tokens from a file, which may change while the service runs."""

import hashlib
import hmac
import logging
import os
from pathlib import Path

from fdikp.errors import ArgumentError

MIN_LENGTH = 16
"""The shortest token, in characters."""

log = logging.getLogger("fdikp.service")


class TokenFile:
    """The tokens of a file: one a line; empty lines and lines that begin with # are left out.

    The file is read again when it changes. While it cannot be read, no token is valid.

    Raises:
        ArgumentError: at the start the file cannot be read, or has no token or a short one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._digests: list[bytes] = []
        try:
            self._read()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            hint = f"write one token of at least {MIN_LENGTH} characters a line"
            raise ArgumentError(reason.lower(), argument="tokens", value=str(path), hint=hint) from None

    def client_of(self, token: bytes) -> str | None:
        """A short name for the holder of a valid token; None if it is not valid.

        The time does not depend on which token is given, or on how much of it is right.
        """
        self._refresh()
        digest = hashlib.sha256(token).digest()
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return f"token {digest.hex()[:12]}" if any(matches) else None

    def _refresh(self) -> None:
        try:
            if _stamp(self.path) != self._stamp:
                self._read()
        except (OSError, ValueError) as error:
            if self._digests:
                log.error("%s: %s; no token is valid until it is mended", self.path, error)
            self._digests, self._stamp = [], None

    def _read(self) -> None:
        stamp = _stamp(self.path)
        lines = [line.strip() for line in self.path.read_text(encoding="utf-8").splitlines()]
        tokens = [line for line in lines if line and not line.startswith("#")]
        if not tokens:
            raise ValueError("has no token")
        if any(len(token) < MIN_LENGTH for token in tokens):
            raise ValueError(f"has a token of less than {MIN_LENGTH} characters")
        self._digests = [hashlib.sha256(token.encode()).digest() for token in tokens]
        self._stamp = stamp


def _stamp(path: Path) -> tuple[int, int, int]:
    """What changes when a file is replaced or written."""
    status = os.stat(path)  # noqa: PTH116 (one call for each request)
    return status.st_mtime_ns, status.st_size, status.st_ino
