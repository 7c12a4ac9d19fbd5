"""The plain pages that visitors of shares see. No script runs in them, and every text is escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from hashlib import sha256
from html import escape
from typing import Any

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}"
    "body{color:#1d1f27;background:#fff}section p{white-space:pre-line}"
    "body.dark{color:#eee;background:#1d1f27}table{border-collapse:collapse;width:100%;overflow:auto;display:block}"
    "th,td{padding:.3rem .6rem;border-bottom:1px solid #8884;text-align:right;white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left}.quiet{color:#777}input,button{font:inherit;padding:.3rem .6rem}"
)
_STYLE_HASH = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
MAX_COLUMNS = 400
MAX_ROWS = 1000


def content_security_policy(frames: str) -> str:
    """Return the policy of a page that other sites may frame as `frames` says."""
    return (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        f"frame-ancestors {frames}"
    )


def shared_page(data: Mapping[str, Any]) -> str:
    """Return the page of what is shared from its JSON form: an insight, or a dashboard with its tiles."""
    whole = data.get("insight") or data["dashboard"]
    name = _name(whole)
    parts = []
    if not data.get("noHeader"):
        parts.append(f"<h1>{escape(name)}</h1>")
        if whole["description"]:
            parts.append(f"<p>{escape(whole['description'])}</p>")
    parts += map(_tile, whole["tiles"]) if "tiles" in whole else [_insight(whole)]
    return _page(name, "".join(parts), theme=data.get("theme"))


def _name(shown: Mapping[str, Any]) -> str:
    return str(shown["name"] or shown.get("derived_name") or ("Dashboard" if "tiles" in shown else "Insight"))


def _tile(tile: Mapping[str, Any]) -> str:
    """Return a tile: a text as it was written, or an insight below its name; nothing for one that is hidden."""
    if tile["text"] is not None:
        return f"<section><p>{escape(tile['text']['body'])}</p></section>"
    insight = tile["insight"]
    if "name" not in insight:
        return ""
    about = f"<p>{escape(insight['description'])}</p>" if insight["description"] else ""
    return f"<section><h2>{escape(_name(insight))}</h2>{about}{_insight(insight)}</section>"


def _insight(insight: Mapping[str, Any]) -> str:
    at = insight["last_refresh"]
    return _result(insight) + (f'<p class="quiet">Calculated at {escape(at)}.</p>' if at else "")


def password_page(problem: str | None = None) -> str:
    """Return the page that asks for a password; the form is sent to the page itself."""
    said = f"<p>{escape(problem)}</p>" if problem else ""
    form = (
        '<form method="post"><label>Password <input type="password" name="password" required autofocus></label> '
        '<button type="submit">Unlock</button></form>'
    )
    return _page("Protected", f"<h1>This is protected by a password</h1>{said}{form}")


def not_found_page() -> str:
    """Return the page for a share that is not open."""
    return _page("Not found", "<h1>Not found</h1><p>This link is not, or no longer, in use.</p>")


def _page(title: str, body: str, *, theme: str | None = None) -> str:
    look = ' class="dark"' if theme == "dark" else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body{look}>{body}</body></html>"
    )


def _result(insight: Mapping[str, Any]) -> str:
    """Return a table of series when the result is one, else a sentence."""
    result = insight["result"]
    if not isinstance(result, list) or not all(isinstance(one, dict) for one in result):
        status = insight["query_status"] or {}
        return f"<p>{escape(status.get('error_message') or 'There is no result yet.')}</p>"
    first = result[0] if result else {}
    labels = list(first.get("labels") or [])[:MAX_COLUMNS]
    if labels:
        rows = ([one.get("label"), *list(one.get("data") or [])[:MAX_COLUMNS]] for one in result[:MAX_ROWS])
        return _table(["", *labels], rows)
    value = "aggregated_value" if "aggregated_value" in first else "count"
    named = ([one.get("label") or one.get("name"), one.get(value)] for one in result[:MAX_ROWS])
    return _table(["", "Value"], named)


def _table(head: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    top = "".join(f"<th>{escape(str(cell))}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(_cell(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
    return str(value)
