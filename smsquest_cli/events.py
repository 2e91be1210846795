"""What happens in smsquest, as frozen values: the entries of the event log.

Each class is one ``type`` of the JSON records in ``docs/reference/records.md``; `to_record` and
`from_record` are the only places where values become JSON objects and back.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias, TypeVar

from smsquest_cli.messages import Media
from smsquest_cli.problems import catalogue, line_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from smsquest_cli.problems import SmsquestError

    _Names = tuple[str, ...]

VERSION: Final = 1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One ``<Message>`` of a reply: its text, whom it goes to, the addresses of its media.

    ``status_callback`` is where it asked to have its statuses reported; for a reply rule of ours it
    is left out, unless the rule names a place other than ours.
    """

    body: str
    to: str | None = None
    media: tuple[str, ...] = ()
    status_callback: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One status in the life of a message, and how long after the first one it was seen."""

    status: str
    ts: datetime
    elapsed_ms: int = 0


@dataclass(frozen=True, slots=True)
class SandboxAccount:
    """How to reach the pretend Twilio of a ``serve --sandbox``."""

    api_url: str
    account_sid: str
    number: str
    phone: str
    auth_token: str | None = None  # only while it is the sandbox's public constant


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A ``serve`` is ready to receive; everything another program needs to talk to it."""

    type: ClassVar[str] = "ready"
    ts: datetime
    mode: str  # sandbox, tunnel, public or local
    pid: int
    number: str | None = None
    number_sid: str | None = None
    webhook_url: str
    status_url: str
    local_url: str
    forward_to: str | None = None
    forward_status: str | None = None  # where the app gets status callbacks
    verify: bool = True
    sandbox: SandboxAccount | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """A message arrived for the number."""

    type: ClassVar[str] = "inbound"
    ts: datetime
    sid: str
    from_: str
    to: str
    body: str
    method: str
    media: tuple[Media, ...] = ()
    segments: int = 1
    encoding: str = "GSM-7"
    signature: str = "valid"  # or unchecked
    opt_out: str | None = None
    duplicate: bool = False
    missed: bool = False  # found by --backfill: nobody here received it


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer that Twilio got to an inbound message."""

    type: ClassVar[str] = "reply"
    ts: datetime
    in_reply_to: str
    source: str  # reply, twiml, app or none
    http_status: int
    ms: float
    content_type: str | None = None
    messages: tuple[OutgoingMessage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A status callback came in for a message.

    ``previous``, ``current``, ``stale``, ``duplicate`` and ``elapsed_ms`` are filled in by the
    event log as it appends: they say what the update meant at that moment.
    """

    type: ClassVar[str] = "status"
    ts: datetime
    sid: str
    status: str
    previous: str | None = None
    current: str | None = None
    stale: bool = False
    duplicate: bool = False
    from_: str | None = None
    to: str | None = None
    error_code: int | None = None
    in_reply_to: str | None = None
    elapsed_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A request that was refused with 4xx, or several for one reason."""

    type: ClassVar[str] = "rejected"
    ts: datetime
    path: str
    method: str
    reason: str  # unsigned, signature, shared-key or malformed
    hint: str | None = None
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something the user should know, by its id in the catalogue."""

    type: ClassVar[str] = "problem"
    ts: datetime
    id: str
    severity: str  # error, warning or note
    line: str
    sid: str | None = None

    @classmethod
    def of(
        cls,
        problem_id: str,
        /,
        *,
        at: datetime,
        about: str | None = None,
        severity: str | None = None,
        **values: object,
    ) -> Problem:
        """The problem *problem_id* of the catalogue with *values* in its line.

        *about* is the SID of the message it belongs to; *severity*, if given, replaces that of the
        catalogue.
        """
        return cls(
            ts=at,
            id=problem_id,
            severity=severity or catalogue()[problem_id].severity,
            line=line_of(problem_id, **values),
            sid=about,
        )

    @classmethod
    def told_by(cls, error: SmsquestError, *, at: datetime, severity: str = "warning") -> Problem:
        """*error* as a record; one that ended nothing is a warning."""
        return cls(ts=at, id=error.id, severity=severity, line=error.line, sid=error.sid)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageState:
    """A message and all that is known about its delivery (``tail-status``, ``send``)."""

    type: ClassVar[str] = "message"
    ts: datetime
    sid: str
    direction: str
    from_: str | None = None
    to: str | None = None
    body: str | None = None
    status: str
    final: bool = False
    history: tuple[Step, ...] = ()
    error_code: int | None = None
    error: str | None = None
    in_reply_to: str | None = None
    source: str = "callback"  # or poll

    @property
    def is_inbound(self) -> bool:
        """Whether a phone sent it to us."""
        return self.direction == "inbound"

    @property
    def peer(self) -> str:
        """The other side: whoever sent an inbound message, or receives another; may be empty."""
        return (self.from_ if self.is_inbound else self.to) or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """The tunnel went up or down, or came back at another address."""

    type: ClassVar[str] = "tunnel"
    ts: datetime
    state: str  # up, down or changed
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """What happened to the webhook of the number, by us or by somebody else."""

    type: ClassVar[str] = "number"
    ts: datetime
    action: str  # pointed, restored, left or taken-over
    number: str
    url: str | None = None
    previous: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The last record of a run."""

    type: ClassVar[str] = "stopped"
    ts: datetime
    reason: str  # interrupt, terminate, until, timeout, tunnel or error
    inbound: int = 0
    outbound: int = 0
    problems: int = 0
    restored: bool | None = None


Event: TypeAlias = (
    Ready | Inbound | Reply | Status | Rejected | Problem | MessageState | Tunnel | Number | Stopped
)

EVENT_TYPES: Final[Mapping[str, type[Event]]] = {
    cls.type: cls
    for cls in (
        Ready, Inbound, Reply, Status, Rejected, Problem, MessageState, Tunnel, Number, Stopped,
    )
}  # fmt: skip

_Key: TypeAlias = tuple[str, str, tuple[type, ...], type | None]
"""A field's name, its key in the record, its types in JSON, and the class to make from it."""

