"""Whatever stands in a file of ours or comes over the wire: a value or one clear refusal.

Forms, TwiML, journals, signatures and event records have their properties beside their own tests.
"""

from __future__ import annotations

import json
import os
import re
import socket
from contextlib import closing, suppress
from datetime import UTC, datetime
from unittest.mock import ANY

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from smsquest_cli import processes, runs
from smsquest_cli.config import load_settings
from smsquest_cli.eventlog import open_log
from smsquest_cli.events import Ready, to_record
from smsquest_cli.problems import SmsquestError, UsageError
from smsquest_cli.replies import no_reply
from smsquest_cli.sandbox import Sandbox
from smsquest_cli.sandbox.scenario import PACES, Scenario
from smsquest_cli.server import bind
from smsquest_cli.tunnel import agent_records
from smsquest_cli.webhooks import Receiver, RuleAnswerer, create_app

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
READY = to_record(
    Ready(ts=NOW, mode="local", pid=os.getpid(), webhook_url="http://127.0.0.1:1/sms",
          status_url="http://127.0.0.1:1/status", local_url="http://127.0.0.1:1")
)  # fmt: skip
anything = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def file_with(path, content):
    """*content* as a file, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def spoiled(record):
    """*record* with any of its values exchanged or left out."""
    return st.dictionaries(st.sampled_from(sorted(record)), JSON, max_size=3).flatmap(
        lambda wrong: st.sets(st.sampled_from(sorted(record)), max_size=2).map(
            lambda missing: {
                key: value for key, value in {**record, **wrong}.items() if key not in missing
            }
        )
    )


# Settings

LINES = st.lists(
    st.sampled_from(
        ["TWILIO_ACCOUNT_SID=AC" + "1" * 32, "TWILIO_AUTH_TOKEN='" + "a" * 32, "export ", "=", "\0",
         "TWILIO_PHONE_NUMBER=${TWILIO_ACCOUNT_SID}", 'NGROK_AUTHTOKEN="a\nb"', "\r", "\ufeff", "#"]
    )
    | st.text(max_size=9)
).map(lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass"))  # fmt: skip


@anything
@given(content=LINES | st.binary(max_size=60))
@example(content=b"TWILIO_AUTH_TOKEN=\xff\xfe")
@example(content="TWILIO_ACCOUNT_SID=AC1\n".encode("utf-16"))
def test_any_env_file_is_read_or_refused(tmp_path, content):
    """Half a quote, another encoding, a program: no more than a complaint about it."""
    file_with(tmp_path / ".env", content)
    environment = {"HOME": str(tmp_path), "SMSQUEST_HOME": str(tmp_path / "state")}
    try:
        found = load_settings(environment, cwd=tmp_path)
        found.notes(at=NOW)
        found.rest_credentials()
    except SmsquestError:
        pass  # said, with its id


PROFILE = {"accountSid": "AC" + "1" * 32, "apiKey": "SK" + "2" * 32, "apiSecret": "s" * 32}
CONFIG = {"profiles": {"work": PROFILE}, "activeProject": "work", "projects": [{"id": "old"}]}


@anything
@given(
    content=st.binary(max_size=40)
    | JSON
    | spoiled(CONFIG)
    | spoiled(PROFILE).map(lambda profile: {**CONFIG, "profiles": {"work": profile}}),
    named=st.sampled_from([None, "work", ""]),
)
def test_any_profile_of_the_twilio_cli_is_read_or_refused(tmp_path, content, named):
    """Its file belongs to another program, which may change it."""
    file_with(tmp_path / ".twilio-cli" / "config.json", content)
    environment = {"HOME": str(tmp_path), "SMSQUEST_HOME": str(tmp_path / "state")}
    try:
        found = load_settings(environment, cwd=tmp_path, profile=named)
        found.notes(at=NOW)
        found.rest_credentials()
    except SmsquestError:
        pass  # said, with its id


# What commands leave for each other


@anything
@given(
    content=st.binary(max_size=40)
    | JSON
    | spoiled(
        {"id": "a", "process": processes.own_identity(), "store": "s", "control_token": None,
         "ready": READY}
    )
    | spoiled(READY).map(
        lambda ready: {"id": "a", "process": processes.own_identity(), "store": "s",
                       "control_token": None, "ready": ready}
    )
)  # fmt: skip
def test_any_file_among_the_runs_is_a_run_or_removed(tmp_path, content):
    """Nothing that lies there keeps a command from working."""
    path = tmp_path / "running" / "1.json"
    file_with(path, content)

    found = runs.running(tmp_path)

    assert path.exists() == (found == [runs.Run(ANY, ANY, ANY, ANY)])
    assert all(isinstance(value, str) for run in found for value in (run.id, run.store))


@anything
@given(
    content=st.binary(max_size=40)
    | JSON
    | spoiled(
        {"identity": processes.own_identity(), "owner": os.getpid(),
         "owner_identity": processes.own_identity(), "since": NOW.isoformat(), "url": None}
    ),
    name=st.sampled_from([str(os.getpid()), "x", "-1", "9" * 30]),
)  # fmt: skip
def test_any_file_among_the_agents_is_an_agent_or_removed(tmp_path, content, name):
    """Only what is written as we write it, about a process that runs, is an agent of ours."""
    path = tmp_path / agent_records.FOLDER / f"{name}.json"
    file_with(path, content)

    found = list(agent_records.recorded(tmp_path))

    assert path.exists() == bool(found)
    assert all(agent.pid == os.getpid() for agent in found)
    path.unlink(missing_ok=True)


# What people type


@given(text=st.text(max_size=20) | st.from_regex(r"(undelivered|failed|sent)?:[\d٣²-]{0,6}"))
def test_any_scenario_is_one_or_refused(text):
    """And whatever is one can be played to its end."""
    try:
        scenario = Scenario.parse(text)
    except UsageError:
        return
    assert scenario.steps(PACES["real"], wanted={"queued", "sent", "delivered", "failed"})


# The sandbox's API


@pytest.fixture(scope="module")
def api():
    """A client of the sandbox's API, and the token of its control routes."""
    with Sandbox(seed=1, workers=0) as sandbox:
        yield sandbox.app.test_client(), sandbox


