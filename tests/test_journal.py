"""The journal: on disk before a number is changed, exclusive, and robust against everything."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smsquest_cli import journal as journal_module
from smsquest_cli import processes
from smsquest_cli.journal import Journal, JournalEntry
from smsquest_cli.problems import LocalError, NumberError

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
PN = "PN" + "1" * 32
MG = "MG" + "2" * 32
NUMBER = "+12025550101"
OLD = "https://api.shop.example/sms"
OURS = "https://brave-otter.ngrok-free.app/sms"


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "state", now=lambda: NOW)


@pytest.fixture
def entry(journal):
    return journal.taken_over(an_entry())


def an_entry(**fields):
    """An entry of a number that called `OLD` and calls `OURS`."""
    return JournalEntry(
        **{
            "sid": PN,
            "number": NUMBER,
            "account_sid": "AC" + "0" * 32,
            "original": {"sms_url": OLD, "sms_method": "POST"},
            "ours": (OURS,),
            "started": NOW,
            "pid": 0,
            **fields,
        }
    )


def gone(entry, **fields):
    """*entry* as one of a run that was killed."""
    return replace(entry, process="of a process long gone", **fields)


def test_what_is_written_is_read_again(journal, entry):
    """All of it: what was there, what is ours, who did it."""
    service = replace(
        entry, sid=MG, origin="http://127.0.0.1:1",
        original={"inbound_request_url": "", "use_inbound_webhook_on_number": True},
    )  # fmt: skip

    assert journal.write(entry, replacing=None)
    assert journal.write(service, replacing=None)

    assert journal.entry(PN) == entry
    assert journal.entry(MG) == service
    assert {one.sid for one in journal.entries()} == {PN, MG}
    assert (entry.url, entry.original_url, service.original_url) == (OURS, OLD, "")
    assert (entry.pid, entry.host, entry.started) == (os.getpid(), socket.gethostname(), NOW)


def test_it_is_for_this_user_only(journal, entry):
    """Numbers and addresses are nobody else's concern: 0600 in 0700."""
    journal.write(entry, replacing=None)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in journal.folder.iterdir()}

    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(journal.folder.stat().st_mode) == 0o700


@pytest.fixture
def disk(monkeypatch):
    """What is done to the disk, in order."""
    steps, fsync, rename, unlink = [], os.fsync, Path.replace, Path.unlink

    def synced(handle):
        steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def renamed(path, target):
        steps.append("rename")
        return rename(path, target)

    def removed(path, **options):
        steps.append("remove")
        unlink(path, **options)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    monkeypatch.setattr(Path, "unlink", removed)
    return steps


def test_an_entry_is_on_the_disk_before_write_returns(journal, entry, disk):
    """File and folder are synced, in this order: what is renamed is whole."""
    journal.write(entry, replacing=None)

    assert disk == ["file", "rename", "folder"]


def test_what_was_put_back_stays_forgotten_after_a_power_cut(journal, entry, disk):
    """Else the next start would put it back a second time."""
    journal.write(entry, replacing=None)
    disk.clear()

    journal.clear(entry)

    assert disk == ["remove", "folder"]


def test_what_moves_to_the_archive_and_back_is_at_no_moment_in_neither_place(journal, entry, disk):
    """It is on the disk there before it is gone here, whenever the power goes."""
    journal.write(entry, replacing=None)

    for move in (lambda: journal.archive(entry, journal_module.SET), lambda: journal.revive(entry)):
        disk.clear()
        move()
        assert disk == ["file", "rename", "folder", "remove", "folder"]


def test_a_crash_while_writing_leaves_what_was_there(journal, entry, monkeypatch):
    """Half an entry is never seen."""
    journal.write(entry, replacing=None)
    monkeypatch.setattr(os, "fsync", _full_disk)

    with pytest.raises(LocalError, match=r"L4: .*no space left on device"):
        journal.write(replace(entry, ours=("x",)), replacing=entry)

    assert journal.entry(PN) == entry
    assert journal.damaged() == []
    assert {path.name for path in journal.folder.iterdir()} == {f"{PN}.json", ".lock"}


def _full_disk(*_arguments):
    raise OSError(28, "No space left on device")


