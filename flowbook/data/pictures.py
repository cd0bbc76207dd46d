"""Turns pictures of any make into a small PNG for a card.

A canvas carries the thumbnails of all its cards in one bundle of at most 256 KB, so each is kept to 480 pixels of
width and 14 KB. Renderers compress for speed: the same pixels packed again take a fifth. What still does not fit gets
fewer colours where Pillow is installed, then is drawn again smaller; what even then does not fit is not shown.
"""

from __future__ import annotations

import base64
import io
import struct
import zlib
from typing import TYPE_CHECKING, Any, Final

from flowbook.data.kinds import PNG_SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_BYTES: Final = 14_000
MOST_WIDTH_PX: Final = 480
_MOST_PIXELS: Final = 50_000_000
_MOST_RAW_BYTES: Final = 4 * _MOST_PIXELS
_MOST_CHART_WIDTH_IN: Final = 40.0
_HEADER: Final = struct.Struct(">II")
_HEADER_AT: Final = 16
_TRIES: Final = 4
_COLOURS: Final = 64
_KEPT_CHUNKS: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


def from_png(data: bytes) -> dict[str, Any] | None:
    """Make a picture preview of PNG bytes, scaled down with Pillow when they are large and Pillow is there."""
    size = _size(data)
    if size is None or size[0] * size[1] > _MOST_PIXELS:
        return None
    if size[0] <= 2 * MOST_WIDTH_PX:
        packed = _packed(data)
        if packed is None or len(packed) <= MOST_BYTES:
            return _preview(packed) if packed else None
    try:
        from PIL import Image  # noqa: PLC0415 - Pillow need not be installed
    except ImportError:
        return None
    with Image.open(io.BytesIO(data)) as photo:
        return from_photo(photo)


def from_png_maker(value: Any) -> dict[str, Any] | None:
    """Make a picture preview of an object that offers ``_repr_png_``: bytes, base64, or either with metadata."""
    data = value._repr_png_()
    if isinstance(data, tuple):
        data = data[0]
    if isinstance(data, str):
        data = base64.b64decode(data)
    return from_png(bytes(data)) if data else None


def from_photo(photo: Any) -> dict[str, Any] | None:
    """Make a picture preview of a Pillow image; the image itself is not changed."""

    def draw(scale: float) -> bytes:
        width, height = photo.size
        small = photo.resize((max(1, round(width * scale)), max(1, round(height * scale)))) if scale < 1 else photo
        target = io.BytesIO()
        (small if small.mode in {"1", "L", "LA", "P", "RGB", "RGBA"} else small.convert("RGBA")).save(target, "PNG")
        return target.getvalue()

    return _fit(draw, min(1.0, MOST_WIDTH_PX / max(1, photo.size[0])))


def from_figure(figure: Any) -> dict[str, Any] | None:
    """Make a picture preview of a matplotlib figure, drawn apart from the canvas it is shown on."""
    width_in = float(figure.get_figwidth())
    if not 0 < width_in <= _MOST_CHART_WIDTH_IN:
        return None

    def draw(scale: float) -> bytes:
        target = io.BytesIO()
        figure.savefig(target, format="png", dpi=scale * MOST_WIDTH_PX / width_in, metadata={"Software": None})
        return target.getvalue()

    return _fit(draw, 1.0)


def from_chart(chart: Any) -> dict[str, Any] | None:
    """Make a picture preview of an altair chart, when vl-convert is installed; data is not fetched from anywhere."""
    try:
        import vl_convert  # noqa: PLC0415 - altair does without it
    except ImportError:
        return {"kind": "text", "text": f"{type(chart).__name__}: install vl-convert-python to see it here"}
    specification = chart.to_dict()

    def draw(scale: float) -> bytes:
        png: bytes = vl_convert.vegalite_to_png(specification, scale=scale, allowed_base_urls=[])
        return png

    return _fit(draw, 1.0)


def _fit(draw: Callable[[float], bytes], scale: float) -> dict[str, Any] | None:
    """Draw smaller and smaller until the picture is narrow and light enough; None when it will not be."""
    for _ in range(_TRIES):
        data = _packed(draw(scale))
        size = data and _size(data)
        if not data or not size:
            return None
        if size[0] <= MOST_WIDTH_PX + 1:
            data = data if len(data) <= MOST_BYTES else _with_fewer_colours(data)
            if len(data) <= MOST_BYTES:
                return _preview(data)
        too_wide = MOST_WIDTH_PX / size[0]
        too_heavy = (MOST_BYTES / len(data)) ** 0.5 * 0.9  # bytes go with the area
        scale *= min(too_wide, too_heavy, 0.95)
    return None


def _packed(data: bytes) -> bytes | None:
    """Compress a PNG's pixels as small as zlib can, and leave out what is not pixels (dates, software, names).

    Returns:
        The smaller PNG; None when the pixels are cut off or damaged.
    """
    chunks = list(_chunks(data))
    unpacker = zlib.decompressobj()
    try:
        pixels = unpacker.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"), _MOST_RAW_BYTES)
    except zlib.error:
        return None
    if not unpacker.eof:
        return None
    packed = zlib.compress(pixels, 9)
    parts = [PNG_SIGNATURE]
    for kind, body in chunks:
        if kind not in _KEPT_CHUNKS or (kind == b"IDAT" and not packed):
            continue
        if kind == b"IDAT":
            body, packed = packed, b""  # noqa: PLW2901 - all of it in the place of the first
        parts.append(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))
    return b"".join(parts)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(PNG_SIGNATURE)
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += length + 12


def _with_fewer_colours(data: bytes) -> bytes:
    try:
        from PIL import Image  # noqa: PLC0415 - Pillow need not be installed
    except ImportError:
        return data
    target = io.BytesIO()
    with Image.open(io.BytesIO(data)) as photo:
        photo.quantize(_COLOURS, method=Image.Quantize.FASTOCTREE).save(target, "PNG", optimize=True)
    return target.getvalue()


def _preview(data: bytes) -> dict[str, Any] | None:
    size = _size(data)
    if size is None:
        return None
    text = base64.b64encode(data).decode("ascii")
    return {"kind": "picture", "mime": "image/png", "data": text, "width": size[0], "height": size[1]}


def _size(data: bytes) -> tuple[int, int] | None:
    """Read width and height, in pixels, off a PNG's header; None when it is no PNG."""
    if not data.startswith(PNG_SIGNATURE) or len(data) < _HEADER_AT + _HEADER.size:
        return None
    width, height = _HEADER.unpack_from(data, _HEADER_AT)
    return (width, height) if width and height else None
