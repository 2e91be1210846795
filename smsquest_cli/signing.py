"""Twilio's request signature: make it, check it, and say what it was made from if it is wrong.

Twilio signs the URL that it calls, byte for byte, followed by the name and the value of each form
field, the names in code-point order. Twilio's ``RequestValidator`` does the same at ten times the
cost (it is the oracle of the tests); this runs once for each webhook.
"""

from __future__ import annotations

import hmac
import re
from binascii import b2a_base64
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final, Literal, TypeVar
from urllib.parse import quote, unquote, urlencode

from smsquest_cli.forms import form_pairs, is_form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from smsquest_cli.wire import Request

    Pairs = Iterable[tuple[str, str]]
    Reason = Literal["unsigned", "signature", "shared-key"]
    Names = tuple[str, ...]

T = TypeVar("T")

SIGNATURE_HEADER: Final = "X-Twilio-Signature"
SETTINGS_HEADER: Final = "X-Twilio-Webhooks-Signature-Settings"
HMAC_SHA1: Final = "HMAC_SHA1"
HMAC_SHA256: Final = "HMAC_SHA256"

_DIGESTS: Final[Mapping[str, str]] = {HMAC_SHA1: "sha1", HMAC_SHA256: "sha256"}
_SHA256_LENGTH: Final = 44  # of a base64 text; a SHA1 one has 28 characters
_USERINFO: Final = re.compile(r"\A(https?://)[^/?#]*@", re.IGNORECASE)
_ORIGIN: Final = re.compile(
    r"\A(?P<scheme>https?)://(?P<host>(?:[^/?#]*@)?(?:\[[^]/?#]*\]|[^:/?#]*))(?P<port>:\d*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class SharedKey:
    """What `SETTINGS_HEADER` says a request was signed with: the key's id and the algorithm."""

    id: str | None
    algorithm: str

    @classmethod
    def from_header(cls, settings: str) -> SharedKey:
        """Read ``key=…,algorithm=…``; without an algorithm it is HMAC_SHA1."""
        parts = [part.partition("=") for part in settings.split(",")]
        values = {name.strip(): value.strip() for name, _, value in parts}
        algorithm = values.get("algorithm") or HMAC_SHA1
        return cls(values.get("key") or None, algorithm.upper())


class Verifier:
    """Checks the signatures of one account's webhooks; never shows its secrets.

    A secret that is None or empty verifies nothing: then every signature is wrong.
    """

    __slots__ = ("_auth_token", "_webhook_secret")

    def __init__(self, auth_token: str | None, webhook_secret: str | None = None) -> None:
        self._auth_token = (auth_token or "").encode()
        self._webhook_secret = (webhook_secret or "").encode()

    def __repr__(self) -> str:
        return "Verifier(***)"

    def verify(
        self,
        url: str,
        pairs: Pairs,
        signature: str | None,
        *,
        settings: str | None = None,
    ) -> Reason | None:
        """None if *signature* is genuine for *url* and *pairs*, else what is wrong; never raises.

        *url* is the public one, as it was given to Twilio, with the raw query that came. It counts
        with and without its port, and with the default one, as in Twilio's own libraries.
        *settings* is the value of `SETTINGS_HEADER`.
        """
        if not signature or signature.isspace():
            return "unsigned"
        reason: Reason = "signature"
        secret, digest = self._auth_token, "sha1"
        if settings:
            reason = "shared-key"
            secret = self._webhook_secret
            digest = _DIGESTS.get(SharedKey.from_header(settings).algorithm, "")
        if not secret or not digest:
            return reason
        presented = _bytes(signature)
        fields = _fields(pairs)
        if hmac.compare_digest(_mac(secret, url + fields, digest), presented):
            return None
        other = _other_port(url)
        if hmac.compare_digest(_mac(secret, other + fields, digest), presented):
            return None
        return reason

    def explain(
        self, url: str, pairs: Pairs, presented: str, *, candidates: Mapping[str, str]
    ) -> str | None:
        """`explain`, for a signature made with the auth token."""
        if not self._auth_token:
            return None
        return explain(url, pairs, presented, self._auth_token.decode(), candidates=candidates)


def signable_url(url: str) -> str:
    """The part of *url* that Twilio signs: without user, password and fragment, else as it is."""
    return _USERINFO.sub(r"\1", url.partition("#")[0])


def sign(url: str, pairs: Pairs, secret: str, *, algorithm: str = HMAC_SHA1) -> str:
    """The signature of a request to *url*, which is taken as it is, with the form *pairs*.

    A repeated name counts once for each of its different values. Raises `ValueError` for an unknown
    *algorithm*.
    """
    digest = _DIGESTS.get(algorithm.upper())
    if digest is None:
        raise ValueError(f"no such signature algorithm: {algorithm}")
    return _mac(secret.encode(), url + _fields(pairs), digest).decode()


def sign_request(request: Request, secret: str) -> str:
    """The signature that *request* needs: its form counts, any other body and a GET do not."""
    form = request.method == "POST" and is_form(request.header("Content-Type"))
    pairs = form_pairs(request.body) if form else ()
    return sign(signable_url(request.url), pairs, secret)


def explain(
    url: str, pairs: Pairs, presented: str, secret: str, *, candidates: Mapping[str, str]
) -> str | None:
    """How *presented* was made, if not from *url* and *pairs*, in words; None if nothing fits.

    *candidates* are further URLs that may have been signed, by their names ("the local address").
    For people, not for each request: it tries some hundred signatures, the likeliest first.
    """
    digest = "sha256" if len(presented) == _SHA256_LENGTH else "sha1"
    key, wanted = secret.encode(), _bytes(presented)
    urls = _closure(_starts(url, candidates), _url_changes)
    forms = _forms(url, tuple(pairs))
    tries = sorted(product(urls.items(), forms.items()), key=lambda both: _differences(*both))
    for (made_for, url_names), (fields, form_names) in tries:
        if hmac.compare_digest(_mac(key, made_for + fields, digest), wanted):
            return ", ".join(url_names + form_names) or None
    return None


def _mac(secret: bytes, text: str, digest: str) -> bytes:
    return b2a_base64(hmac.digest(secret, _bytes(text), digest), newline=False)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # this never raises


def _fields(pairs: Pairs) -> str:
    return "".join([name + value for name, value in sorted(set(pairs))])


def _other_port(url: str) -> str:
    """*url* without its port, or with the default one if it has none."""
    origin = _ORIGIN.match(url)
    if origin is None:
        return url
    port = "" if origin["port"] else ":443" if origin["scheme"].lower() == "https" else ":80"
    return f"{origin['scheme']}://{origin['host']}{port}{url[origin.end() :]}"


def _closure(
    starts: dict[T, Names], changes: Callable[[T], Iterator[tuple[str, T]]]
) -> dict[T, Names]:
    """*starts* and all that up to two *changes* make of them, with the names of the changes."""
    found = dict(starts)
    for _ in range(2):
        for start, names in list(found.items()):
            for name, changed in changes(start):
                found.setdefault(changed, (*names, name))
    return found


def _differences(url: tuple[str, Names], form: tuple[str, Names]) -> int:
    return len(url[1]) + len(form[1])


def _starts(url: str, candidates: Mapping[str, str]) -> dict[str, Names]:
    """*url*, each candidate, and *url* at the origin of each candidate."""
    starts: dict[str, Names] = {url: ()}
    here = _ORIGIN.match(url)
    for name, other in candidates.items():
        starts.setdefault(other, (f"for {name}",))
        if here and (there := _ORIGIN.match(other)):
            starts.setdefault(there.group() + url[here.end() :], (f"for the host of {name}",))
    return starts


def _url_changes(url: str) -> Iterator[tuple[str, str]]:
    """What proxies, frameworks and hand-written clients make of a URL, each with its name."""
    yield "for the URL without user, password and fragment", signable_url(url)
    if origin := _ORIGIN.match(url):
        scheme, rest = origin["scheme"].lower(), url[origin.end("scheme") :]
        other = "http" if scheme == "https" else "https"
        yield f"for {other} instead of {scheme}", other + rest
        yield f"{'without' if origin['port'] else 'with'} the port", _other_port(url)
        yield "for the host in lower case", origin.group().lower() + url[origin.end() :]
    path, mark, query = url.partition("?")
    if path.endswith("/"):
        yield "without the slash at the end", path[:-1] + mark + query
    else:
        yield "with a slash at the end", path + "/" + mark + query
    if mark:
        pairs = form_pairs(query)
        yield "without the query", path
        for name, changed in (
            ("with the query decoded", unquote(query)),
            ("with the query encoded again", urlencode(pairs)),
            ("with the query encoded again", urlencode(pairs, quote_via=quote)),
            ("with the query in another order", "&".join(sorted(query.split("&")))),
        ):
            yield name, f"{path}?{changed}"


def _forms(url: str, pairs: tuple[tuple[str, str], ...]) -> dict[str, Names]:
    """What may have been appended to the URL instead of *pairs*, each with names that say why."""
    found: dict[str, Names] = {}
    for variant, names in _closure({pairs: ()}, _form_changes).items():
        found.setdefault(_fields(variant), names)
    query = form_pairs(url.partition("?")[2])
    found.setdefault(_fields([*pairs, *query]), ("with the query among the fields",))
    found.setdefault("".join(name + value for name, value in pairs), ("with unsorted fields",))
    for left_out in dict(pairs):
        rest = [pair for pair in pairs if pair[0] != left_out]
        found.setdefault(_fields(rest), (f"without the field {left_out}",))
    return found


def _form_changes(
    pairs: tuple[tuple[str, str], ...],
) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """What frameworks make of a form before it is checked, each with its name."""
    yield "with trimmed values", tuple((name, value.strip()) for name, value in pairs)
    yield "without the empty fields", tuple(pair for pair in pairs if pair[1])
    yield "without the form", ()
