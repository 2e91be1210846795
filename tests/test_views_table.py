"""The live table: what is on the screen, at any size, at any pace, and when it is left."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
from datetime import datetime, timedelta

import pexpect
import pyte
import pytest
from rich.cells import cell_len
from rich.console import Console

from smsquest_cli.events import (
    Inbound,
    Number,
    OutgoingMessage,
    Problem,
    Rejected,
    Reply,
    Status,
    Stopped,
    Tunnel,
)
from smsquest_cli.views import Header
from smsquest_cli.views.canvas import LOOK
from smsquest_cli.views.layout import Layout, footer, hanging
from smsquest_cli.views.table import Table

AT = datetime(2026, 11, 22, 10, 0, 12).astimezone()
PHONE = "+12025550143"
HEADER = Header((("server", "http://127.0.0.1:8767/sms"),), "sandbox · Ctrl-C stops")
HOSTILE = "[/red] \x1b]0;pwned\a\x1b[2J\u202eabc"


class Screen:
    """A terminal with a live table on it."""

    def __init__(self, width=80, height=24, *, header=HEADER, **options):
        self._file = io.StringIO()
        self.screen = pyte.Screen(width, height)
        self._stream = pyte.Stream(self.screen)
        self.now = 1000.0
        self.out = Console(
            file=self._file,
            force_terminal=True,
            width=width,
            height=height,
            markup=False,
            emoji=False,
            highlight=False,
            legacy_windows=False,
            color_system="standard",
        )
        self.table = Table(header, out=self.out, clock=lambda: self.now, **options)

    def show(self, *events):
        """Show *events*, and whatever is put off."""
        self.table.show(events)
        if due := self.table.due():
            self.now += due
            self.table.refresh()

    def resize(self, width, height):
        """Give the window another size; as most terminals do, this one folds what is too long."""
        _ = self.written
        lines = [line.rstrip() for line in self.screen.display[: self.screen.cursor.y + 1]]
        self.out.width, self.out.height = width, height
        self.screen = pyte.Screen(width, height)
        self._stream = pyte.Stream(self.screen)
        self._stream.feed("\r\n".join(lines))

    @property
    def written(self):
        """What has been written since it was last asked."""
        text = self._file.getvalue()
        self._file.seek(0)
        self._file.truncate()
        self._stream.feed(text.replace("\n", "\r\n"))
        return text

    @property
    def lines(self):
        """The lines of the screen, without those that are empty."""
        _ = self.written
        return [line.rstrip() for line in self.screen.display if line.strip()]


def widest(character):
    """The cells that a terminal may make of *character* at most."""
    if character == "\N{VARIATION SELECTOR-16}":
        return 1  # it may widen the one before
    return 2 if character in "🏽🇩🇪" else cell_len(character)


def sid(number, prefix="SM"):
    return f"{prefix}{number:032x}"


def exchange(number=0, body="hello quest", statuses=("queued", "sent", "delivered"), code=None):
    """What is recorded of a message and its reply."""
    at = AT + timedelta(seconds=number)
    yield Inbound(ts=at, sid=sid(number), from_=PHONE, to="+12025550100", body=body, method="POST")
    yield Reply(
        ts=at,
        in_reply_to=sid(number),
        source="reply",
        http_status=200,
        ms=4.0,
        messages=(OutgoingMessage(f"You said: {body}"),),
    )
    for index, word in enumerate(statuses):
        yield Status(
            ts=at + timedelta(seconds=0.75 * index),
            sid=sid(number, "SN"),
            status=word,
            to=PHONE,
            in_reply_to=sid(number),
            error_code=code if index == len(statuses) - 1 else None,
        )


def stopped(**more):
    return Stopped(ts=AT, reason="interrupt", inbound=1, outbound=1, **more)


def test_an_empty_table_says_what_it_waits_for():
    """L2: header, heading, and how to stop."""
    screen = Screen()

    with screen.table:
        lines = screen.lines

    assert lines == [
        "server    http://127.0.0.1:8767/sms",
        " Time           Peer           Message                   Seg   Status",
        f" {'─' * 78}",
        " waiting for the first message",
        " 0 in · 0 out                                            sandbox · Ctrl-C stops",
    ]


def test_a_message_and_its_reply_are_rows():
    """L3: the reply's status has seconds; the counts are below."""
    screen = Screen()

    with screen.table:
        screen.show(*exchange())
        lines = screen.lines

    assert lines[3:] == [
        " 10:00:12   ←   +12025550143   hello quest                 1   answered 200",
        " 10:00:12   →   +12025550143   You said: hello quest       1   delivered 1.5 s",
        " 1 in · 1 out                                            sandbox · Ctrl-C stops",
    ]


