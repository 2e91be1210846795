"""How a webhook is called: retries, redirects, logins, cookies, and what is never called."""

from __future__ import annotations

import itertools
import threading
from urllib.parse import parse_qsl

import pytest
from apps import App
from hypothesis import given, settings
from hypothesis import strategies as st
from pretend_twilio import served
from twilio.request_validator import RequestValidator

from smsquest_cli.sandbox import to_wsgi
from smsquest_cli.sandbox.cookies import IDLE_SECONDS, MAX_JARS, Cookies
from smsquest_cli.sandbox.courier import Courier, Overrides, plain
from smsquest_cli.sandbox.resources import Webhook
from smsquest_cli.wire import Answer, ExchangeError, send

TEXT = st.characters(exclude_categories=["Cs"])
PAIRS = (("Body", "hi"), ("From", "+1"))
BETWEEN = ("+1", "+2")


def courier(deliver, *, allow_remote=True):
    count = itertools.count(1)
    return Courier("token", deliver, allow_remote=allow_remote, uuid=lambda: f"event-{next(count)}")


def fetch(app, url, method="POST", **options):
    return courier(to_wsgi(app)).fetch(Webhook(url, method), PAIRS, between=BETWEEN, **options)


class Failing:
    """Delivers nothing: fails with each of *kinds* in turn, then answers 200."""

    def __init__(self, *kinds):
        self.kinds = list(kinds)
        self.timeouts = []
        self.tokens = set()

    def __call__(self, request, *, connect_timeout, timeout):
        self.timeouts.append((connect_timeout, timeout))
        self.tokens.add(request.header("I-Twilio-Idempotency-Token"))
        if not self.kinds:
            return Answer(200)
        kind = self.kinds.pop(0)
        if isinstance(kind, int):
            return Answer(kind)
        kind, _, part = kind.partition(" ")
        raise ExchangeError(kind, "no luck", begun=part == "begun")


@pytest.mark.parametrize(
    ("fragment", "kinds", "tries", "error"),
    [
        ("", ["refused"], 2, None),
        ("", ["refused", "refused"], 2, 11202),
        ("", ["connect-timeout", "connect-timeout"], 2, 11201),
        ("", ["dns", "dns"], 2, 11210),
        ("", ["tls", "tls"], 2, 11220),
        ("", ["timeout"], 1, 11200),
        ("", ["protocol"], 1, 11206),
        ("", [503], 1, None),
        ("#rc=0", ["refused"], 1, 11202),
        ("#rc=3", ["refused"] * 3, 4, None),
        ("#rc=9", ["refused"] * 3, 2, 11202),
        ("#rp=rt", ["timeout"], 2, None),
        ("#rp=rt", ["refused"], 1, 11202),
        ("#rp=4xx,5xx&rc=2", [503, 404], 3, None),
        ("#rp=4xx", [503], 1, None),
        ("#rp=all", ["timeout"], 2, None),
        ("#rp=all", ["protocol begun"], 1, 11206),
        ("#rp=all", ["timeout begun"], 1, 11200),
        ("#rp=rt", ["timeout begun"], 1, 11200),
        ("#tt=1000", ["timeout"], 1, 11203),
    ],
)
def test_what_is_tried_again(fragment, kinds, tries, error):
    """One retry, and only when no connection came about; the URL's fragment may say otherwise."""
    deliver = Failing(*kinds)

    got = courier(deliver).fetch(Webhook(f"https://a.test/sms{fragment}"), PAIRS, between=BETWEEN)

    assert (len(got.hops), got.error) == (tries, error)
    assert (got.answer is None) is (error is not None)
    assert len(deliver.tokens) == 1
    assert "#" not in got.request.url


def test_how_long_it_takes_at_most():
    """Fifteen seconds in all, five for the connection; a fragment may shorten both."""
    deliver = Failing()
    caller = courier(deliver)
    caller.fetch(Webhook("https://a.test/"), PAIRS, between=BETWEEN)
    caller.fetch(Webhook("https://a.test/#ct=200&rt=300&tt=400"), PAIRS, between=BETWEEN)

    (connect, total), short = deliver.timeouts
    assert (connect, round(total)) == (5.0, 15)
    assert short == (0.2, 0.3)


