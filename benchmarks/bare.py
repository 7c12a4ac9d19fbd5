"""The ceiling of the server: a Falcon app without a store, under the product's own gunicorn settings.

`python benchmarks/bare.py PORT FILE...` answers GET /0, /1 ... with the JSON values in the files, and POST /batch/
once the body is read and parsed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import falcon
import orjson

from insightlog.adapters.http.server import SWITCH_INTERVAL_S, Server, ServerOptions


class Answer:
    """Writes a JSON value."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type = falcon.MEDIA_JSON
        resp.data = orjson.dumps(self._value)


class Batch:
    """Parses the body and forgets it."""

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        orjson.loads(req.bounded_stream.read())
        resp.content_type = falcon.MEDIA_JSON
        resp.data = b'{"status": "Ok"}'


class Bare(Server):
    """The product's gunicorn with a bare app."""

    answers: list[Any]

    def load(self) -> falcon.App:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        app = falcon.App()
        app.req_options.strip_url_path_trailing_slash = True
        for n, value in enumerate(self.answers):
            app.add_route(f"/{n}", Answer(value))
        app.add_route("/_health", Answer({"status": "ok"}))
        app.add_route("/batch", Batch())
        return app


if __name__ == "__main__":
    server = Bare(ServerOptions(data=Path("nothing"), host="127.0.0.1", port=int(sys.argv[1])))
    server.answers = [orjson.loads(Path(name).read_bytes()) for name in sys.argv[2:]]
    server.run()