def test_a_failure_is_marked_counted_and_explained():
    """The row has a mark and the code; with more room also the way it took."""
    events = [*exchange(statuses=("queued", "failed"), code=21610)]
    narrow, wide = Screen(80), Screen(130)

    with narrow.table, wide.table:
        narrow.show(*events)
        wide.show(*events)

        assert narrow.lines[4].endswith("failed 21610 !")
        assert "1 in · 1 out · 1 failed" in narrow.lines[5]
        assert "failed 0.8 s 21610 !" in wide.lines[4]


def test_a_problem_stands_above_the_table():
    """It is wrapped at the window's edge with a hang, and counted; the row bears its mark."""
    line = "your app does not accept POST on /sms (405, allows: GET, HEAD, OPTIONS). Flask: x"
    screen = Screen()

    with screen.table:
        screen.show(*exchange(), Problem(ts=AT, id="A4", severity="error", line=line, sid=sid(0)))
        lines = screen.lines

    assert lines[1:3] == [
        "error[A4]: your app does not accept POST on /sms (405, allows: GET, HEAD,",
        "  OPTIONS). Flask: x",
    ]
    assert lines[5].endswith("answered 200 A4 !")
    assert "1 in · 1 out · 1 problem" in lines[-1]


def test_the_same_problem_of_many_messages_is_said_once():
    """Each row bears its mark; the line comes again once the app was mended and fails anew."""
    screen = Screen(height=40)

    def failed(number):
        line = f"your app answered 500 on {sid(number)}"
        return Problem(ts=AT, id="A11", severity="error", line=line, sid=sid(number))

    back = Problem(ts=AT, id="A16", severity="note", line="127.0.0.1:5000 is there again")
    with screen.table:
        for number in range(3):
            screen.show(*exchange(number), failed(number))
        assert sum("error[A11]" in line for line in screen.lines) == 1
        assert sum(line.endswith("answered 200 !") for line in screen.lines) == 3
        screen.show(back, *exchange(4), failed(4))

        assert sum("error[A11]" in line for line in screen.lines) == 2


def test_what_happens_to_the_tunnel_and_the_number_is_said():
    """Rule 4: what is changed outside this computer is told."""
    screen = Screen()

    with screen.table:
        screen.show(
            Tunnel(ts=AT, state="down"),
            Tunnel(ts=AT, state="changed", url="https://b.example"),
            Number(ts=AT, action="restored", number=PHONE, url="https://shop.example/sms"),
            Rejected(ts=AT, path="/sms", method="POST", reason="unsigned", count=2),
        )
        lines = screen.lines

    assert lines[1:4] == [
        "tunnel down: trying to bring it back",
        "tunnel back at another address: https://b.example",
        "+12025550143 restored to https://shop.example/sms",
    ]
    assert "0 in · 0 out · 2 rejected" in lines[-1]


def test_hostile_text_is_one_plain_cell():
    """E14: nothing in a message moves the cursor, sets the title or is taken for markup."""
    screen = Screen(200, 24)

    with screen.table:
        screen.show(*exchange(body=HOSTILE))
        lines = screen.lines

    assert "[/red] ␛]0;pwned␇␛[2J⟨RLO⟩abc  " in lines[3]
    assert len(lines) == 6
    assert screen.screen.title == ""


def test_of_a_very_long_text_only_the_beginning_is_looked_at():
    """What takes no room in a cell would take all the time; that it goes on is shown."""
    screen = Screen(80, 24)

    with screen.table:
        screen.show(*exchange(body="e" + "\u0301" * 1500))
        written = screen.written

    assert 150 < written.count("\u0301") < 600
    assert "\u0301…" in written


@pytest.mark.parametrize("width", [20, 40, 56, 64, 80, 120, 200])
def test_every_line_fits_into_the_window(width):
    """No line is wider than the window, whatever the text is made of; the mark is never cut."""
    screen = Screen(width, 24)

    with screen.table:
        for number, body in enumerate(["hi", "日本語" * 30, "👍🏽👩‍👩‍👧 e\u0301" * 9, HOSTILE]):
            screen.show(*exchange(number, body, ("queued", "undelivered"), 30003))
        lines = screen.lines

    outbound = [line for line in lines if "→" in line]
    assert len(outbound) == 4
    assert all(re.search(r"!( +SN[0-9a-f]{32})?$", line) for line in outbound)
    assert all(cell_len(line) <= width for line in lines)


