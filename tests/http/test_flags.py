"""What SDKs ask for at start: remote configuration, flags and decide (insights-api.md 8.10)."""

from __future__ import annotations

import base64
import gzip
import json
from urllib.parse import urlencode

import pytest

ASKED = {"token": "phc_one", "distinct_id": "u1"}
MINIMUM = {
    "token": "phc_one", "supportedCompression": ["gzip", "gzip-js"], "hasFeatureFlags": False,
    "captureDeadClicks": False, "capturePerformance": False, "autocapture_opt_out": False,
    "autocaptureExceptions": False, "analytics": {"endpoint": "/i/v0/e/"}, "elementsChainAsString": True,
    "sessionRecording": False, "surveys": False, "heatmaps": False, "defaultIdentifiedOnly": True, "siteApps": [],
}  # fmt: skip


@pytest.fixture
def ask(api):
    def ask(path, body=ASKED, **options):
        sent = json.dumps(body) if isinstance(body, dict) else body
        return api.client.simulate_post(path, body=sent, **options)

    return ask


def test_config_is_the_minimum_and_may_be_kept_for_a_while(api):
    answer = api.client.simulate_get("/array/phc_one/config", headers={"Origin": "https://shop.example.com"})
    assert (answer.status_code, answer.json) == (200, MINIMUM)
    assert "max-age" in answer.headers["cache-control"]
    assert answer.headers["access-control-allow-origin"] == "https://shop.example.com"


def test_config_script_sets_the_configuration_of_the_token(api):
    answer = api.client.simulate_get("/array/phc_one/config.js")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/javascript")
    assert "_POSTHOG_REMOTE_CONFIG" in answer.text
    config = answer.text.partition('c["phc_one"]={config:')[2].partition(",siteApps:[]};")[0]
    assert json.loads(config) == MINIMUM


@pytest.mark.parametrize("path", ["/array/phc_nobody/config", "/array/phc_nobody/config.js", "/static/array.js"])
def test_config_of_an_unknown_token_is_not_found(api, path):
    assert api.client.simulate_get(path).status_code == 404


def test_flags_are_none(ask):
    answer = ask("/flags/", params={"v": "2"})
    assert answer.status_code == 200
    assert {key: answer.json[key] for key in ("errorsWhileComputingFlags", "flags")} == {
        "errorsWhileComputingFlags": False, "flags": {},
    }  # fmt: skip
    assert set(answer.json) == {"errorsWhileComputingFlags", "flags", "requestId", "evaluatedAt"}
    assert isinstance(answer.json["evaluatedAt"], int)


def test_flags_bring_the_configuration_when_it_is_asked_for(ask):
    answer = ask("/flags/", params={"v": "2", "config": "true"}).json
    assert MINIMUM.items() <= answer.items()
    assert (answer["isAuthenticated"], answer["toolbarParams"]) == (False, {})
    assert answer["config"] == {"enable_collect_everything": True}


def test_flags_without_a_version_have_the_older_shape(ask):
    answer = ask("/flags/").json
    assert (answer["featureFlags"], answer["featureFlagPayloads"], "flags" in answer) == ({}, {}, False)


TEXT = json.dumps(ASKED)


@pytest.mark.parametrize(
    "sent",
    [
        {"body": gzip.compress(TEXT.encode()), "params": {"v": "2", "compression": "gzip-js"}},
        {"body": gzip.compress(TEXT.encode()), "headers": {"Content-Encoding": "gzip"}},
        {
            "body": urlencode({"data": base64.b64encode(TEXT.encode()).decode()}),
            "headers": {"Content-Type": "application/x-www-form-urlencoded"},
        },
    ],
)
@pytest.mark.parametrize("path", ["/flags/", "/decide/"])
def test_flags_and_decide_take_every_way_of_sending(ask, path, sent):
    assert ask(path, **sent).status_code == 200


@pytest.mark.parametrize(("version", "flags"), [(None, []), ("1", []), ("2", {}), ("3", {})])
def test_decide_has_a_shape_for_each_version(ask, version, flags):
    answer = ask("/decide/", params={"v": version} if version else {}).json
    assert answer["featureFlags"] == flags
    assert ("featureFlagPayloads" in answer) == (version == "3")
    expected = {
        "config": {"enable_collect_everything": True}, "toolbarParams": {}, "isAuthenticated": False,
        "supportedCompression": ["gzip", "gzip-js"], "sessionRecording": False, "capturePerformance": False,
        "autocapture_opt_out": False, "autocaptureExceptions": False, "surveys": False, "siteApps": [],
    }  # fmt: skip
    assert expected.items() <= answer.items()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"distinct_id": "u1"}, 401, "no_api_key"),
        (b"", 401, "no_api_key"),
        ({"token": "phc_nobody", "distinct_id": "u1"}, 401, "invalid_api_key"),
        ({"token": 5, "distinct_id": "u1"}, 401, "no_api_key"),
        ({"token": "phc_one"}, 400, "missing_distinct_id"),
        ({"token": "phc_one", "distinct_id": None}, 400, "missing_distinct_id"),
        ({"token": "phc_one", "disable_flags": True}, 200, None),
        (b"[1]", 400, "malformed_data"),
        (b"{", 400, "malformed_data"),
        (gzip.compress(b" " * (3 << 20)), 413, "request_too_large"),
    ],
)
@pytest.mark.parametrize("path", ["/flags/", "/decide/"])
def test_flags_and_decide_refuse_in_the_contracts_shape(ask, path, body, status, code):
    answer = ask(path, body, params={"v": "3"}, headers={"Origin": "https://a.example"})
    assert (answer.status_code, answer.json.get("code")) == (status, code)
    assert answer.headers["access-control-allow-origin"] == "https://a.example"


def test_preflight_of_flags_and_config(api):
    for path in ("/flags/", "/decide/", "/array/phc_one/config"):
        answer = api.client.simulate_options(path, headers={"Origin": "https://a.example"})
        assert (answer.status_code, answer.headers["access-control-allow-credentials"]) == (200, "true")


@pytest.mark.parametrize("path", ["/api/feature_flag/local_evaluation/", "/flags/definitions/"])
def test_local_evaluation_has_no_flags_and_asks_for_a_key(api, with_scopes, path):
    answer = api.get("/api/feature_flag/local_evaluation/", params={"token": "phc_one", "send_cohorts": ""})
    assert (answer.status_code, answer.json) == (200, {"flags": [], "group_type_mapping": {}, "cohorts": {}})
    assert api.client.simulate_get(path).status_code == 403
    assert with_scopes("insight:read").get("/api/feature_flag/local_evaluation/").status_code == 403