def test_an_entry_is_replaced_only_by_who_knows_it(journal, entry):
    """Of two that decide by the same state one is first, and the other has to look again."""
    stale = gone(entry)
    journal.write(stale, replacing=None)
    second = replace(entry, ours=(OURS, "https://b.example/sms"))

    assert not journal.write(entry, replacing=None)
    assert journal.entry(PN) == stale
    assert journal.write(entry, replacing=stale)
    assert journal.write(second, replacing=entry)
    assert journal.entry(PN) == second


def test_a_live_run_keeps_its_number(journal, entry):
    """M4, exit 5: two runs on one computer exclude each other, in one process too."""
    journal.write(entry, replacing=None)

    with pytest.raises(NumberError) as caught:
        journal.write(replace(entry, ours=("https://b.example/sms",)), replacing=None)

    assert caught.value.exit_code == 5
    here = f"{NOW.astimezone():%H:%M}"
    assert caught.value.line == (
        f"{NUMBER} is in use by smsquest pid {os.getpid()} on this computer, since {here}. "
        "Stop it first, or use another number"
    )


def test_a_run_is_live_while_its_process_is(journal, entry):
    """The process, not only its number: a pid that somebody else has now is not that run."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        theirs = replace(entry, pid=other.pid, process=processes.identity(other.pid))
        assert journal.is_live(theirs)
        assert not journal.is_live(replace(theirs, process="of an earlier process"))
        assert journal.is_live(replace(theirs, host="of another network"))
        assert not journal.is_live(replace(theirs, process=None))
        other.send_signal(signal.SIGKILL)

    assert not journal.is_live(theirs)


def test_stale_entries_are_noted(journal, entry):
    """M3 says what waits, since when, and how to put it back; what was kept on purpose, not."""
    journal.write(gone(entry, started=NOW - timedelta(days=3)), replacing=None)
    journal.write(gone(entry, sid="PN" + "3" * 32, kept=True), replacing=None)
    journal.write(replace(entry, sid="PN" + "4" * 32), replacing=None)

    [note] = journal.notes(at=NOW)

    assert (note.id, note.severity) == ("M3", "note")
    day = f"{(NOW - timedelta(days=3)).astimezone():%Y-%m-%d %H:%M}"
    assert note.line == (
        f"the run of {day} (pid {os.getpid()}) did not end cleanly; {NUMBER} still waits for "
        f"{OLD}: smsquest configure-number --restore, or serve it again"
    )


def test_several_stale_entries_are_one_line(journal, entry):
    """M3 names the numbers, and the command that takes care of all of them."""
    other = "+12025550199"
    journal.write(gone(entry, started=NOW - timedelta(days=3)), replacing=None)
    journal.write(gone(entry, sid="PN" + "3" * 32, number=other), replacing=None)

    [note] = journal.notes(at=NOW)

    assert f"{NUMBER}, {other} still wait for their webhooks" in note.line
    assert "configure-number --restore --all" in note.line


def test_a_damaged_entry_is_noted(journal, entry):
    """M8: nobody knows any more what the number was, and silence would hide that it points here."""
    journal.write(gone(entry), replacing=None)
    [path] = journal.folder.glob("*.json")
    path.write_text("{broken")

    [note] = journal.notes(at=NOW)

    assert (note.id, str(path) in note.line) == ("M8", True)


def test_a_twiml_app_is_what_waits_for_the_number(journal, entry):
    """It answered, whatever URL stood behind it."""
    app = "AP" + "7" * 32
    original = {**entry.original, "sms_application_sid": app}
    journal.write(gone(entry, original=original), replacing=None)

    [note] = journal.notes(at=NOW)

    assert "still waits for TwiML app AP77…77" in note.line


def test_without_a_journal_there_is_nothing_to_say(tmp_path):
    """Looking makes no folder."""
    journal = Journal(tmp_path / "nothing")

    assert journal.entries() == journal.stale() == journal.damaged() == []
    assert journal.notes(at=NOW) == ()
    assert journal.entry(PN) is None
    assert not (tmp_path / "nothing").exists()
    (tmp_path / "journal").write_text("no folder")
    assert Journal(tmp_path).entries() == []


def test_clearing_forgets(journal, entry):
    """What is put back is gone from the disk; clearing it twice does nothing."""
    journal.write(entry, replacing=None)

    journal.clear(entry)
    journal.clear(entry)

    assert journal.entries() == []


def test_clearing_spares_what_another_run_has_written(journal, entry):
    """Only one's own entry is cleared or archived."""
    theirs = gone(entry)
    journal.write(theirs, replacing=None)

    journal.clear(entry)
    journal.archive(entry, "taken-over")

    assert journal.entry(PN) == theirs


