"""What a number looked like before we touched it: on disk before the change, gone when put back.

One file for each resource of Twilio that is changed, a number (``PN…``) or a Messaging Service
(``MG…``), in ``<home>/journal``. The file of a run that was killed stays, and its original wins
over whatever looks like one later. Changes are exclusive: two runs never hold one number.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
import sys
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from smsquest_cli import processes
from smsquest_cli.credentials import masked
from smsquest_cli.events import Problem
from smsquest_cli.files import NO_LINK, sync_folder, write_private
from smsquest_cli.problems import LocalError, NumberError, reason_of
from smsquest_cli.webhook_urls import described

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from smsquest_cli.credentials import RestCredentials

    Fields = Mapping[str, str | bool]

VERSION: Final = 1
URL_FIELDS: Final = {"PN": "sms_url", "MG": "inbound_request_url"}
FIELDS: Final[Mapping[str, Mapping[str, type]]] = {
    "PN": {
        "sms_url": str,
        "sms_method": str,
        "sms_fallback_url": str,
        "sms_fallback_method": str,
        "sms_application_sid": str,
    },
    "MG": {
        "inbound_request_url": str,
        "inbound_method": str,
        "use_inbound_webhook_on_number": bool,
    },
}
SET: Final = "set"  # the outcome of a change that somebody made for good, on purpose
_SID: Final = re.compile(r"(PN|MG)[0-9A-Za-z]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """What must be put back, where, and who changed it."""

    sid: str  # of what was changed: PN… or MG…
    number: str  # E.164, for whose sake
    account_sid: str
    original: Fields  # the fields that were changed, as they were
    ours: tuple[str, ...]  # every URL of ours that it may hold, the newest last
    started: datetime
    pid: int
    process: str | None = None  # what tells this process from a later one with its pid
    host: str = ""  # this and the next are for people who look into the file
    user: str = ""
    origin: str | None = None  # of the API, if it is not Twilio's own
    kept: bool = False  # it was left pointing here on purpose

    @property
    def url_field(self) -> str:
        """The field that holds the URL."""
        return URL_FIELDS[self.sid[:2]]

    @property
    def original_url(self) -> str:
        """The URL that was there before."""
        return str(self.original[self.url_field])

    def original_words(self, *, method: bool = False) -> str:
        """What answered before, in words: a TwiML app goes before the URL and its *method*."""
        if app := self.original.get("sms_application_sid"):
            return f"TwiML app {masked(str(app))}"
        with_method = str(self.original.get("sms_method", "POST")) if method else None
        return described(self.original_url, with_method)

    @property
    def url(self) -> str:
        """The URL of ours that it should hold now."""
        return self.ours[-1]

    def __repr__(self) -> str:
        return f"<JournalEntry {self.sid} {self.number}>"


class Journal:
    """The journal in the state folder *home*."""

    def __init__(
        self, home: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.folder = home / "journal"
        self._now = now

    def begin(
        self,
        *,
        sid: str,
        number: str,
        login: RestCredentials,
        original: Fields,
        ours: tuple[str, ...],
        pid: int | None = None,
    ) -> JournalEntry:
        """An entry that the process *pid* (this one) begins now, for the account of *login*."""
        return JournalEntry(
            sid=sid,
            number=number,
            account_sid=login.account_sid,
            origin=login.origin,
            original=original,
            ours=ours,
            **self._by(pid or os.getpid()),
        )

    def taken_over(self, entry: JournalEntry) -> JournalEntry:
        """*entry* as one that this process begins now."""
        return replace(entry, kept=False, **self._by(os.getpid()))

    def _by(self, pid: int) -> dict[str, Any]:
        return {
            "started": self._now(),
            "pid": pid,
            "process": processes.identity(pid),
            "host": socket.gethostname(),
            "user": _user(),
        }

    # Reading

    def entries(self) -> list[JournalEntry]:
        """Every entry, the oldest first; files that cannot be read are passed over."""
        found = [entry for path in self._files() if (entry := _read(path))]
        return sorted(found, key=lambda entry: entry.started)

    def entry(self, sid: str) -> JournalEntry | None:
        """The entry of the resource *sid*, or None."""
        return _read(self._path(sid))

    def is_live(self, entry: JournalEntry) -> bool:
        """Whether the run that made *entry* is still there to put it back."""
        return processes.is_running(entry.pid, entry.process)  # not on another computer, see there

    def stale(self) -> list[JournalEntry]:
        """The entries whose run is gone without having put its number back."""
        return [entry for entry in self.entries() if not (entry.kept or self.is_live(entry))]

    def damaged(self) -> list[Path]:
        """Files that should be entries and cannot be read."""
        return [path for path in self._files() if path.is_file() and not _read(path)]

    def notes(self, *, at: datetime) -> tuple[Problem, ...]:
        """What a command should say: M3 if numbers wait to be put back, M8 for damaged entries."""
        notes = [Problem.of("M8", at=at, path=path) for path in self.damaged()]
        if stale := self.stale():
            first, *more = stale
            waiting = f"{first.number} still waits for {first.original_words()}"
            if more:
                numbers = ", ".join(entry.number for entry in stale)
                waiting = f"{numbers} still wait for their webhooks"
            since, how = _when(first.started, at), "--restore --all" if more else "--restore"
            note = Problem.of("M3", at=at, since=since, pid=first.pid, waiting=waiting, how=how)
            notes.insert(0, note)
        return tuple(notes)

    # Writing

    def write(self, entry: JournalEntry, *, replacing: JournalEntry | None) -> bool:
        """Put *entry* on disk, durably, in the place of *replacing*; False if that is gone.

        Raises `NumberError` (M4) if a live run has it, `LocalError` (L4) if it cannot be written.
        """
        path = self._path(entry.sid)
        with self._alone():
            present = _read(path)
            if present is not None and present != replacing:
                self.refuse_live(present)
            if present != replacing:
                return False
            if present is None and path.exists():  # unreadable: kept for whoever wants to look
                path.replace(path.with_suffix(".damaged"))
            write_private(path, _to_text(_to_json(entry)), durable=True)
        return True

    def refuse_live(self, entry: JournalEntry) -> None:
        """Raise `NumberError` (M4) if the run of *entry* is still there, even if it is this one."""
        if self.is_live(entry):
            since = _when(entry.started, self._now())
            raise NumberError(
                "M4",
                number=entry.number,
                what=f"is in use by smsquest pid {entry.pid} on this computer, since {since}",
                consequence="Stop it first, or use another number",
            )

    def clear(self, entry: JournalEntry) -> None:
        """Forget *entry*: its original has been put back."""
        with self._alone():
            if _read(self._path(entry.sid)) == entry:
                self._path(entry.sid).unlink()
                sync_folder(self.folder)

    def archive(self, entry: JournalEntry, outcome: str) -> None:
        """Set *entry* aside with its *outcome*: it will not be put back any more."""
        path = self._archived(entry)
        with self._alone():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            archived = {**_to_json(entry), "outcome": outcome, "archived": self._now().isoformat()}
            write_private(path, _to_text(archived), durable=True)
            if _read(self._path(entry.sid)) == entry:
                self._path(entry.sid).unlink()
                sync_folder(self.folder)

    # What was changed for good, and can still be undone

    def undoable(self) -> list[JournalEntry]:
        """The newest change of each number that was set aside as `SET`; the oldest first."""
        found: dict[str, JournalEntry] = {}
        for path in sorted((self.folder / "archive").glob("*.json")):
            sid = path.stem.partition("-")[0]
            if (entry := _read(path, sid=sid, outcome=SET)) is not None:
                found[sid] = entry  # the names end in the time: the newest wins
        return sorted(found.values(), key=lambda entry: entry.started)

    def revive(self, entry: JournalEntry) -> None:
        """Take *entry* out of the archive, as one that waits to be put back."""
        with self._alone():
            write_private(self._path(entry.sid), _to_text(_to_json(entry)), durable=True)
            for path in (self.folder / "archive").glob(f"{entry.sid}-*.json"):
                if _read(path, sid=entry.sid, outcome=SET) == entry:
                    path.unlink()
            sync_folder(self.folder)

    # Files

    def _archived(self, entry: JournalEntry) -> Path:
        return self.folder / "archive" / f"{entry.sid}-{entry.started:%Y%m%dT%H%M%S%f}.json"

    def _path(self, sid: str) -> Path:
        if not _SID.fullmatch(sid):
            raise ValueError(f"neither a number nor a Messaging Service: {sid!r}")
        return self.folder / f"{sid}.json"

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the journal against other processes; raises `LocalError` (L4) for `OSError`."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | NO_LINK, 0o600)
            try:
                _lock(handle)
                yield
            finally:
                os.close(handle)
        except OSError as err:
            raise LocalError("L4", path=self.folder, reason=reason_of(err)) from err


if sys.platform == "win32":  # pragma: no cover - no such machine in CI

    def _lock(handle: int) -> None:
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)

else:

    def _lock(handle: int) -> None:
        import fcntl

        with suppress(OSError):  # some network folders cannot lock; the rest still holds
            fcntl.flock(handle, fcntl.LOCK_EX)


def _read(path: Path, *, sid: str | None = None, outcome: str | None = None) -> JournalEntry | None:
    """The entry in *path*, or None if there is none that can be understood.

    It must be about *sid* (by default the file's name) and have that *outcome*.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        if content.get("outcome") != outcome:
            return None
        return _from_json(content, sid or path.stem)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _to_text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False)