def test_retries_end_with_the_time():
    """The total includes the retries (11203)."""

    def slow(request, *, connect_timeout, timeout):  # noqa: ARG001
        threading.Event().wait(0.06)
        raise ExchangeError("refused", "no luck")

    got = courier(slow).fetch(Webhook("https://a.test/#tt=100&rc=5"), PAIRS, between=BETWEEN)

    assert got.error == 11203
    assert len(got.hops) < 6


def test_bad_overrides_do_not_count():
    """What is out of range or no number leaves the default."""
    assert Overrides.of("https://a.test/#ct=1&rt=x&tt=99999&rc=-1") == Overrides()


@pytest.mark.parametrize("status", [301, 302, 303, 307])
def test_redirects_are_followed(status):
    """307 keeps method and form, the others become GET without them; the target is signed."""
    app = App({"/sms": [(status, {"Location": "/there?x=1"}, "")], "/there": [200]})

    got = fetch(app, "https://a.test/sms")

    [there] = app.at("/there")
    assert there.method == ("POST" if status == 307 else "GET")
    assert ("Body" in there.form) is (status == 307)
    assert got.hops[0].request.header("X-Twilio-Signature") != got.request.header(
        "X-Twilio-Signature"
    )


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((308, {"Location": "/sms/"}, ""), 11216),
        ((304, {}, ""), 11216),
        ((302, {}, ""), 11216),
        ((302, {"Location": "ftp://a.test/"}, ""), 11216),
        ((302, {"Location": "http://[x/"}, ""), 11216),
        ((302, {"Location": "/sms"}, ""), 11215),
    ],
)
def test_redirects_that_are_not_followed(answer, error):
    """Flask's 308 is not followed, nor one to nowhere, nor one without end."""
    got = fetch(App({"/sms": [answer]}), "https://a.test/sms")

    assert got.error == error
    assert got.detail
    assert len(got.hops) == (11 if error == 11215 else 1)


def test_a_login_is_told_only_when_asked_for():
    """User and password of the URL answer a Basic challenge, and are neither sent nor signed."""
    app = App({"/sms": [(401, {"WWW-Authenticate": 'Basic realm="x"'}, ""), 200]})

    got = fetch(app, "https://me:p%40ss@a.test/sms")

    first, second = app.received
    assert "Authorization" not in first.headers
    assert second.headers["Authorization"] == "Basic bWU6cEBzcw=="
    assert got.request.url == "https://a.test/sms"
    assert got.request.header("Host") == "a.test"


def test_a_login_that_is_refused_is_not_repeated():
    """A second 401 is the answer."""
    app = App({"/sms": [(401, {"WWW-Authenticate": "Basic"}, "")]})

    assert len(fetch(app, "https://me:x@a.test/sms").hops) == 2


def test_a_login_does_not_go_to_another_host():
    """After a redirect to somebody else nobody is told the password."""
    app = App(
        {
            "/sms": [(307, {"Location": "https://b.test/there"}, "")],
            "/there": [(401, {"WWW-Authenticate": "Basic"}, "")],
        }
    )

    got = fetch(app, "https://me:x@a.test/sms")

    assert got.answer.status == 401
    assert not any("Authorization" in one.headers for one in app.received)


@pytest.mark.parametrize("challenge", [{"WWW-Authenticate": "Digest realm=x"}, {}])
def test_other_challenges_are_the_answer(challenge):
    """Only Basic is understood."""
    app = App({"/sms": [(401, challenge, "")]})

    assert len(fetch(app, "https://me:x@a.test/sms").hops) == 1


def test_cookies_belong_to_a_pair_of_numbers():
    """A conversation keeps its cookies; another pair of numbers has its own."""
    app = App({"/sms": [(200, {"Set-Cookie": "step=2; Path=/"}, "")]})
    caller = courier(to_wsgi(app))
    for between in (BETWEEN, BETWEEN, ("+1", "+3")):
        caller.fetch(Webhook("http://127.0.0.1:5000/sms"), PAIRS, between=between)

    assert [one.headers.get("Cookie") for one in app.received] == [None, "step=2", None]


