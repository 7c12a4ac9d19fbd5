"""The middleware that owns request bodies, called as plain WSGI."""

from __future__ import annotations

import gzip
import io
import json
import resource
import zlib

import pytest

from insightlog.adapters.http.body import BodyMiddleware, is_nested_deeper

GIB_OF_ZEROS_BYTES = 1 << 30


class Chunked(io.RawIOBase):
    """A stream like a server's for a chunked body: short reads, then its end."""

    def __init__(self, data: bytes, step: int = 1000) -> None:
        self._data, self._step = io.BytesIO(data), step

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, self._step) if size >= 0 else -1)


class Broken(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:
        raise OSError("connection reset")


def request(body: bytes = b"", path: str = "/api/projects/1/insights/", stream: object = None, **environ: object):
    """Return status, headers, body of the answer and what the app behind read; None when it was not called."""
    seen: list[bytes] = []
    answered: list = []

    def app(environ, start_response):
        data = environ["wsgi.input"].read()
        assert environ["CONTENT_LENGTH"] == str(len(data))
        assert not environ.get("HTTP_TRANSFER_ENCODING")
        seen.append(data)
        start_response("200 OK", [])
        return [b"ok"]

    full = {
        "PATH_INFO": path,
        "REQUEST_METHOD": "POST",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": stream or io.BytesIO(body),
        **environ,
    }
    wsgi = BodyMiddleware(app)
    answer = b"".join(wsgi(full, lambda status, headers: answered.extend([status, dict(headers)])))
    return answered[0], answered[1], answer, seen[0] if seen else None


def refusal(*args, **kwargs) -> tuple[int, dict]:
    status, headers, answer, seen = request(*args, **kwargs)
    assert seen is None
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Length"] == str(len(answer))
    body = json.loads(answer)
    assert set(body) == {"type", "code", "detail", "attr"}
    return int(status[:3]), body


@pytest.mark.parametrize("body", [b"", b"{}", b'{"a": "[[["}', b"x" * 100_000])
def test_a_body_within_bounds_is_handed_on(body):
    assert request(body)[3] == body


def test_a_request_without_length_has_no_body():
    assert request(b"ignored", CONTENT_LENGTH="")[3] == b""


def test_a_chunked_body_is_read_to_its_end():
    body = b"[" + b"1," * 5000 + b"1]"
    environ = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    assert request(stream=Chunked(body), **environ)[3] == body


def test_a_chunked_body_that_nobody_ends_is_refused():
    assert refusal(CONTENT_LENGTH="", HTTP_TRANSFER_ENCODING="chunked")[0] == 411


def test_a_chunked_body_beyond_the_limit_is_refused():
    environ = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    status, body = refusal(stream=Chunked(b"x" * (5 << 20), 65536), **environ)
    assert (status, body["type"], body["code"]) == (413, "invalid_request", "request_too_large")


def test_a_declared_body_beyond_the_limit_is_read_and_refused():
    """Clients that send before they read the answer see the answer."""
    stream = io.BytesIO(b"x" * (5 << 20))
    assert refusal(stream=stream, CONTENT_LENGTH=str(5 << 20))[1]["code"] == "request_too_large"
    assert stream.read() == b""


@pytest.mark.parametrize(
    ("environ", "body"),
    [({"CONTENT_LENGTH": "10"}, b"{}"), ({"CONTENT_LENGTH": "-1"}, b""), ({"CONTENT_LENGTH": "1e3"}, b"")],
)
def test_a_length_that_lies_is_refused(environ, body):
    assert refusal(body, **environ)[0] == 400


def test_a_broken_connection_is_a_400():
    assert refusal(stream=Broken(), CONTENT_LENGTH="5")[0] == 400


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("GZIP", lambda data: gzip.compress(data[:5]) + gzip.compress(data[5:])),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data, wbits=-15)),
        ("identity", bytes),
    ],
)
def test_api_bodies_are_inflated(encoding, pack):
    body = b'{"name": "Weekly signups"}' * 3
    assert request(pack(body), HTTP_CONTENT_ENCODING=encoding)[3] == body