def _to_json(entry: JournalEntry) -> dict[str, Any]:
    return {"v": VERSION, **asdict(entry), "started": entry.started.isoformat()}


def _from_json(content: dict[str, Any], sid: str) -> JournalEntry:
    """The entry in *content*; raises one of several errors if it is not an entry."""
    fields = FIELDS[sid[:2]]
    original: dict[str, str | bool] = {}
    for name, value in content["original"].items():
        original[name] = value
        if type(value) is not fields[name]:
            raise TypeError(f"{name} is {value!r}")
    entry = JournalEntry(
        sid=content["sid"],
        number=_text(content["number"]),
        account_sid=_text(content["account_sid"]),
        original=original,
        ours=tuple(_text(url) for url in content["ours"]),
        started=datetime.fromisoformat(content["started"]).astimezone(UTC),
        pid=int(content["pid"]),
        process=content["process"],
        host=_text(content["host"]),
        user=_text(content["user"]),
        origin=content["origin"],
        kept=content["kept"] is True,
    )
    if entry.sid != sid or not entry.ours or entry.url_field not in original:
        raise ValueError("incomplete")
    return entry


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"no text: {value!r}")
    return value


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container without an entry for this user
        return ""


def _when(at: datetime, now: datetime) -> str:
    """*at* by this computer's clock: the time, and the day if it is not today."""
    here = at.astimezone()
    return f"{here:%H:%M}" if here.date() == now.astimezone().date() else f"{here:%Y-%m-%d %H:%M}"
