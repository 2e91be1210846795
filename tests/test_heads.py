"""What is read of a head in one go is what waitress reads line by line."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser, ParsingError, TransferEncodingNotImplemented

from smsquest_cli.server.heads import plain_head
from smsquest_cli.server.lane import LaneParser

TWILIO = (
    b"POST /sms?a=%20 HTTP/1.1\r\nHost: abc.ngrok-free.app\r\nContent-Length: 12\r\n"
    b"Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n"
    b"X-Twilio-Signature: 0/KCTR6DLpKmkAf8muzZqo1nDgQ=\r\nAccept: */*\r\n\r\n"
)
PIECES = (
    b"GET", b"POST", b"post", b"PUT", b" ", b"  ", b"/sms", b"//sms", b"/a%2", b"/%e2%82%ac", b"*",
    b"http://h/sms", b"?a=1", b"#f", b"\xe9", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2", b"\r\n", b"\r",
    b"\n", b"\r\n ", b"\t", b"\0", b"\x7f", b":", b": ", b"Host", b"host", b"X_Y", b"X-Y", b"",
    b"Content-Length", b"Transfer-Encoding", b"chunked", b"Expect", b"100-continue", b"Connection",
    b"close", b"Close", b"0", b"5", b"05", b"+5", b"\xb2", b"5, 5", b"a", b" \t a \t ", b",",
)  # fmt: skip
SHOWN = (
    "command", "request_uri", "version", "path", "query", "fragment", "proxy_scheme",
    "proxy_netloc", "url_scheme", "headers", "connection_close", "content_length", "chunked",
    "expect_continue",
)  # fmt: skip


def read(parser, raw):
    """All that *parser* makes of a head."""
    try:
        parser.parse_header(raw)
    except (ParsingError, TransferEncodingNotImplemented) as err:
        return type(err)
    return {name: getattr(parser, name) for name in SHOWN}, type(parser.body_rcv)


pieces = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)
lines = st.lists(st.tuples(st.sampled_from([b"Host", b"X-Y", b"x-y", *PIECES]), pieces), max_size=5)


@settings(max_examples=200)
@given(
    first=st.one_of(pieces, st.sampled_from([b"GET /sms HTTP/1.1", b"POST /sms?a HTTP/1.1"])),
    fields=lines.map(lambda those: b"".join(b"%s: %s\r\n" % line for line in those)),
)
@example(first=b"POST /sms HTTP/1.1", fields=b"Content-Length: 5\r\nContent-Length: 5\r\n")
@example(first=b"GET / HTTP/1.1", fields=b"A: 1\r\na: 2\r\nConnection: CLOSE\r\n")
@example(first=b"POST / HTTP/1.1", fields=b"Expect: 100-continue\r\nContent-Length: 1\r\n")
@example(first=b"GET /a#b HTTP/1.1", fields=b"")
@example(first=b"GET //a/b HTTP/1.1", fields=b"")
@example(first=b"GET /a HTTP/1.1", fields=b"A: \xa0b\x85\r\n")
@example(first=b"GET /a HTTP/1.1", fields=b"Content-Length: \xb2\r\n")
@example(first=b"GET /a HTTP/1.1", fields=b"X_Y: 1\r\n")
@example(first=b"POST /%e9?%e9 HTTP/1.1", fields=b"A:\r\nB: \xe9 \t\r\n")
def test_a_head_means_what_it_means_to_waitress(first, fields):
    """Whatever comes, plain or not: framing above all, or two would read two requests."""
    raw = first + b"\r\n" + fields + b"\r\n"
    adjustments = Adjustments()

    assert read(LaneParser(adjustments), raw) == read(HTTPRequestParser(adjustments), raw)


def test_what_twilio_sends_is_plain():
    """The quick way is the usual one."""
    head = plain_head(TWILIO)

    assert head is not None
    assert (head.method, head.target, head.path) == ("POST", "/sms?a=%20", "/sms")
    assert head.fields["X_TWILIO_SIGNATURE"] == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="