def squeezed(data):
    """gzip without the time in it: names of tests may not change from process to process."""
    return gzip.compress(data, mtime=0)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        squeezed(b"x" * 1000)[:-12],
        squeezed(b"x")[:5],
        b"\x1f\x8b\x08",
        squeezed(b"x")[:-8] + b"12345678",
    ],
)
def test_damaged_gzip_is_a_parse_error(body):
    status, answer = refusal(body, HTTP_CONTENT_ENCODING="gzip")
    assert (status, answer["code"]) == (400, "parse_error")


def test_nested_gzip_is_inflated_once():
    inner = gzip.compress(b"{}")
    assert request(gzip.compress(inner), HTTP_CONTENT_ENCODING="gzip")[3] == inner


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "zstd"])
def test_unknown_encodings_are_named(encoding):
    status, body = refusal(b"x", HTTP_CONTENT_ENCODING=encoding)
    assert (status, body["code"]) == (415, "unsupported_media_type")
    assert encoding in body["detail"]


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """A stream of gzip that inflates to a gibibyte: one mebibyte of zeros, again and again."""
    packer = zlib.compressobj(9, wbits=31)
    first, again = (packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + again * ((GIB_OF_ZEROS_BYTES >> 20) - 1)


def test_a_gzip_bomb_is_refused_in_little_memory(bomb):
    assert len(bomb) < 2 << 20
    assert zlib.decompressobj(wbits=31).decompress(bomb, 3 << 20) == bytes(3 << 20)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal(bomb, HTTP_CONTENT_ENCODING="gzip")[0] == 413
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 64 << 10


def test_deep_json_is_refused_before_it_is_parsed():
    for body in (b"[" * 100_000, b'{"a":' * 201 + b"1" + b"}" * 201):
        status, answer = refusal(body)
        assert (status, answer["code"]) == (400, "parse_error")


@pytest.mark.parametrize(
    ("text", "is_deep"),
    [
        (b"[" * 200 + b"]" * 200, False),
        (b"[" * 201 + b"]" * 201, True),
        (b"[[]," * 1 + b"[]," * 5000 + b"1]", False),
        (b'["' + b"[" * 5000 + b'"]', False),
        (b'["\\"' + b"[" * 5000 + b'"]', False),
        (b'["\\\\",' + b"[" * 300, True),
        (b"]" * 5000 + b"[" * 10, False),
    ],
)
def test_depth_counts_open_brackets_outside_strings(text, is_deep):
    assert is_nested_deeper(text, 200) is is_deep


class TestCapturePaths:
    @pytest.mark.parametrize("path", ["/e/", "/e", "/batch/", "/i/v0/e/", "/s/", "/flags/"])
    def test_bodies_come_as_they_are(self, path):
        body = gzip.compress(b"[" * 1000)
        assert request(body, path, HTTP_CONTENT_ENCODING="gzip")[3] == body

    @pytest.mark.parametrize(("path", "limit"), [("/e/", 2 << 20), ("/batch/", 20 << 20)])
    def test_each_has_its_limit_and_says_so_in_plain_text(self, path, limit):
        assert len(request(b"x" * limit, path)[3]) == limit
        status, headers, answer, seen = request(b"x" * (limit + 1), path, HTTP_ORIGIN="https://example.com")
        assert (status[:3], seen) == ("413", None)
        assert headers["Content-Type"] == "text/plain; charset=utf-8"
        assert headers["Access-Control-Allow-Origin"] == "https://example.com"
        assert answer.startswith(b"maximum event size exceeded: ")

    def test_paths_that_only_begin_alike_are_api_paths(self):
        assert refusal(b"x", "/embedded/e/", CONTENT_LENGTH="7")[0] == 400