def test_forty_columns_merge_what_can_be_merged():
    """E15: arrow and segments are one column, and the peer is its last four digits."""
    screen = Screen(40, 24)

    with screen.table:
        screen.show(*exchange(body="x" * 200, statuses=("undelivered",)))
        lines = screen.lines

    assert lines[1:] == [
        "Time     Peer  Message     Status",
        "─" * 40,
        "10:00 ←  …0143 xxxxxxxxxx… answered 200",
        "10:00 →2 …0143 You said: … undelivered !",
        " 1 in · 1 out · 1 failed   Ctrl-C stops",
    ]


def test_a_low_window_shows_the_newest_rows():
    """E15: height 10, newest rows only, the number of the others on top."""
    screen = Screen(80, 10)

    with screen.table:
        for number in range(9):
            screen.show(*exchange(number, f"text {number}"))
        lines = screen.lines

    assert lines[-6] == " +14 earlier"
    assert [line.split()[3:6] for line in lines[-2:-1]] == [["You", "said:", "text"]]
    assert len(lines) <= 9


def test_whole_sids_are_shown_where_there_is_room():
    """From 120 columns on they can be copied from the table."""
    narrow, wide = Screen(119), Screen(120)

    with narrow.table, wide.table:
        narrow.show(*exchange())
        wide.show(*exchange())

        assert wide.lines[3].endswith(sid(0))
        assert sid(0) not in "".join(narrow.lines)


def test_a_burst_is_drawn_at_most_eight_times_a_second():
    """However fast events come; and the last state is due to be drawn."""
    screen = Screen()
    drawn = 0

    with screen.table:
        _ = screen.written
        for number in range(500):  # in one second
            screen.now += 0.002
            screen.table.show([*exchange(number)])
            drawn += bool(screen.written)
        due = screen.table.due()
        screen.now += due
        screen.table.refresh()

        assert drawn <= 8
        assert 0 < due <= 0.125
        assert "500 in · 500 out" in screen.lines[-1]
        assert screen.table.due() == LOOK


def test_slow_drawing_leaves_time_for_other_things():
    """A terminal that takes long is written to so much the less: a twentieth of the time."""
    screen = Screen()
    write = screen.out.file.write

    def slow_write(text):
        screen.now += 0.05
        return write(text)

    with screen.table:
        screen.show(*exchange(1))
        screen.out.file.write = slow_write
        screen.show(*exchange(2))
        screen.table.show([*exchange(3)])

        assert screen.table.due() == pytest.approx(1.0)
        screen.out.file.write = write


def test_nothing_is_drawn_when_nothing_has_changed():
    """An idle table costs nothing."""
    screen = Screen()

    with screen.table:
        screen.show(*exchange())
        _ = screen.written
        screen.now += 10
        screen.table.refresh()

        assert screen.table.due() == LOOK  # whether the window is as it was
        assert screen.written == ""


def test_many_problems_at_once_do_not_flood_the_screen():
    """The first are shown, the rest are counted."""
    screen = Screen(80, 60)
    problem = Problem(ts=AT, id="A11", severity="error", line="your app answered 500")

    with screen.table:
        screen.table.show([problem] * 100)
        screen.show()
        lines = screen.lines

    assert sum("A11" in line for line in lines) == 32
    assert "+68 more: smsquest log --type problem" in lines
    assert "100 problems" in lines[-1]


@pytest.mark.parametrize("width", [60, 40, 25])
def test_a_window_that_gets_narrower_gets_a_new_table(width):
    """It is drawn without waiting for news, in place of what the terminal has folded."""
    screen = Screen(80, 24)

    with screen.table:
        screen.show(*exchange())
        screen.resize(width, 24)
        assert screen.table.due() <= 0.125
        screen.show()
        lines = screen.lines

    assert lines[0].startswith("server")
    assert [line.split()[-1] for line in lines].count("Status") == 1
    assert all(cell_len(line) <= width for line in lines)
    assert lines[-1].startswith(" 1 in")
    assert sum(" 1 in" in line for line in lines) == 1


def test_a_window_that_gets_wider_gets_a_wider_table():
    """Then nothing is folded."""
    screen = Screen(60, 24)

    with screen.table:
        screen.show(*exchange())
        screen.resize(130, 24)
        screen.show()
        lines = screen.lines

    assert lines[0].startswith("server")
    assert lines[3].endswith(sid(0))
    assert len(lines) == 6