def test_archiving_sets_aside(journal, entry):
    """What somebody took over is kept to be read, and not put back."""
    journal.write(entry, replacing=None)

    journal.archive(entry, "taken-over")

    assert journal.entries() == []
    [path] = (journal.folder / "archive").iterdir()
    archived = json.loads(path.read_text())
    assert (archived["outcome"], archived["original"]["sms_url"]) == ("taken-over", OLD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_change_for_good_can_be_undone(journal, entry):
    """What was set on purpose waits nowhere, but the newest of it can be taken up again."""
    first = replace(entry, started=NOW - timedelta(hours=1), original={"sms_url": ""})
    other = replace(entry, sid=MG, original={"inbound_request_url": OLD})
    assert journal.undoable() == []
    for made in (first, entry, other):
        journal.write(made, replacing=None)
        journal.archive(made, journal_module.SET)
    theirs = replace(entry, started=NOW + timedelta(hours=1))
    journal.write(theirs, replacing=None)
    journal.archive(theirs, "taken-over")

    assert journal.entries() == []
    assert {one.sid: one for one in journal.undoable()} == {PN: entry, MG: other}
    journal.revive(entry)

    assert journal.entry(PN) == entry
    assert {one.sid: one for one in journal.undoable()} == {PN: first, MG: other}


def test_a_password_in_a_url_is_not_shown(entry):
    """An entry shows none of the addresses in it."""
    assert (
        repr(replace(entry, ours=("https://u:hush@x.example",))) == f"<JournalEntry {PN} {NUMBER}>"
    )


GARBAGE = [
    "", "{", "[]", "null", "3", '{"v": 1}', "\x00\x00", '{"original": 3}',
    {"original": []}, {"original": {}}, {"original": {"voice_url": "x"}}, {"ours": []},
    {"ours": [3]}, {"ours": 3}, {"started": "yesterday"}, {"started": 3}, {"pid": "x"},
    {"pid": None}, {"sid": MG}, {"number": None}, {"host": 1}, {"user": []}, {"account_sid": {}},
    {"original": {"sms_url": True}},
]  # fmt: skip


@pytest.mark.parametrize("garbage", GARBAGE, ids=str)
def test_a_damaged_file_stops_nobody(journal, entry, garbage):
    """It is no entry; it is told of, and kept beside the one that takes its place."""
    journal.write(gone(entry), replacing=None)
    path = journal.folder / f"{PN}.json"
    content = path.read_text()
    if isinstance(garbage, dict):
        garbage = json.dumps({**json.loads(content), **garbage})
    path.write_text(garbage)

    assert journal.entry(PN) is None
    assert journal.damaged() == [path]
    assert journal.entries() == []
    assert journal.write(entry, replacing=None)
    assert journal.entry(PN) == entry
    assert (journal.folder / f"{PN}.damaged").read_text() == garbage


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary() | st.text().map(str.encode))
def test_no_content_of_a_file_does_harm(journal, content):
    """Whatever the disk gives back, reading it raises nothing."""
    journal.folder.mkdir(parents=True, exist_ok=True)
    (journal.folder / f"{PN}.json").write_bytes(content)
    (journal.folder / "notes.json").write_bytes(content)

    assert journal.entries() == []
    assert len(journal.damaged()) == 2


def test_fields_of_later_versions_are_skipped(journal, entry):
    """A newer smsquest may have written more."""
    journal.write(entry, replacing=None)
    path = journal.folder / f"{PN}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "v": 9, "mood": "fine"}))

    assert journal.entry(PN) == entry


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    """L4, exit 7: no number is changed without a journal."""
    (tmp_path / "state").write_text("a file")
    journal = Journal(tmp_path / "state")

    with pytest.raises(LocalError) as caught:
        journal.write(an_entry(), replacing=None)

    assert (caught.value.id, caught.value.exit_code) == ("L4", 7)
    assert "not a directory" in caught.value.line


