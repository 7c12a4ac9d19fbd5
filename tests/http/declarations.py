"""Holds what the code reads and answers against what it declares, in every request that a test makes."""

from __future__ import annotations

import functools
import threading
from typing import ClassVar

import falcon
import jsonschema_rs
import orjson

from insightlog.adapters.http import HttpOptions
from insightlog.adapters.http.access import SHARE_PARAMETER
from insightlog.adapters.http.app import routes_of
from insightlog.adapters.http.openapi import KEY_PARAMETER, common_parameters, document
from insightlog.adapters.http.operations import declared
from insightlog.adapters.http.schemas import COMPONENTS, ref

ERROR = {"content": {falcon.MEDIA_JSON: {"schema": ref("Error")}}}
EVERYTHING = "*"
"""Noted when code goes through all parameters instead of asking for some by name."""


class Noting(dict):
    """Parameters that note which of them are asked for."""

    def __init__(self, values, note):
        super().__init__(values)
        self.note = note

    def get(self, name, default=None):
        self.note(name)
        return super().get(name, default)

    def __getitem__(self, name):
        self.note(name)
        return super().__getitem__(name)

    def __contains__(self, name):
        self.note(name)
        return super().__contains__(name)

    def __iter__(self):
        self.note(EVERYTHING)
        return super().__iter__()

    def items(self):
        self.note(EVERYTHING)
        return super().items()


class Declarations:
    """What one app declares; `reads` collects (path, method) -> names of parameters that its code asked for."""

    _documents: ClassVar[dict] = {}
    """The documents of apps by their paths: all apps declare the same at the same paths, and it takes a while."""

    def __init__(self, log):
        self.by_path = {route.path: route for route in routes_of(log, HttpOptions())}
        paths = tuple(self.by_path)
        if paths not in self._documents:
            self._documents[paths] = document(list(self.by_path.values()))
        self.document = self._documents[paths]
        self.reads = {}
        self._latest = threading.local()

    @property
    def path(self):
        """The routed path of this thread's latest request, None when there was no route."""
        return getattr(self._latest, "path", None)

    def request_type(self):
        """Return a request class whose routing and reads are noted."""
        declarations = self

        class Recorded(falcon.Request):
            routed = None

            @property
            def uri_template(self):
                return self.routed

            @uri_template.setter
            def uri_template(self, path):
                self.routed = declarations._latest.path = path

            def note(self, name):
                if self.routed:
                    declarations.reads.setdefault((self.routed, self.method), set()).add(name)

            @property
            def params(self):
                return Noting(super().params, self.note)

            def get_param(self, name, *args, **options):
                self.note(name)
                return super().get_param(name, *args, **options)

            def has_param(self, name):
                self.note(name)
                return super().has_param(name)

        return Recorded

    def names(self, path, method):
        """Return the declared parameters of an operation, those of the middleware included."""
        found = declared(self.by_path[path].resource, method)
        return {one.name for one in (*(found.query if found else ()), *common_parameters(path))} | {
            KEY_PARAMETER,
            SHARE_PARAMETER,
        }

    def check(self, method, answer):
        """Fail for an undeclared parameter that was read, and for an answer that is not as declared."""
        for (path, of), names in list(self.reads.items()):
            undeclared = names - self.names(path, of) - {EVERYTHING}
            assert not undeclared, f"{of} {path} reads {undeclared}: declare them in @operation(query=...)"
        method = "GET" if method == "HEAD" else method
        is_json = answer.headers.get("Content-Type") == falcon.MEDIA_JSON
        if self.path is None or not is_json or not answer.content:
            return
        asked = f"{method} {self.path} {answer.status_code}"
        shown = self.document["paths"][f"{self.path}/" if self.path.startswith("/api/") else self.path]
        responses = shown.get(method.lower(), {"responses": {"4XX": ERROR}})["responses"]
        found = responses.get(str(answer.status_code)) or responses.get(f"{answer.status_code // 100}XX")
        assert found, f"{asked} is not declared by @operation: {answer.text[:300]}"
        assert "content" in found, f"{asked} is declared to be empty: {answer.text[:300]}"
        schema = found["content"][falcon.MEDIA_JSON]["schema"]
        for problem in validator(orjson.dumps(schema)).iter_errors(answer.json):
            raise AssertionError(f"{asked} is not as declared at {list(problem.instance_path)}: {problem.message}")


@functools.cache
def validator(schema):
    """Return what validates a schema that refers to the shared ones."""
    whole = {**orjson.loads(schema), "components": {"schemas": COMPONENTS}}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