def test_a_table_is_whole_however_a_terminal_draws_emoji():
    """Some draw this family in two cells, some in six: the columns after it begin in their place.

    A terminal that folds a line tears the table from then on.
    """
    screen = Screen(80, 24)

    with screen.table:
        screen.show(*exchange(body="👩‍👩‍👧 👍🏽 ❤️ 🇩🇪 " * 4))
        row = next(line for line in screen.written.splitlines() if "👩" in line)

    message, _, rest = row[row.index("👩") :].partition("\x1b[")
    assert sum(map(widest, message.rstrip())) <= 23
    assert message.rstrip().endswith("…")
    assert rest.startswith("58G")


def test_the_end_leaves_the_table_and_says_what_came_of_it():
    """L7: the cursor is visible, the last table stays, whole SIDs are there to be copied."""
    screen = Screen(100, 24)

    with screen.table:
        screen.show(*exchange(statuses=("queued", "failed"), code=21610), stopped())
    lines = screen.lines

    assert lines[-4] == " 1 in · 1 out · 1 failed"
    assert lines[-3:] == [
        "stopped. 1 in, 1 out, 1 failed. Nothing outside this computer changed.",
        f"← {sid(0)}  {PHONE}  answered 200",
        f"→ {sid(0, 'SN')}  {PHONE}  failed 21610: Recipient has opted out",
    ]
    assert sum("Status" in line for line in lines) == 1
    assert not screen.screen.cursor.hidden


@pytest.mark.parametrize(
    ("restored", "words"),
    [
        (True, "The number's own webhook is back in place."),
        (False, "THE NUMBER WAS NOT PUT BACK: smsquest configure-number --restore"),
        (None, "The number was left as it is."),
    ],
)
def test_the_end_says_whether_the_number_was_put_back(restored, words):
    """Rule 4: also when it was not."""
    screen = Screen(120, 24)

    with screen.table:
        screen.show(Number(ts=AT, action="pointed", number=PHONE, url="https://x.example/sms"))
        screen.show(stopped(restored=restored))

    assert words in screen.lines[-1]


def test_a_number_that_is_somebody_elses_is_not_said_to_be_restored():
    """E11: neither below the table nor at the end."""
    screen = Screen(120, 24, header=Header((), "Ctrl-C restores the number"))

    with screen.table:
        screen.show(Number(ts=AT, action="taken-over", number=PHONE, url="https://x.example/sms"))
        assert screen.lines[-1].endswith("Ctrl-C stops")
        screen.show(stopped())

    assert screen.lines[-1].endswith("The number was left as it is.")


def test_why_requests_are_refused_is_said_once_for_each_reason():
    """E13: how many there were stands below; what strangers send is not shown."""
    wrong = Rejected(ts=AT, path="/sms", method="POST", reason="signature", hint="a\x1b[2Jb")
    stranger = Rejected(ts=AT, path="/sms", method="GET", reason="unsigned", count=9)
    screen = Screen()

    with screen.table:
        screen.show(wrong, stranger, wrong, stranger)
        lines = screen.lines
        screen.show(stopped())

    assert lines[1:3] == [
        "rejected  POST /sms  signature: a␛[2Jb",
        "rejected  GET /sms  unsigned (9 times)",
    ]
    assert lines[-1].startswith(" 0 in · 0 out · 20 rejected")
    assert "stopped. 1 in, 1 out, 20 rejected." in " ".join(screen.lines)


def test_the_end_lists_no_more_than_fifty_messages():
    """The rest is in the log."""
    screen = Screen(100, 100)

    with screen.table:
        screen.show(*(event for number in range(30) for event in exchange(number)), stopped())

    assert screen.lines[-1] == "+10 more: smsquest log"
    assert sum(line.startswith(("← SM", "→ SN")) for line in screen.lines) == 50


def test_an_exception_leaves_the_cursor_visible():
    """Whatever ends the run, the terminal is as it was, with the last state on it."""
    screen = Screen()

    def fail():
        with screen.table:
            screen.table.show([*exchange()])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert "1 in · 1 out" in screen.lines[-1]
    assert not screen.screen.cursor.hidden


def test_a_table_needs_no_header():
    """Then there is no hint either."""
    screen = Screen(header=None)

    with screen.table:
        lines = screen.lines

    assert lines[0].split() == ["Time", "Peer", "Message", "Seg", "Status"]
    assert lines[-1] == " 0 in · 0 out"


def test_the_end_of_an_earlier_run_does_not_end_a_followed_log():
    """``log --follow`` shows run after run in one table."""
    screen = Screen(header=Header((), "Ctrl-C leaves"), ends=False)

    with screen.table:
        screen.show(*exchange(), stopped())
        screen.show(*exchange(1))

        assert "2 in · 2 out" in screen.lines[-1]


