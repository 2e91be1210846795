"""The table of deliveries and the table of what is past."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta

import pyte
import pytest
from rich.cells import cell_len
from rich.console import Console

from smsquest_cli.console import Output
from smsquest_cli.events import Inbound, MessageState, Problem, Step, Stopped
from smsquest_cli.views import make_delivery_view, make_log_view
from smsquest_cli.views.canvas import LOOK
from smsquest_cli.views.deliveries import DeliveryTable, age
from smsquest_cli.views.lines import Lines
from smsquest_cli.views.listing import Listing
from smsquest_cli.views.records import Records
from smsquest_cli.views.table import Table

AT = datetime(2026, 11, 22, 10, 0, 12, tzinfo=UTC)
NOW = AT + timedelta(seconds=72)
PHONE = "+12025550143"
SID = "SM3f" + "0" * 28 + "9c"


def paper(width=80, *, terminal=False, height=24):
    """A console that keeps what is printed."""
    return Console(
        file=io.StringIO(),
        force_terminal=terminal,
        width=width,
        height=height,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        color_system="standard" if terminal else None,
    )


def state(*steps, sid=SID, to=PHONE, body="hello", **more):
    history = tuple(
        Step(word, AT + timedelta(milliseconds=ms), ms)
        for word, ms in steps or (("queued", 0), ("sent", 400), ("delivered", 1500))
    )
    status = history[-1].status
    return MessageState(
        ts=AT,
        sid=sid,
        direction="outbound-api",
        to=to,
        body=body,
        status=status,
        final=status not in ("queued", "sent"),
        history=history,
        **more,
    )


def shown(view, out, *events):
    with view:
        view.show(events)
        view.refresh()
    return [line.rstrip() for line in out.file.getvalue().splitlines()]


def test_deliveries_fit_into_eighty_columns():
    """D4: what is cut is the beginning of the way; notes stand below."""
    out = paper()
    note = Problem.of("D1", at=AT, about=SID, sid="SM77…e2", minutes=6)

    lines = shown(
        DeliveryTable(out=out, now=lambda: NOW),
        out,
        state(),
        state(("queued", 0), ("undelivered", 30_600), sid="SM41" + "0" * 30, error_code=30003),
        note,
    )

    assert lines[:4] == [
        " SID       To             Now             History                           Age",
        f" {'─' * 78}",
        " SM3f…9c   +12025550143   delivered       … sent 0.4 · delivered 1.5 s     1:12",
        " SM41…00   +12025550143   undelivered !   … undelivered 30.6 s             1:12",
    ]
    assert lines[4].startswith("note[D1]: SM77…e2")
    assert all(cell_len(line) <= 80 for line in lines)


def test_wide_leaves_nothing_out():
    """``--wide``: whole SIDs, the whole way, the text and the error in words."""
    out = paper()
    failed = state(
        ("queued", 0), ("failed", 400), body="Your code", error_code=21610, error="opted out"
    )

    lines = shown(DeliveryTable(wide=True, out=out, now=lambda: NOW), out, failed)

    assert SID in lines[2]
    assert "queued 0.0 · failed 0.4 s" in lines[2]
    assert lines[2].endswith('1:12   21610 opted out "Your code"')


@pytest.mark.parametrize("width", [80, 40])
def test_wide_in_a_narrow_window_takes_more_lines(width):
    """Nothing is cut: a message is a line, its way and its text stand below."""
    out = paper(width, terminal=True)
    failed = state(
        ("queued", 0),
        ("failed", 400),
        body="Your code is 123456",
        error_code=21610,
        error="opted out",
    )

    lines = shown(DeliveryTable(wide=True, out=out, now=lambda: NOW), out, failed)

    text = " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", " ".join(lines)).split())
    assert f"{SID[:20]}" in text
    assert "queued 0.0 · failed 0.4 s" in text
    assert '21610 opted out "Your code is 123456"' in text


@pytest.mark.parametrize("width", [40, 60, 200])
def test_deliveries_fit_into_any_window(width):
    """With little room the way is left out, and the number is its last digits; never the status."""
    out = paper(width)

    lines = shown(DeliveryTable(out=out, now=lambda: NOW), out, state(to="日本語" * 9))

    assert all(cell_len(line) <= width for line in lines)
    assert ("History" in lines[0]) == (width >= 80)
    assert "delivered" in lines[2]


def test_deliveries_are_drawn_as_they_change():
    """On a terminal the row of a message moves on; the last state is left there, once."""
    out = paper(terminal=True)
    screen = pyte.Screen(80, 24)
    stream = pyte.Stream(screen)
    view = DeliveryTable(out=out, now=lambda: NOW)
    stopped = Stopped(ts=AT, reason="interrupt")  # says nothing about a delivery

    assert DeliveryTable(out=paper()).due() is None  # off a terminal nothing is live
    with view:
        view.show([state(("queued", 0)), stopped])
        assert view.due() is not None  # its age goes on
        first = out.file.getvalue()
        view.show([state()])
        assert 0 < view.due() <= 10
    stream.feed(out.file.getvalue().replace("\n", "\r\n"))

    assert "queued" in first
    assert "delivered" not in first
    text = "\n".join(screen.display)
    assert text.count("SM3f…9c") == 1
    assert "delivered" in text
    assert not screen.cursor.hidden


def test_more_deliveries_than_lines_are_all_there_in_the_end():
    """While it is live the newest are shown."""
    out = paper(terminal=True, height=10)
    view = DeliveryTable(out=out, now=lambda: NOW)
    states = [state(sid=f"SM{number:02}" + "0" * 30) for number in range(20)]

    with view:
        view.show(states)
        live = out.file.getvalue()
        assert view.due() == LOOK  # all are final
    final = out.file.getvalue().removeprefix(live)

    assert "+15 earlier" in live
    assert live.count("mdelivered") == 5
    assert all(f"SM{number:02}…00" in final for number in range(20))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0:00"), (40, "0:40"), (363, "6:03"), (3600, "1 h"), (170_000, "47 h"), (180_000, "2 d")],
)
def test_ages_are_short(seconds, text):
    """Minutes and seconds, then hours, then days."""
    assert age(timedelta(seconds=seconds)) == text


def test_the_table_of_the_past_is_as_high_as_it_gets():
    """All rows, then the counts, then the last problems."""
    out = paper()
    messages = [
        Inbound(
            ts=AT, sid=f"SM{number}", from_=PHONE, to="+12025550100", body="hello", method="POST"
        )
        for number in range(100)
    ]
    problem = Problem(ts=AT, id="A11", severity="error", line="your app answered 500")

    lines = shown(Listing(out=out), out, *messages, problem)

    assert sum("hello" in line for line in lines) == 100
    assert lines[-2:] == [" 100 in · 0 out · 1 problem", "error[A11]: your app answered 500"]


def test_an_empty_past_is_said():
    """Not that something is waited for."""
    out = paper()

    assert " nothing is recorded" in shown(Listing(out=out), out)


def test_a_listing_that_fails_prints_nothing():
    """The error alone is shown."""
    out = paper()

    def fail():
        with Listing(out=out):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert out.file.getvalue() == ""


@pytest.mark.parametrize(
    ("output", "follow", "kind"),
    [
        (Output.TABLE, True, Table),
        (Output.TABLE, False, Listing),
        (Output.LINES, True, Lines),
        (Output.JSON, False, Records),
    ],
)
def test_the_log_has_a_view_for_each_output(output, follow, kind):
    """A table that is followed is live."""
    view = make_log_view(output, follow=follow)

    assert isinstance(view, kind)
    assert view.due() is None
    view.refresh()


@pytest.mark.parametrize(("output", "also"), [(Output.LINES, False), (Output.JSON, True)])
def test_notes_on_deliveries_are_talk(capsys, output, also):
    """They go to standard error; among JSON records they are records as well."""
    note = Problem.of("D1", at=AT, about=SID, sid="SM77…e2", minutes=6)

    with make_delivery_view(output) as view:
        view.show((state(), note))
        view.refresh()
        assert view.due() is None

    out, err = capsys.readouterr()
    assert SID in out.splitlines()[0]
    assert ("SM77…e2" in out) == also
    assert err.startswith("note[D1]: SM77…e2")


def test_deliveries_on_a_screen_are_a_table():
    """``tail-status`` and ``send`` use the same."""
    assert isinstance(make_delivery_view(Output.TABLE), DeliveryTable)
