"""Who sent a request that came through proxies: told by them, where the server is told of them."""

from __future__ import annotations

import pytest
from falcon import testing

import insightlog
from insightlog.adapters.http.app import HttpOptions

EVENT = {"token": "phc_one", "event": "x", "distinct_id": "a"}


@pytest.fixture
def sent_from(log, api):
    """Sends an event through a number of proxies and gives the address that it is stored with."""

    def send(forwarded, n_proxies):
        app = insightlog.adapters.http.create_app(log, HttpOptions(trusted_proxies=n_proxies))
        headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
        answer = testing.TestClient(app).simulate_post("/e/", json=EVENT, headers=headers, remote_addr="10.0.0.1")
        assert answer.status_code == 200
        return api.get("/events/").json["results"][0]["properties"]["$ip"]

    return send


@pytest.mark.parametrize(
    ("forwarded", "n_proxies", "address"),
    [
        ("1.2.3.4", 0, "10.0.0.1"), ("1.2.3.4", 1, "1.2.3.4"), ("1.2.3.4:5555", 1, "1.2.3.4"),
        ("2345:0425:2CA1:0000:0000:0567:5673:23b5", 1, "2345:0425:2CA1:0000:0000:0567:5673:23b5"), ("[2345::1]:80", 1, "2345::1"),
        ("6.6.6.6, 1.2.3.4", 1, "1.2.3.4"), ("6.6.6.6, 1.2.3.4, 10.0.0.2", 2, "1.2.3.4"), ("1.2.3.4", 2, "1.2.3.4"),
        ("unknown", 1, "10.0.0.1"), ("", 1, "10.0.0.1"), (None, 1, "10.0.0.1"), ("1.2.3.4, ", 1, "10.0.0.1"),
    ],
)  # fmt: skip
def test_an_event_has_the_address_that_the_outermost_proxy_saw(sent_from, forwarded, n_proxies, address):
    assert sent_from(forwarded, n_proxies) == address


def test_passwords_of_shares_are_tried_by_each_sender_for_itself(log, api):
    made = api.create(name="a")
    path = f"/insights/{made['id']}/sharing/"
    token = api.patch(path, {"enabled": True, "password_required": True}).json["access_token"]
    api.post(f"{path}passwords/", {"raw_password": "right password"})
    client = testing.TestClient(insightlog.adapters.http.create_app(log, HttpOptions(trusted_proxies=1)))

    def attempt(address):
        sent = {"json": {"password": "wrong password"}, "headers": {"X-Forwarded-For": address}}
        return client.simulate_post(f"/shared/{token}", **sent).status_code

    assert [attempt("1.2.3.4") for _ in range(11)][-1] == 429
    assert attempt("1.2.3.5") == 401
