"""Signatures are Twilio's: made, checked and explained as its own library would."""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from smsquest_cli.signing import (
    SharedKey,
    Verifier,
    explain,
    sign,
    sign_request,
    signable_url,
)
from smsquest_cli.wire import Request

TOKEN = "0123456789abcdef0123456789abcdef"
URL = "https://abc.ngrok-free.app/sms?x=1&b=two%20words"
FORM = (
    ("MessageSid", "SM" + "2" * 32),
    ("From", "+12025550143"),
    ("FromCity", ""),
    ("Body", "hello "),
)
FORM_TYPE = "application/x-www-form-urlencoded"
VECTORS = json.loads((Path(__file__).parent / "vectors" / "signatures.json").read_text("utf-8"))

NAMES = st.sampled_from(["Body", "From", "FromCity", "_x", "a", "A", "0"]) | st.text(
    st.characters(exclude_categories=["C", "Z"]), max_size=5
)
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FORMS = st.lists(st.tuples(NAMES, VALUES), max_size=8)
URLS = st.sampled_from(
    [
        "https://example.com/sms",
        "https://example.com:8443/sms?a=1&b=%2B",
        "http://127.0.0.1:5000/sms",
        "http://example.com/",
        "https://example.com:443",
        "https://example.com/status?re=SM1",
    ]
)


def named(vector):
    return vector["id"]


def pairs_of(parameters):
    return [(name, value) for name, value in parameters]


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=named)
def test_every_vector_is_signed_as_twilio_signs_it(vector):
    """The signature itself, over the URL that is signed and the parameters that count."""
    form = vector["method"] == "POST" and vector["content_type"] == FORM_TYPE
    pairs = pairs_of(vector["params"]) if form else ()

    made = sign(vector["signed_url"], pairs, vector["auth_token"], algorithm=vector["algorithm"])

    assert made == vector["signature"]


@pytest.mark.parametrize(
    "vector",
    [one for one in VECTORS["vectors"] if one["content_type"] in (FORM_TYPE, None)],
    ids=named,
)
def test_every_vector_is_judged_as_twilios_library_judges_it(vector):
    """Valid or not, with what the application handed to the validator."""
    given_params = vector["validate_params"]
    form = vector["content_type"] == FORM_TYPE
    pairs = pairs_of(vector["params"] if given_params is None else given_params) if form else ()
    shared = vector["algorithm"] == "HMAC_SHA256"
    secret = vector["validator_token"]

    reason = Verifier(None if shared else secret, secret if shared else None).verify(
        vector["validate_url"],
        pairs,
        vector["signature_presented"],
        settings="key=webhooks_sharedkey_1,algorithm=HMAC_SHA256" if shared else None,
    )

    assert (reason is None) == vector["expect_valid"]


@pytest.mark.parametrize(
    "vector",
    [vector for vector in VECTORS["vectors"] if vector["algorithm"] == "HMAC_SHA1"],
    ids=named,
)
def test_a_whole_request_is_signed_from_its_own_parts(vector):
    """`sign_request` needs no more than the request, credentials and fragment included."""
    request = Request(
        vector["method"],
        vector["configured_url"] if vector["method"] == "POST" else vector["signed_url"],
        (("Content-Type", vector["content_type"]),) if vector["content_type"] else (),
        (vector["raw_body"] or "").encode(),
    )
    if signable_url(request.url) != vector["signed_url"]:
        pytest.fail("the vector's URL is signed as it was configured")

    made = sign_request(request, vector["auth_token"])

    assert made == vector["signature"]


@given(URLS, FORMS, st.sampled_from(["HMAC_SHA1", "HMAC_SHA256"]))
def test_any_form_is_signed_as_twilios_library_would(url, pairs, algorithm):
    """Names in code-point order, repeated ones as the sorted set of their values."""
    expected = RequestValidator(TOKEN).compute_signature(url, MultiDict(pairs), algorithm)

    assert sign(url, pairs, TOKEN, algorithm=algorithm) == expected


@given(URLS, URLS, FORMS, FORMS)
def test_verdicts_are_those_of_twilios_library(signed_url, url, signed, pairs):
    """For any two URLs and forms, one signed and one checked."""
    signature = sign(signed_url, signed, TOKEN)
    expected = RequestValidator(TOKEN).validate(url, MultiDict(pairs), signature)

    assert (Verifier(TOKEN).verify(url, pairs, signature) is None) == expected


@given(URLS, FORMS, st.text(), st.text(), st.text())
def test_no_request_makes_the_verifier_raise(url, pairs, signature, settings, tail):
    """Whatever a stranger sends is wrong, and is told apart only as unsigned or not."""
    verifier = Verifier(TOKEN, "secret")

    reason = verifier.verify(url + tail, pairs, signature, settings=settings)

    assert reason in {"unsigned", "signature", "shared-key"}


