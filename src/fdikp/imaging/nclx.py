"""Colour spaces that HEIF and JPEG XL state by numbers (ITU-T H.273) as ICC profiles, which every written format holds.

*Ours*: the transfer functions of BT.709, BT.601 and BT.2020 count as that of sRGB, as in web browsers. In the profiles
of HDR photos (PQ, HLG) reference white (ITU-R BT.2408: 203 cd/m², 75 % HLG) is white, and what is brighter is cut off.
Programs that show HDR use the numbers instead, which the profile and PNG's `cICP` chunk repeat.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

HDR = {16: "PQ", 18: "HLG"}
"""Transfer functions of HDR photos."""

_UNSPECIFIED, _BT709, _PQ = 2, 1, 16
_NAMES = {_BT709: "BT.709", 9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
_SRGB_LIKE = (1, _UNSPECIFIED, 6, 13, 14, 15)
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}

_CORNERS = ("red", "green", "blue", "white")
_SRGB_CORNERS = ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06), (0.3127, 0.329))

_D50 = np.array([0.9642, 1.0, 0.8249])  # white of the profile connection space
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_CURVE_ENTRIES = 4096


def described(numbers: Mapping[str, Any], notes: list[str]) -> tuple[bytes | None, tuple[tuple[bytes, bytes], ...]]:
    """Return the `profile` of a colour space, and the PNG chunks that state it; note if the photo is HDR."""
    hdr = HDR.get(numbers["transfer_characteristics"])
    if not hdr:
        return profile(numbers), ()
    notes.append(f"HDR photo ({hdr}): its values are kept, and programs without HDR cut off the highlights.")
    # Primaries without a number cannot be stated there
    return profile(numbers), ((b"cICP", cicp(numbers)),) if numbers["color_primaries"] else ()


def profile(nclx: Mapping[str, Any]) -> bytes | None:
    """Return the ICC profile (version 4, RGB) of a colour space; None for sRGB, and for numbers without a meaning.

    Args:
        nclx: `color_primaries` and `transfer_characteristics` as in H.273 (0 for others), the chromaticities of the
            primaries and of white, `color_primary_red_x` and so on, and `gamma` if light is a power of the value.
    """
    primaries, transfer = nclx["color_primaries"], nclx["transfer_characteristics"]
    curve = _power(nclx["gamma"]) if "gamma" in nclx else _curve(transfer)
    if curve is None or (primaries in (_BT709, _UNSPECIFIED) and transfer in _SRGB_LIKE):
        return None
    corners = tuple((nclx[f"color_primary_{each}_x"], nclx[f"color_primary_{each}_y"]) for each in _CORNERS)
    try:
        columns, adaptation = _matrices(_SRGB_CORNERS if primaries == _UNSPECIFIED else corners)
    except (ZeroDivisionError, np.linalg.LinAlgError):
        return None
    function = f"gamma {nclx['gamma']:.3g}" if "gamma" in nclx else HDR.get(transfer, f"transfer function {transfer}")
    name = f"{_NAMES.get(primaries, f'primaries {primaries}')}, {function}"
    tags = {
        b"desc": _text("Display P3" if (primaries, transfer) == (12, 13) else name),
        b"cprt": _text("No copyright"),
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(*_D50),
        b"chad": b"sf32\0\0\0\0" + _fixed(*adaptation.ravel()),
        **{tag: b"XYZ \0\0\0\0" + _fixed(*columns[:, i]) for i, tag in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    if transfer in HDR:
        tags[b"cicp"] = b"cicp\0\0\0\0" + cicp(nclx)
    return _packed(tags)


def cicp(nclx: Mapping[str, Any]) -> bytes:
    """Return the four numbers of an RGB image in this colour space: the body of PNG's `cICP` chunk."""
    return bytes([nclx["color_primaries"] & 255, nclx["transfer_characteristics"] & 255, 0, 1])


def _curve(transfer: int) -> bytes | None:
    """A transfer function, from code values to light, as the body of an ICC tag; None if it is not known."""
    if transfer in _SRGB_LIKE:
        return b"para\0\0\0\0\0\3\0\0" + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    if transfer in _GAMMAS:
        return _power(_GAMMAS[transfer])
    if transfer not in HDR:
        return None
    code = np.linspace(0, 1, _CURVE_ENTRIES)
    light = (_pq(code) / 203 if transfer == _PQ else _hlg(code) / _hlg(np.array(0.75))).clip(0, 1)
    return b"curv\0\0\0\0" + struct.pack(">I", len(light)) + (light * 65535).round().astype(">u2").tobytes()


def _power(gamma: float) -> bytes:
    return b"para\0\0\0\0\0\0\0\0" + _fixed(gamma)


def _pq(code: np.ndarray) -> np.ndarray:
    """Return the light of PQ code values in cd/m² (SMPTE ST 2084)."""
    root = code ** (1 / 78.84375)
    return 10000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)


def _hlg(code: np.ndarray) -> np.ndarray:
    """Return the scene light, 0..1, of HLG code values (ITU-R BT.2100)."""
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12)


def _matrices(corners: tuple[tuple[float, float], ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix from linear RGB to XYZ under D50, and the adaptation to D50 in it (Bradford)."""
    *primaries, white = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in corners)
    matrix = np.stack(primaries, 1)
    matrix = matrix * np.linalg.solve(matrix, white)
    gains = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adaptation = np.linalg.solve(_BRADFORD, gains[:, np.newaxis] * _BRADFORD)
    return adaptation @ matrix, adaptation


def _fixed(*values: float) -> bytes:
    """Numbers as ICC's s15Fixed16Number."""
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(data), 28) + data


def _packed(tags: dict[bytes, bytes]) -> bytes:
    """Return the profile with these tags; equal bodies are stored once."""
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    places: dict[bytes, int] = {}
    for name, data in tags.items():
        if data not in places:
            places[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
        table += name + struct.pack(">II", places[data], len(data))
    head = struct.pack(">I4xI", start + len(body), 0x04400000) + b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28)
    return (head + _fixed(*_D50)).ljust(128, b"\0") + table + body
