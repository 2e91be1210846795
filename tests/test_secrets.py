"""No secret is ever shown, logged, stored or put where other users of the computer see it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

TOKEN = "5ec2e700000000000000000000c0ffee"
SECRETS = {
    "TWILIO_ACCOUNT_SID": "AC" + "1" * 32,
    "TWILIO_AUTH_TOKEN": TOKEN,
    "TWILIO_API_KEY": "SK" + "2" * 32,
    "TWILIO_API_SECRET": "5ec2e7apisecretapisecretapisecre",
    "NGROK_AUTHTOKEN": "5ec2e7ngrok_authtokenauthtoken",
    "SMSQUEST_WEBHOOK_SECRET": "5ec2e7webhooksecret",
}


def hidden(text):
    """Whether none of the secrets, nor their common beginning, is in *text*."""
    return "5ec2e7" not in text


def test_a_sandbox_that_signs_with_your_token_never_shows_it(serve, smsquest, home):
    """Neither the records, nor the talk, nor a file, nor the command line holds the token."""
    listener = serve("--sandbox", "--port", 0, env=SECRETS)
    assert listener.ready["sandbox"]["auth_token"] is None

    texted = smsquest("simulate", "hi", "--pace", "instant", "--show-request", env=SECRETS)
    listener.wait_for("status", status="delivered")

    shown = [texted.stdout, texted.stderr]
    shown += [Path(f"/proc/{listener.process.pid}/cmdline").read_text()]
    shown += [path.read_bytes().decode("latin-1") for path in home.rglob("*") if path.is_file()]
    assert listener.stop() == 0
    shown += [listener.stderr, str(listener.records)]
    assert all(map(hidden, shown))


@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_an_error_never_shows_it(nobody, smsquest, debug):
    """Wrong credentials are named by their source, with and without a traceback."""
    env = {**SECRETS, "SMSQUEST_TWILIO_URL": nobody}
    done = smsquest(*debug, "configure-number", "--show", env=env, timeout=60)

    assert done.returncode == 4
    assert hidden(done.stdout + done.stderr)


def test_there_is_no_option_for_a_secret(smsquest):
    """What is typed stands in the shell's history and in the process list."""
    done = smsquest("serve", "--auth-token", TOKEN)

    assert done.returncode == 2
    assert hidden(done.stdout + done.stderr)


def test_state_is_for_this_user_only(serve, smsquest, home):
    """Files that hold numbers and messages are 0600 in 0700 folders, whatever the umask."""
    listener = serve("--sandbox", "--port", 0)
    assert listener.ready
    smsquest("simulate", "hi", "--pace", "instant")
    listener.wait_for("inbound")

    for path in [home, *home.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