@pytest.mark.parametrize("signature", [None, "", " "])
def test_a_request_without_a_signature_is_unsigned(signature):
    """Nobody claims that it is Twilio's."""
    assert Verifier(TOKEN).verify(URL, FORM, signature) == "unsigned"


def test_an_address_that_is_no_url_is_judged_all_the_same():
    """There is no port to add to it, so it counts as it is."""
    assert Verifier(TOKEN).verify("nonsense", FORM, sign("nonsense", FORM, TOKEN)) is None
    assert Verifier(TOKEN).verify("nonsense", FORM, "forged") == "signature"


@pytest.mark.parametrize("token", [None, ""])
def test_an_empty_secret_accepts_nothing(token):
    """Not even what was signed with the empty key."""
    assert Verifier(token).verify(URL, FORM, sign(URL, FORM, "")) == "signature"
    assert (
        Verifier(TOKEN, token).verify(URL, FORM, sign(URL, FORM, ""), settings="key=k")
        == "shared-key"
    )


def test_a_secret_does_not_show():
    """Neither in the repr nor in any attribute that a traceback would print."""
    assert TOKEN not in repr(Verifier(TOKEN, TOKEN))


@pytest.mark.parametrize(
    "url",
    [
        "http://abc.ngrok-free.app/sms?x=1&b=two%20words",
        "https://ABC.ngrok-free.app/sms?x=1&b=two%20words",
        "https://abc.ngrok-free.app/sms/?x=1&b=two%20words",
        "https://abc.ngrok-free.app/sms?b=two%20words&x=1",
        "https://abc.ngrok-free.app/sms?x=1&b=two+words",
        "https://abc.ngrok-free.app/sms",
        URL + "#rc=2",
    ],
)
def test_a_genuine_signature_fails_for_any_other_url(url):
    """Scheme, host, slash, order and encoding of the query all count."""
    assert Verifier(TOKEN).verify(url, FORM, sign(URL, FORM, TOKEN)) == "signature"


def test_a_port_that_a_proxy_added_or_dropped_does_not_matter():
    """Twilio's libraries try both, IPv6 hosts excepted, which we can read."""
    genuine = Verifier(TOKEN).verify

    assert genuine("https://[::1]:8443/sms", FORM, sign("https://[::1]/sms", FORM, TOKEN)) is None
    assert genuine("http://[::1]/sms", FORM, sign("http://[::1]:80/sms", FORM, TOKEN)) is None


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ("key=k1,algorithm=HMAC_SHA256", SharedKey("k1", "HMAC_SHA256")),
        (" algorithm = hmac_sha256 , key = k1 ", SharedKey("k1", "HMAC_SHA256")),
        ("key=k1", SharedKey("k1", "HMAC_SHA1")),
        ("nonsense", SharedKey(None, "HMAC_SHA1")),
    ],
)
def test_the_settings_header_names_key_and_algorithm(settings, key):
    """Read leniently; Twilio's own reader agrees on the algorithm."""
    assert SharedKey.from_header(settings) == key


def test_a_shared_key_is_checked_with_its_own_secret():
    """C6: the auth token does not apply, nor does the shared key to any other request."""
    signature = sign(URL, FORM, "secret", algorithm="HMAC_SHA256")
    settings = "key=k1,algorithm=HMAC_SHA256"

    def verdict(verifier):
        return verifier.verify(URL, FORM, signature, settings=settings)

    assert verdict(Verifier(TOKEN, "secret")) is None
    assert verdict(Verifier(TOKEN)) == "shared-key"
    assert verdict(Verifier("secret")) == "shared-key"
    assert Verifier(TOKEN, "secret").verify(URL, FORM, signature) == "signature"
    assert (
        Verifier(TOKEN, "secret").verify(URL, FORM, signature, settings="algorithm=MD5")
        == "shared-key"
    )


def test_the_time_of_a_comparison_tells_nothing(monkeypatch):
    """What decides takes as long for a good guess as for a bad one, with the port and without."""
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda *both: compared.append(both))

    assert Verifier(TOKEN).verify(URL, FORM, sign(URL, FORM, TOKEN)) == "signature"
    assert len(compared) == 2


def test_an_unknown_algorithm_is_an_error_of_the_caller():
    """Nobody gets a signature of another algorithm than asked for."""
    with pytest.raises(ValueError, match="MD5"):
        sign(URL, FORM, TOKEN, algorithm="MD5")


CANDIDATES = {"the local address": "http://127.0.0.1:8767/sms"}