CONTENTS = JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40)
NAMES = st.sampled_from(
    ["from", "to", "body", "media", "scenario", "pace", "method", "url", "unsigned", "parameters",
     "From", "To", "Body", "StatusCallback", "MediaUrl", "SmsUrl", "SmsMethod", "PageSize", "Page"]
)  # fmt: skip


@settings(max_examples=150)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT"]),
    rule=st.integers(min_value=0, max_value=200),
    part=st.sampled_from(["SM" + "0" * 32, "x", "%00", "\u00fc", "PN" + "0" * 32]),
    content=CONTENTS
    | st.dictionaries(NAMES, JSON, max_size=4).map(lambda value: json.dumps(value).encode())
    | st.dictionaries(NAMES, st.text(max_size=9), max_size=4),
    query=st.dictionaries(NAMES, st.sampled_from(["", "-1", "0", "x", "9" * 30]), max_size=2),
)
def test_any_request_to_the_sandbox_is_served_or_refused(api, method, rule, part, content, query):
    """Every route of it, with anything as its fields or JSON: never an error of the server."""
    client, sandbox = api
    rules = sorted(one.rule for one in sandbox.app.url_map.iter_rules())
    path = rules[rule % len(rules)].replace("<account>", sandbox.account.sid)
    path = re.sub(r"<[^>]*>", part, path)
    assume("{" not in path)
    login = {"Authorization": sandbox_login(sandbox), "X-Smsquest-Token": sandbox.control_token}
    kind = None if isinstance(content, dict) else "application/json"

    answer = client.open(
        path, method=method, headers=login, data=content, content_type=kind, query_string=query
    )

    assert answer.status_code < 500, answer.get_data(as_text=True)


def sandbox_login(sandbox):
    """Basic authentication of its account."""
    from requests.auth import _basic_auth_str

    return _basic_auth_str(sandbox.account.sid, sandbox.account.auth_token)


# The webhook's port


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """A server for webhooks that takes everything."""
    path = tmp_path_factory.mktemp("wire") / "events.sqlite3"
    with closing(open_log(path, run="run-1")) as log:
        receiver = Receiver(log, RuleAnswerer(no_reply(), "none"), run="run-1")
        listening = bind(0)
        receiver.move(listening.url)
        with listening.serving(create_app(receiver), quick=receiver):
            yield listening.port


HEAD = b"POST /sms HTTP/1.1\r\nHost: h\r\n"
WIRE = st.lists(
    st.sampled_from(
        [HEAD, b"GET /status?a HTTP/1.1\r\n", b"GET http://h/sms HTTP/1.0\r\n", b"\r\n", b"\r",
         b"Content-Length: 3\r\n", b"Content-Length: -1\r\n", b"Content-Length: 9999999999\r\n",
         b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b"fffffffff\r\n", b"\n",
         b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"X: " + b"y" * 9000 + b"\r\n",
         b"Content-Type: application/x-www-form-urlencoded\r\n", b"\0", b" ", b":", b"a=b", b"\xff"]
    )
    | st.binary(max_size=9),
    max_size=9,
).map(b"".join)  # fmt: skip


@anything
@given(sent=WIRE, cut=st.booleans())
def test_any_bytes_are_requests_or_refused(port, caplog, sent, cut):
    """No error of the server, no trace on the screen, and the next client is served."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(sent)
        answers = b""
        with suppress(OSError):  # it may hang up on what is no request
            client.shutdown(socket.SHUT_WR if cut else socket.SHUT_RDWR)
            while cut and (some := client.recv(65536)):
                answers += some
        assert b" 500 " not in answers
    with socket.create_connection(("127.0.0.1", port), timeout=10) as other:
        other.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert other.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert caplog.text == ""
