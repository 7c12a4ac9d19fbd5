"""Decoder for LZ-string's base64 form, which old browser SDKs call `lz64`.

Source: the LZ-string format (pieroxy.net/blog/pages/lz-string): LZ78 codes of growing width, least significant bit
first, six bits per character of the base64 alphabet, most significant bit first.
"""

from __future__ import annotations

from collections.abc import Iterator

from .inflate import NotCompressed, TooLarge

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
MAX_INPUT_BYTES = 1 << 20
"""PERF: about 1 MB/s; a format of small requests from old browsers does not get more of the processor."""
_CHARACTER_8, _CHARACTER_16, _END = 0, 1, 2


def decode_lz64(data: bytes, max_bytes: int) -> bytes:
    """Return the compressed text as UTF-8, lone surrogates replaced.

    Raises `NotCompressed` for other data and `TooLarge` when more than `max_bytes` come out.
    """
    if len(data) > MAX_INPUT_BYTES:
        raise TooLarge(f"more than {MAX_INPUT_BYTES} bytes of lz64")
    units, size = [], 0
    for entry in _entries(data):
        units.append(entry)
        size += len(entry)
        if size > max_bytes:
            raise TooLarge(f"more than {max_bytes} bytes after decompression")
    # The text is a sequence of UTF-16 units: pairs of surrogates become characters on the way through UTF-16.
    text = "".join(units).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()
    if len(text) > max_bytes:
        raise TooLarge(f"more than {max_bytes} bytes after decompression")
    return text


class _Bits:
    """Reads codes, least significant bit first."""

    def __init__(self, data: bytes) -> None:
        try:
            self._bits = "".join(f"{_VALUES[byte]:06b}" for byte in data.rstrip(b"=\r\n "))
        except KeyError as error:
            raise NotCompressed("not in the base64 alphabet") from error
        self._at = 0

    def take(self, width: int) -> int:
        taken = self._bits[self._at : self._at + width]
        if len(taken) < width:
            raise NotCompressed("the compressed data ends too early")
        self._at += width
        return int(taken[::-1], 2)


def _entries(data: bytes) -> Iterator[str]:
    """Yield the pieces of the text, each a sequence of UTF-16 units."""
    bits = _Bits(data)
    dictionary: list[str] = ["", "", ""]
    width, before_wider = 2, 1
    previous = ""
    while True:
        code = bits.take(width)
        if code == _END:
            return
        if code in {_CHARACTER_8, _CHARACTER_16}:
            dictionary.append(chr(bits.take(8 if code == _CHARACTER_8 else 16)))
            code = len(dictionary) - 1
            before_wider -= 1
            if before_wider == 0:
                width, before_wider = width + 1, 1 << width
        if code < len(dictionary):
            entry = dictionary[code]
        elif code == len(dictionary) and previous:
            entry = previous + previous[0]
        else:
            raise NotCompressed("a code that was never defined")
        yield entry
        if previous:
            dictionary.append(previous + entry[0])
            before_wider -= 1
            if before_wider == 0:
                width, before_wider = width + 1, 1 << width
        previous = entry