_JSON: Final[Mapping[str, tuple[type, ...]]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "None": (type(None),),
    "datetime": (str,),
}
_PARTS: Final[Mapping[str, type]] = {
    cls.__name__: cls for cls in (Media, OutgoingMessage, Step, SandboxAccount, datetime)
}


def _keys(cls: type) -> Iterator[_Key]:
    """The keys of *cls*, from its annotations: ``int | None``, ``tuple[Media, ...]``."""
    for field in fields(cls):
        annotation = str(field.type)
        many = annotation.startswith("tuple[")
        names = annotation.removeprefix("tuple[").removesuffix(", ...]").split(" | ")
        kinds = (list,) if many else tuple(k for name in names for k in _JSON.get(name, (dict,)))
        part = next((_PARTS[name] for name in names if name in _PARTS), None)
        yield field.name, field.name.rstrip("_"), kinds, part


_KEYS: Final[Mapping[type, tuple[_Key, ...]]] = {
    cls: tuple(_keys(cls))
    for cls in (*EVENT_TYPES.values(), Media, OutgoingMessage, Step, SandboxAccount)
}

# To write a value: its keys, a getter of all its fields, and the keys that need conversion.
_WRITTEN: Final[Mapping[type, tuple[_Names, Callable[[Any], tuple[object, ...]], _Names]]] = {
    cls: (
        tuple(key for _, key, _, _ in keys),
        attrgetter(*[name for name, _, _, _ in keys]),
        tuple(key for _, key, kinds, part in keys if part is not None or list in kinds),
    )
    for cls, keys in _KEYS.items()
}


def timestamp(at: datetime) -> str:
    """*at* (aware) as the records write it: UTC, ISO 8601, milliseconds, ``Z``."""
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def to_record(event: Event) -> dict[str, object]:
    """The JSON object of *event*: ``v``, ``ts``, ``type``, then the fields of its type."""
    return {"v": VERSION, "ts": None, "type": event.type, **_written(event)}


def from_record(record: object) -> Event:
    """The event that *record* was made from; unknown fields are skipped.

    Raises `ValueError` if it is not a record: an unknown ``type``, a field missing or of the
    wrong kind.
    """
    kind = str(record.get("type")) if isinstance(record, dict) else None
    cls = EVENT_TYPES.get(kind or "")
    if cls is None:
        raise ValueError(f"no such type of record: {kind!r}")
    try:
        event: Event = _made(cls, record)
    except (TypeError, ValueError) as err:
        raise ValueError(f"not a record of type {kind}: {err}") from err
    return event


def _written(value: object) -> dict[str, object]:
    keys, values_of, to_write = _WRITTEN[type(value)]
    record: dict[str, object] = dict(zip(keys, values_of(value), strict=True))
    for key in to_write:
        record[key] = _plain(record[key])
    return record


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return timestamp(value)
    return _written(value) if type(value) in _WRITTEN else value


def _made(cls: type[T], record: object) -> T:
    """The *cls* that *record* was made from; raises `TypeError` or `ValueError`."""
    if not isinstance(record, dict):
        raise TypeError(f"{cls.__name__} expected")
    values = {}
    for name, key, kinds, part in _KEYS[cls]:
        if key not in record:
            continue  # the class itself complains if it is required
        value = record[key]
        if not isinstance(value, kinds):
            raise TypeError(f"{key} is of type {type(value).__name__}")
        if part is datetime:
            value = _moment(str(value))
        elif isinstance(value, list):
            value = tuple(_made(part, item) if part else item for item in value)
        elif part and value is not None:
            value = _made(part, value)
        values[name] = value
    return cls(**values)


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"no time zone: {text}")
    return at