def test_cookies_are_forgotten_after_four_idle_hours():
    """A jar lives as long as it is used, and there are not endlessly many."""
    now = [0.0]
    cookies = Cookies(lambda: now[0])
    answer = Answer(200, (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")))
    url = "http://127.0.0.1/sms"
    cookies.keep(BETWEEN, url, answer)

    now[0] = IDLE_SECONDS
    assert cookies.header(BETWEEN, url) == "a=1; b=2"
    now[0] = 3 * IDLE_SECONDS
    assert cookies.header(BETWEEN, url) is None
    for n in range(MAX_JARS + 1):
        cookies.keep(("+1", str(n)), url, answer)
    assert cookies.header(("+1", "0"), url) is None
    assert cookies.header(("+1", "1"), url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/sms",
        "ftp://a.test/",
        "https://",
        "http://a.test:x/",
        "http://a b/",
        "http://\xe4.test/",
    ],
)
def test_what_is_no_address(url):
    """An address that cannot be called is 11100, and nothing is sent."""
    app = App()

    got = fetch(app, url)

    assert (got.error, app.received) == (11100, [])
    assert got.request.url == url


def test_letters_beyond_ascii_are_escaped():
    """An address with an umlaut is called as a browser would call it."""
    got = fetch(App(), "https://a.test/\xfc?x=%2F\xfc")

    assert got.request.url == "https://a.test/%C3%BC?x=%2F%C3%BC"


def test_a_get_without_a_query_gets_one():
    """The form goes behind ? or &, whichever it takes."""
    assert fetch(App(), "https://a.test/", "GET").request.url == "https://a.test/?Body=hi&From=%2B1"
    assert fetch(App(), "https://a.test/?a", "GET").request.url.endswith("/?a&Body=hi&From=%2B1")


@pytest.mark.parametrize("answer", [None, (302, {"Location": "https://example.com/sms"}, "")])
def test_nothing_leaves_this_computer(answer):
    """Unless allowed, another host is not called, not even by a redirect (11205)."""
    app = App({"/sms": [answer]})
    url = "http://127.0.0.1/sms" if answer else "https://example.com/sms"

    got = courier(to_wsgi(app), allow_remote=False).fetch(Webhook(url), PAIRS, between=BETWEEN)

    assert (got.error, got.answer, len(app.received)) == (11205, None, 1 if answer else 0)
    assert "this computer" in got.detail


def test_over_real_http():
    """The bytes that were signed are the bytes that arrive."""
    app = App({"/sms": [(200, {"Content-Type": "text/xml"}, "<Response/>")]})
    with served(app) as origin:
        got = courier(send).fetch(Webhook(f"{origin}/sms?a=%2f"), PAIRS, between=BETWEEN)

    assert (got.answer.status, got.answer.body) == (200, b"<Response/>")
    assert app.received[0].form == {"Body": "hi", "From": "+1"}
    assert app.received[0].headers["Host"] == origin.removeprefix("http://")
    assert app.received[0].url == f"{origin}/sms?a=%2f"


def test_nobody_listens():
    """A port where nobody listens is tried twice and is 11202."""
    with served(App()) as origin:
        pass

    got = courier(send).fetch(Webhook(f"{origin}/sms"), PAIRS, between=BETWEEN)

    assert (got.error, len(got.hops)) == (11202, 2)


def test_an_address_as_others_are_told_it():
    """Neither password nor overrides are told; what is no address is told as it is."""
    assert plain("https://me:x@a.test/sms#rc=2") == "https://a.test/sms"
    assert plain("nowhere") == "nowhere"


@settings(max_examples=60)
@given(
    fields=st.dictionaries(st.text(TEXT, min_size=1), st.text(TEXT), max_size=6),
    query=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#")),
    method=st.sampled_from(["GET", "POST"]),
)
def test_whatever_is_sent_is_signed_as_twilio_signs_it(fields, query, method):
    """Twilio's own validator accepts the signature of any form to any address."""
    url = "https://a.test:8443/sms" + (f"?{query}" if query.strip("?&") else "")
    pairs = tuple(fields.items())

    got = courier(Failing()).fetch(Webhook(url, method), pairs, between=BETWEEN)

    form = dict(pairs) if method == "POST" else {}
    signature = got.request.header("X-Twilio-Signature")
    assert RequestValidator("token").validate(got.request.url, form, signature)
    if method == "POST":
        assert parse_qsl(got.request.body.decode(), keep_blank_values=True) == list(pairs)
