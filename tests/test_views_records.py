"""The JSON view: one record per line, and nothing else."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsquest_cli import events
from smsquest_cli.console import Output
from smsquest_cli.views import Header, make_view

AT = datetime(2026, 11, 22, 10, 0, 12, 345678, tzinfo=UTC)


class Pipe:
    """A standard output that remembers how it was written to."""

    def __init__(self):
        self.written = []
        self.flushed = []

    def write(self, text):
        self.written.append(text)

    def flush(self):
        self.flushed.append(len(self.written))


def inbound(body):
    return events.Inbound(
        ts=AT, sid="SM1", from_="+12025550143", to="+12025550100", body=body, method="POST"
    )


def shown(*happened):
    """Standard output after *happened*."""
    pipe = Pipe()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", pipe)
        with make_view(Output.JSON, header=Header((("server", "http://127.0.0.1"),))) as view:
            view.show(happened)
            view.refresh()
            assert view.due() is None
    return pipe


def test_each_record_is_a_line_of_its_own():
    """As it is recorded, with all that it has; flushed before the next one is written."""
    happened = [inbound("hello"), events.Stopped(ts=AT, reason="interrupt", inbound=1)]

    pipe = shown(*happened)

    assert [json.loads(line) for line in pipe.written] == [*map(events.to_record, happened)]
    assert all(line.endswith("\n") for line in pipe.written)
    assert pipe.flushed == [1, 2]


@given(st.text(st.characters() | st.sampled_from("\x9b\x7f\x85\u202e\u2028\ud83d\n\x1b")))
def test_any_text_is_one_harmless_line(body):
    """No text ends a line early or reaches a terminal as a command; nothing of it is lost."""
    (line,) = shown(inbound(body)).written

    assert len(line.splitlines()) == 1
    assert not {*line[:-1]} & {*map(chr, (*range(0x20), *range(0x7F, 0xA0))), "\u202e"}
    line.encode("utf-8")
    assert json.loads(line)["body"] == body


def test_text_that_can_be_read_stays_readable():
    """People look at records too."""
    (line,) = shown(inbound("It\u2019s me 🎉 日本")).written

    assert "It\u2019s me 🎉 日本" in line


def test_what_goes_wrong_in_a_run_is_said_to_people_too(capsys):
    """On standard error, as it comes; what came before the run was ready has been said by then."""
    early, late = (
        events.Problem(ts=AT, id=id_, severity="error", line="x") for id_ in ("T6", "T8")
    )

    ready = events.Ready(
        ts=AT, mode="local", pid=1, webhook_url="u", status_url="u", local_url="u", verify=True
    )

    with make_view(Output.JSON, header=Header(())) as view:
        view.show([early, ready, late])

    said = capsys.readouterr()
    assert said.err == "error[T8]: x\n"
    assert len(said.out.splitlines()) == 3
