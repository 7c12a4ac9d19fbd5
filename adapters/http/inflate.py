"""Inflating untrusted bytes with an upper bound on what comes out."""

from __future__ import annotations

import zlib
from importlib.util import find_spec

GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_RAW_DEFLATE = -zlib.MAX_WBITS
_STEP_BYTES = 1 << 18
_WINDOW_BYTES = 8 << 20
"""Of zstd; what more is asked for only by its `--ultra` levels (RFC 8878 section 3.1.1.1.2)."""
READS_ZSTD = find_spec("zstandard") is not None
"""Whether the optional library is installed."""


class TooLarge(ValueError):
    """More came out than was allowed; nothing beyond it was inflated."""


class NotCompressed(ValueError):
    """Bytes that are not what they claim to be, or that end too early."""


def inflate(data: bytes, max_bytes: int) -> bytes:
    """Return the content of a gzip file (of any number of members), a zlib stream or a raw deflate stream.

    Memory stays within twice `max_bytes`, whatever the ratio. Raises `TooLarge` and `NotCompressed`.
    """
    try:
        return _inflate(data, max_bytes, _GZIP_OR_ZLIB)
    except zlib.error as error:
        if data.startswith(GZIP_MAGIC):
            raise NotCompressed(str(error)) from error
    try:
        return _inflate(data, max_bytes, _RAW_DEFLATE)
    except zlib.error as error:
        raise NotCompressed(str(error)) from error


def _inflate(data: bytes, max_bytes: int, window_bits: int) -> bytes:
    parts, n_bytes = [], 0
    while data:
        member = zlib.decompressobj(window_bits)
        while not member.eof:
            part = member.decompress(data, _STEP_BYTES)
            data = member.unconsumed_tail
            if not part and not data and not member.eof:
                raise NotCompressed("the compressed data ends too early")
            parts.append(part)
            n_bytes += len(part)
            if n_bytes > max_bytes:
                raise TooLarge(f"more than {max_bytes} bytes after decompression")
        data = member.unused_data if window_bits > 0 else b""
        if not data.startswith(GZIP_MAGIC):
            break  # padding after the last member
    return b"".join(parts)


def unpack_zstd(data: bytes, max_bytes: int) -> bytes:
    """Return the content of zstd frames (RFC 8878), which may end too early unnoticed.

    Memory stays within twice `max_bytes` and a window of 8 MB. Raises `TooLarge`, `NotCompressed`, also when the
    library is not installed.
    """
    if not READS_ZSTD:
        raise NotCompressed("zstd is not read here")
    import zstandard  # noqa: PLC0415 optional

    parts, n_bytes = [], 0
    reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES).stream_reader(data, read_across_frames=True)
    try:
        while part := reader.read(_STEP_BYTES):
            parts.append(part)
            n_bytes += len(part)
            if n_bytes > max_bytes:
                raise TooLarge(f"more than {max_bytes} bytes after decompression")
    except zstandard.ZstdError as error:
        raise NotCompressed(str(error)) from error
    return b"".join(parts)
