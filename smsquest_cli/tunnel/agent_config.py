"""The agent's own settings file, ``ngrok.yml``: where it is, and what it means for us."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from smsquest_cli.problems import TunnelError
from smsquest_cli.runs import write_private


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """The user's ``ngrok.yml`` (it need not exist), and the authtoken in it."""

    path: Path
    exists: bool
    token: str | None = field(default=None, repr=False)

    def for_agent(self, home: Path, *, version: str) -> Path:
        """The file to start an agent with: the user's, else one of ours that says nothing.

        pyngrok would write one into the user's folder, and one that older agents refuse.
        """
        if self.exists:
            return self.path
        ours = home / "ngrok.yml"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(ours, f'version: "{version}"\n')
        return ours


def agent_folder() -> Path:
    """Where the agent keeps its ``ngrok.yml`` and pyngrok the agent."""
    from pyngrok import installer

    folder = Path(installer.get_default_ngrok_dir())
    if folder.is_absolute():
        return folder
    return Path.home() / ".config" / folder  # XDG_CONFIG_HOME is set but empty or relative


def read_config(folder: Path) -> AgentConfig:
    """The user's settings in *folder*; raises `TunnelError` (T20) where pyngrok could not use them.

    Looked at before anything is started: what pyngrok raises for them is of five kinds.
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
        raise TunnelError("T20", path=path, reason=(err.strerror or str(err)).lower()) from err
    except Exception as err:  # noqa: BLE001 - no YAML, no table; and it may quote the authtoken
        mark = getattr(err, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise TunnelError("T20", path=path, reason=f"it cannot be read{where}") from None
    return AgentConfig(path, exists=True, token=str(token) if token else None)
