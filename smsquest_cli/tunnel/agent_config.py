"""The agent's own settings file, ``ngrok.yml``: where it is, and what it means for us."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from smsquest_cli.files import write_state
from smsquest_cli.problems import TunnelError, reason_of

# Version 3 of the file wants an ``agent``. No requests are kept for the agent's page: it would
# show the texts of messages to every user of this computer.
NEW: Final = 'version: "3"\nagent:\n  inspect_db_size: -1\n  update_check: false\n'
OLD: Final = 'version: "2"\ninspect_db_size: -1\nupdate_check: false\n'


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """The user's ``ngrok.yml`` (it need not exist), and the authtoken in it."""

    path: Path
    exists: bool
    token: str | None = field(default=None, repr=False)

    def for_agent(self, home: Path, *, has_endpoints: bool) -> Path:
        """The file to start an agent with: the user's, else one of ours that says little.

        pyngrok would write one into the user's folder, and one that older agents refuse.
        """
        if self.exists:
            return self.path
        ours = home / "ngrok.yml"
        write_state(ours, NEW if has_endpoints else OLD)
        return ours


def agent_folder() -> Path:
    """Where the agent keeps its ``ngrok.yml`` and pyngrok the agent.

    Raises `TunnelError` (T16) on a system for which pyngrok knows no agent.
    """
    from pyngrok import installer
    from pyngrok.exception import PyngrokError

    try:
        folder = Path(installer.get_default_ngrok_dir())
    except PyngrokError as err:
        raise TunnelError("T16", path="ngrok", reason=str(err)) from err
    if folder.is_absolute():
        return folder
    return Path.home() / ".config" / folder  # XDG_CONFIG_HOME is set but empty or relative


def read_config(folder: Path) -> AgentConfig:
    """The user's settings in *folder*; raises `TunnelError` (T20) if pyngrok could not use them.

    They are checked before anything is started: pyngrok raises five kinds of errors for them.
    """
    from pyngrok import installer
    from pyngrok.exception import PyngrokError

    path = folder / "ngrok.yml"
    if not path.exists():
        return AgentConfig(path, exists=False)
    try:
        content = installer.get_ngrok_config(os.fspath(path), use_cache=False)
        installer.validate_config(content)
        agent = content.get("agent") or {}
        token = content.get("authtoken") or agent.get("authtoken")
    except PyngrokError as err:  # a setting with which the agent cannot be driven
        raise TunnelError("T20", path=path, reason=str(err)) from err
    except OSError as err:
        raise TunnelError("T20", path=path, reason=reason_of(err)) from err
    except Exception as err:  # noqa: BLE001 - no YAML, no table; and it may quote the authtoken
        mark = getattr(err, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise TunnelError("T20", path=path, reason=f"it cannot be read{where}") from None
    return AgentConfig(path, exists=True, token=str(token) if token else None)