def test_without_colours_the_words_are_the_same(monkeypatch):
    """NO_COLOR: what colour says, a word or a mark says too."""
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen()

    with screen.table:
        screen.show(*exchange(statuses=("undelivered",)))
        written = screen.written

    assert "undelivered !" in written
    assert "\x1b[31m" not in written
    assert "\x1b[1;31m" not in written


@pytest.mark.parametrize("width", range(10, 260, 7))
def test_the_columns_fill_the_window(width):
    """They take the whole width, and never more."""
    layout = Layout.of(width)

    assert cell_len(layout.rule().plain) <= width
    assert cell_len(layout.heading().plain) <= max(width, 24)
    assert min(layout.message, layout.status) > 0


def test_long_lines_hang():
    """Blanks at the beginning stay; a word that is too long stands on a line of its own."""
    lines = [line.plain for line in hanging("  one two  three " + "x" * 12, 10)]

    assert lines == ["  one two", "  three", f"  {'x' * 12}"]

    lines = [line.plain for line in hanging("one two    three", 8)]

    assert lines == ["one two", "  three"]


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (60, " 2 in · 1 out · 1 failed             sandbox · Ctrl-C stops"),
        (44, " 2 in · 1 out · 1 failed       Ctrl-C stops"),
        (30, " 2 in · 1 out    Ctrl-C stops"),
        (26, " 2 in        Ctrl-C stops"),
        (20, " 2 in · 1 out"),
        (4, ""),
    ],
)
def test_the_footer_says_what_there_is_room_for(width, expected):
    """Counts before the hint, and how to stop before the rest of it."""
    line = footer(["2 in", "1 out", "1 failed"], "sandbox · Ctrl-C stops", width)

    assert line.plain == expected


# A real process in a real terminal


class Terminal:
    """A ``serve --sandbox`` in a pseudo terminal."""

    def __init__(self, environment, cwd, *, width, height):
        self._environment, self._cwd = environment, cwd
        command = ["-m", "smsquest_cli", "serve", "--sandbox", "--port", "0"]
        self.process = pexpect.spawn(
            sys.executable,
            command,
            env=environment,
            cwd=str(cwd),
            dimensions=(height, width),
            encoding="utf-8",
            timeout=20,
        )
        self.screen = pyte.Screen(width, height)
        self._stream = pyte.Stream(self.screen)

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def until(self, words, *, timeout=20):
        """Read until *words* are on the screen (None: until it ends)."""
        deadline = time.monotonic() + timeout
        while words is None or words not in self.text:
            assert time.monotonic() < deadline, f"no {words!r} on:\n{self.text}"
            try:
                self._stream.feed(self.process.read_nonblocking(65536, timeout=1))
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                assert words is None, f"ended without {words!r}:\n{self.text}"
                return

    def simulate(self, *arguments):
        subprocess.run(
            [sys.executable, "-m", "smsquest_cli", "simulate", *arguments],
            env=self._environment,
            cwd=self._cwd,
            check=True,
            capture_output=True,
            timeout=30,
        )


@pytest.fixture
def terminal(environment, tmp_path):
    opened = []

    def open_(width=80, height=24):
        opened.append(Terminal(environment, tmp_path, width=width, height=height))
        return opened[-1]

    yield open_
    for one in opened:
        one.process.close(force=True)


def test_a_text_runs_through_a_real_terminal(terminal):
    """L2 to L7: the first command of the README, a text, and Ctrl-C."""
    window = terminal()
    window.until("Ctrl-C stops")
    assert "simulate" in window.text
    assert window.screen.cursor.hidden

    window.process.send("\r\r")  # which some press to set off what comes
    window.simulate(HOSTILE)
    window.until("delivered 1.")
    window.process.sendintr()
    window.until(None)
    window.process.wait()

    text = window.text
    assert window.process.exitstatus == 0
    assert "stopped. 1 in, 1 out. Nothing outside this computer changed." in text
    assert "Next: a real number?" in text
    assert text.count("Status") == 1
    assert "[/red] ␛]0;pwned␇␛[2J" in text
    assert window.screen.title == ""
    assert not window.screen.cursor.hidden


def test_a_real_terminal_may_be_small(terminal):
    """E15: 40 columns, 12 lines; five messages at once."""
    window = terminal(40, 12)
    window.until("Ctrl-C stops")

    window.simulate("hi", "--count", "5")
    window.until("5 in · 5 out")
    window.until("earlier")

    assert "…0143" in window.text
    window.process.sendintr()
    window.until(None)
    assert window.process.wait() == 0
