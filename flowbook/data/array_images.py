"""Draws an array of two dimensions as a small PNG: as many of its values, evenly apart, as there is room for."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from typing import TYPE_CHECKING, Any, Final

from flowbook.data.kinds import PNG_SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

_NO_VALUE: Final = 255  # of the palette: what is not a number is left transparent


def image(
    array: np.ndarray[Any, Any], *, sides: Sequence[int] = (256, 160, 96, 48), most_bytes: int = 40_000
) -> dict[str, Any] | None:
    """Draw an array of two dimensions in grey, or one of (height, width, 3 or 4) bytes in colour.

    Values evenly apart are looked at, at most 256 a side. Black is the least of them, white the most; what is not a
    number is transparent.

    Args:
        array: any array.
        sides: most pixels a side, the largest that does not take too many bytes is chosen.
        most_bytes: most bytes of the PNG.

    Returns:
        A picture preview, as ``previews.preview`` makes it; None for other arrays.
    """
    import numpy as np

    array = array if np.ma.isMaskedArray(array) else np.asarray(array)
    is_colour = array.ndim == 3 and array.shape[2] in {3, 4} and array.dtype == "u1"
    if not (is_colour or (array.ndim == 2 and array.dtype.kind in "biuf")) or not array.size:
        return None
    for side in sides:
        rows, columns = (max(1, math.ceil(size / side)) for size in array.shape[:2])
        seen = array[::rows, ::columns]
        data = _colour_png(seen) if is_colour else _grey_png(seen)
        if len(data) <= most_bytes:
            text = base64.b64encode(data).decode("ascii")
            return {
                "kind": "picture",
                "mime": "image/png",
                "data": text,
                "width": seen.shape[1],
                "height": seen.shape[0],
            }
    return None


def _grey_png(seen: np.ndarray[Any, Any]) -> bytes:
    import numpy as np

    values = np.ma.filled(seen.astype("f8"), np.nan)
    is_there = np.isfinite(values)
    least, most = (values[is_there].min(), values[is_there].max()) if is_there.any() else (0.0, 0.0)
    with np.errstate(all="ignore"):
        share = (values / 2 - least / 2) / (most / 2 - least / 2) if most > least else np.full(values.shape, 0.5)
    pixels = np.where(is_there, np.nan_to_num(share) * (_NO_VALUE - 1), _NO_VALUE).astype("u1")
    greys = bytes(part for level in range(_NO_VALUE) for part in [round(level * 255 / (_NO_VALUE - 1))] * 3)
    palette = _chunk(b"PLTE", greys + b"\0\0\0") + _chunk(b"tRNS", b"\xff" * _NO_VALUE + b"\0")
    return _png(pixels, 3, palette)


def _colour_png(seen: np.ndarray[Any, Any]) -> bytes:
    return _png(seen, 2 if seen.shape[2] == 3 else 6, b"")


def _png(pixels: np.ndarray[Any, Any], colour_type: int, palette: bytes) -> bytes:
    """Write a PNG (https://www.w3.org/TR/png-3/); every row of pixels begins with a zero: not filtered."""
    import numpy as np

    height, width = pixels.shape[:2]
    lines = np.ascontiguousarray(pixels).reshape(height, -1)
    body = np.concatenate([np.zeros((height, 1), "u1"), lines], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    data = _chunk(b"IDAT", zlib.compress(body, 6))
    return PNG_SIGNATURE + _chunk(b"IHDR", header) + palette + data + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