@pytest.mark.parametrize("sid", ["../../etc", "PN", "SM" + "1" * 32, "PN/x", "PN.json"])
def test_a_sid_is_not_a_path(journal, sid):
    """What is no SID of a number or service makes no file."""
    with pytest.raises(ValueError, match="neither a number"):
        journal.entry(sid)


@pytest.mark.parametrize("name", [f".{PN}.json.{{pid}}", ".lock"])
def test_a_link_is_not_followed(journal, entry, tmp_path, name):
    """Whoever may write into the folder cannot have another file of ours overwritten."""
    (tmp_path / "precious").write_text("mine")
    journal.folder.mkdir(parents=True)
    (journal.folder / name.format(pid=os.getpid())).symlink_to(tmp_path / "precious")

    with pytest.raises(LocalError, match="L4"):
        journal.write(entry, replacing=None)

    assert (tmp_path / "precious").read_text() == "mine"


def test_who_writes_has_the_journal_for_itself(journal, entry, monkeypatch):
    """Between looking and writing no other process changes it."""
    import fcntl

    refused = []

    def meanwhile(_handle):
        with (journal.folder / ".lock").open() as other:
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                refused.append(True)
            else:
                refused.append(False)

    monkeypatch.setattr(os, "fsync", meanwhile)
    journal.write(entry, replacing=None)
    journal.archive(entry, journal_module.SET)
    journal.revive(entry)
    journal.clear(entry)

    assert refused
    assert all(refused)


def test_a_folder_that_cannot_lock_still_works(journal, entry, monkeypatch):
    """Some network folders have no locks."""
    import fcntl

    monkeypatch.setattr(fcntl, "flock", _full_disk)

    assert journal.write(entry, replacing=None)


def test_a_user_without_a_name(journal, monkeypatch):
    """In a container nobody may know this user's name."""

    def nobody():
        raise KeyError("uid not found")

    monkeypatch.setattr(journal_module.getpass, "getuser", nobody)

    assert journal.taken_over(an_entry()).user == ""


def test_of_many_threads_one_wins(journal, entry):
    """However many start at once, one holds the number and the others are told so."""
    outcomes = []
    start = threading.Barrier(8)

    def run(index):
        start.wait(10)
        try:
            written = journal.write(
                replace(entry, ours=(f"https://{index}.example",)), replacing=None
            )
        except NumberError as err:
            outcomes.append(err.id)
        else:
            outcomes.append(written)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes, key=str) == ["M4"] * 7 + [True]


def _claim(folder, start, outcomes):
    journal = Journal(folder)
    entry = journal.taken_over(an_entry(ours=(f"https://{os.getpid()}.example",)))
    start.wait(20)
    try:
        outcomes.put(journal.write(entry, replacing=None))
    except NumberError as err:
        outcomes.put(err.id)
    start.wait(20)  # stay alive until all have tried


def test_of_several_processes_one_wins(tmp_path):
    """M4 holds between processes too."""
    context = multiprocessing.get_context("spawn")
    start, outcomes = context.Barrier(3), context.Queue()
    others = [context.Process(target=_claim, args=(tmp_path, start, outcomes)) for _ in range(3)]
    for other in others:
        other.start()

    found = [outcomes.get(timeout=30) for _ in others]
    for other in others:
        other.join(20)

    assert sorted(found, key=str) == ["M4", "M4", True]


# What can be undone


def test_what_was_changed_for_good_can_be_undone_once(journal, entry):
    """The newest change of each number is found in the archive, and is taken out of it."""
    older = replace(entry, started=NOW - timedelta(hours=1), ours=("https://older.example/sms",))
    for one in (older, entry):
        journal.write(one, replacing=None)
        journal.archive(one, journal_module.SET)
    journal.write(replace(entry, sid=MG, original={"inbound_request_url": ""}), replacing=None)
    journal.archive(journal.entry(MG), "taken-over")

    assert journal.entries() == []
    assert journal.undoable() == [entry]
    journal.revive(entry)
    assert journal.entries() == [entry]
    assert journal.undoable() == [older]


def test_without_an_archive_there_is_nothing_to_undo(journal):
    """Neither is one made by looking."""
    assert journal.undoable() == []
    assert not journal.folder.exists()