@pytest.mark.parametrize(
    ("signed_url", "signed_form", "words"),
    [
        (URL.replace("https", "http"), FORM, "for http instead of https"),
        ("http://127.0.0.1:8767/sms", FORM, "for the local address"),
        (
            "http://127.0.0.1:8767/sms?x=1&b=two%20words",
            FORM,
            "for the host of the local address",
        ),
        (
            "https://127.0.0.1:8767/sms",
            FORM,
            "for the local address, for https instead of http",
        ),
        (URL.replace("/sms", "/sms/"), FORM, "with a slash at the end"),
        (URL.replace(".app", ".app:443"), FORM, "with the port"),
        (URL.replace("%20", "+"), FORM, "with the query encoded again"),
        (URL.replace("%20", " "), FORM, "with the query decoded"),
        (
            "https://abc.ngrok-free.app/sms?b=two%20words&x=1",
            FORM,
            "with the query in another order",
        ),
        ("https://abc.ngrok-free.app/sms", FORM, "without the query"),
        (URL, (), "without the form"),
        (URL, [pair for pair in FORM if pair[1]], "without the empty fields"),
        (URL, [(name, value.strip()) for name, value in FORM], "with trimmed values"),
        (URL, [*FORM, ("x", "1"), ("b", "two words")], "with the query among the fields"),
        (URL, FORM[1:], "without the field MessageSid"),
        (
            URL.replace("https", "http").replace("/sms", "/sms/"),
            FORM[:2] + FORM[3:],
            "for http instead of https, with a slash at the end, without the empty fields",
        ),
    ],
)
@pytest.mark.parametrize("algorithm", ["HMAC_SHA1", "HMAC_SHA256"])
def test_a_wrong_signature_is_explained_by_what_was_signed(
    signed_url, signed_form, words, algorithm
):
    """S1 to S6: which of the usual changes made it, the likeliest and fewest first."""
    presented = sign(signed_url, signed_form, TOKEN, algorithm=algorithm)

    assert explain(URL, FORM, presented, TOKEN, candidates=CANDIDATES) == words


def test_the_validator_of_an_application_is_explained_from_its_own_side():
    """What the application checked differs from what was signed: the vectors that must fail."""
    reachable = {
        "neg-http-vs-https": "for https instead of http",
        "neg-trailing-slash": "without the slash at the end",
        "neg-extra-param": "without the field run",
        "neg-query-decoded": "with the query encoded again",
        "userinfo-given-to-validator": "for the URL without user, password and fragment",
        "fragment-given-to-validator": "for the URL without user, password and fragment",
        "neg-localhost": "for the public URL",
        "neg-forged": None,
        "neg-secondary-token": None,
    }

    found = {
        vector["id"]: explain(
            vector["validate_url"],
            pairs_of(vector["validate_params"] or vector["params"]),
            vector["signature_presented"],
            vector["validator_token"],
            candidates={"the public URL": vector["configured_url"]}
            if vector["id"] == "neg-localhost"
            else {},
        )
        for vector in VECTORS["vectors"]
        if vector["id"] in reachable
    }

    assert found == reachable


def test_a_client_that_does_not_sort_is_found_out():
    """Hand-written clients append the fields as they come."""
    made = "".join(name + value for name, value in FORM)

    assert explain(URL, FORM, sign(URL + made, (), TOKEN), TOKEN, candidates={}) == (
        "with unsorted fields"
    )


def test_a_verifier_explains_with_its_own_token():
    """The secret stays inside; without one there is nothing to explain with."""
    presented = sign(URL.replace("https", "http"), FORM, TOKEN)

    def explanation(verifier):
        return verifier.explain(URL, FORM, presented, candidates=CANDIDATES)

    assert explanation(Verifier(TOKEN)) == "for http instead of https"
    assert explanation(Verifier("another")) is None
    assert explanation(Verifier(None, TOKEN)) is None


def test_a_genuine_signature_needs_no_explanation():
    """Nor does one for an address that is no URL crash the explanation."""
    assert explain(URL, FORM, sign(URL, FORM, TOKEN), TOKEN, candidates={}) is None
    assert explain("nonsense", FORM, "é", TOKEN, candidates={"x": "more nonsense"}) is None


@given(st.sampled_from(["", "user:pass@", "user@"]), st.sampled_from(["", "#rc=2", "#@"]))
def test_user_password_and_fragment_are_never_signed(userinfo, fragment):
    """An @ in the path or query is none of them."""
    rest = "example.com:8443/a@b?c=d@e"

    assert signable_url(f"https://{userinfo}{rest}{fragment}") == f"https://{rest}"


def test_the_form_of_a_request_is_what_its_bytes_say():
    """Decoded for the signature, whatever encoder wrote it."""
    body = urlencode(FORM).encode()
    request = Request("POST", URL, (("content-type", FORM_TYPE + "; charset=UTF-8"),), body)

    assert sign_request(request, TOKEN) == sign(URL, FORM, TOKEN)
