"""`explain` knows the codes people meet, in every way they write them, without a network."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsquest_cli import explanations
from smsquest_cli.explanations import explain, page_of, short
from smsquest_cli.problems import catalogue
from smsquest_cli.statuses import FINAL

KNOWN = [
    *catalogue(),
    *explanations.twilio_errors(),
    *(f"ERR_NGROK_{code}" for code in explanations.ngrok_errors()),
    *explanations.statuses(),
]


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (30007, "30007"),
        ("30007", "30007"),
        (" 30007 ", "30007"),
        ("error 30007", "30007"),
        ("ERR_NGROK_334", "ERR_NGROK_334"),
        ("err_ngrok_334", "ERR_NGROK_334"),
        ("ngrok-334", "ERR_NGROK_334"),
        ("ngrok 4018", "ERR_NGROK_4018"),
        ("N4", "N4"),
        ("n4", "N4"),
        ("error[N4]", "N4"),
        ("c11", "C11"),
    ],
)
def test_a_code_is_understood_as_people_write_it(written, code):
    """Copied from a log, a screen or a page: the code is found."""
    assert explain(written).code == code


@pytest.mark.parametrize(
    "written", ["", "0", "99999", "N99", "X1", "ngrok-1", "ERR_NGROK_", "hello", "٣٠٠٠٧"]
)
def test_an_unknown_code_has_no_explanation(written):
    """Nothing is invented."""
    assert explain(written) is None


@given(st.text())
def test_no_text_upsets_it(text):
    """Whatever is typed, the answer is an explanation or None, and there is a page to look at."""
    explanation = explain(text)

    assert explanation is None or explanation.code in map(str, KNOWN)
    assert page_of(text).startswith("https://")


def test_every_explanation_is_whole():
    """A title to stand beside a status, sentences that say why and what to do, and whose turn."""
    turns = {"you", "your app", "the recipient", "the carrier", "Twilio", "ngrok", "smsquest"}
    turns |= {"nobody"}

    for code in KNOWN:
        explanation = explain(code)
        assert 3 < len(explanation.title) < 60, code
        assert not explanation.title.endswith("."), code
        assert explanation.cause.endswith("."), code
        assert explanation.next_step.endswith("."), code
        assert explanation.who in turns, code


def test_twilios_and_ngroks_codes_lead_to_their_pages():
    """Who wants to know more has one click to go."""
    assert explain(30007).url == "https://www.twilio.com/docs/api/errors/30007"
    assert explain("ngrok-334").url == "https://ngrok.com/docs/errors/err_ngrok_334"
    assert page_of("99999") == "https://www.twilio.com/docs/api/errors/99999"
    assert page_of("ngrok-9999") == "https://ngrok.com/docs/errors/err_ngrok_9999"
    assert page_of("gibberish") == "https://www.twilio.com/docs/api/errors"


@pytest.mark.parametrize(
    "code",
    [
        *(11200, 12100, 12300, 14107, 20003, 20429, 21211, 21408, 21608, 21610),
        *(30003, 30005, 30006, 30007, 30008, 30034, 30035, 63016, 63038, 70051),
    ],
)
def test_the_usual_codes_are_known(code):
    """What people meet in their first week is explained offline."""
    assert explain(code) is not None


def test_the_cause_of_a_code_in_a_few_words():
    """A table row says why; of an unknown code it says where to look."""
    assert short(30003) == "Handset unreachable"
    assert short(99999) == "twilio.com/docs/api/errors/99999"


def test_the_text_is_wrapped_to_the_terminal():
    """On a terminal lines fit and hang under their label; in a pipe nothing is wrapped."""
    explanation = explain("N4")

    narrow = explanation.text(40)
    wide = explanation.text()

    assert max(len(line) for line in narrow.splitlines() if "https:" not in line) <= 40
    assert narrow.startswith("N4  A Messaging Service answers for the\n    number\n\n")
    assert " ".join(narrow.split()) == " ".join(wide.split())
    assert len(wide.splitlines()) == 6


def test_the_command_explains_a_code(smsquest):
    """Text for people, on standard output, unwrapped in a pipe."""
    done = smsquest("explain", "30007")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == explain(30007).text() + "\n"


def test_the_command_explains_a_code_to_programs(smsquest):
    """One JSON document."""
    done = smsquest("explain", "ngrok-334", "--output", "json")

    assert done.returncode == 0
    assert json.loads(done.stdout) == asdict(explain("ERR_NGROK_334"))


def test_the_command_says_where_to_look_for_an_unknown_code(smsquest):
    """Exit 2, with the address of Twilio's own page; a record for programs."""
    done = smsquest("explain", "99999", "--output", "json")

    assert done.returncode == 2
    assert "error[U7]" in done.stderr
    assert "https://www.twilio.com/docs/api/errors/99999" in done.stderr
    assert json.loads(done.stdout)["id"] == "U7"


def test_a_typing_mistake_is_shown_what_was_meant(smsquest_here):
    """The closest that are known, in the line."""
    assert "30007" in smsquest_here("explain", "3007").stderr
    assert "(did you mean ERR_NGROK_4018, " in smsquest_here("explain", "4018").stderr
    assert "ERR_NGROK_334" in smsquest_here("explain", "ERR_NGROK_335").stderr
    assert "(did you mean N9" in smsquest_here("explain", "n99").stderr
    assert "(did you mean delivered, undelivered?)" in smsquest_here("explain", "delivrd").stderr


@pytest.mark.parametrize("status", sorted(FINAL | {"queued", "sending", "sent", "received"}))
def test_a_status_is_explained(status):
    """The words that stand in the table, in any case."""
    assert explain(status.upper()).code == status


def test_a_problem_without_a_page_says_none():
    """No link is better than a dead one."""
    assert explain("C10").url is None
    assert "See" not in explain("C10").text()
