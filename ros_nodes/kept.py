"""What must outlive a controller's process: its emergency stop, and the care that was asked for while it ran."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ros_nodes.graph import SUPERVISOR


class Kept:
    """Files in a folder, by the name of the node. ValueError where the folder cannot be made."""

    def __init__(self, folder: str, name: str) -> None:
        told = Path(folder).expanduser()
        try:
            told.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"state_folder {told} cannot be made: {error.strerror}") from None
        end = name.replace("/", ".")
        self._stop, self._settings = told / f"emergency_stop{end}", told / f"settings{end}.json"

    @property
    def is_stopped(self) -> bool:
        return self._stop.exists()

    def stop(self) -> None:
        """Raises OSError where it cannot be kept, as the others do."""
        self._stop.touch()

    def release(self) -> None:
        self._stop.unlink(missing_ok=True)

    def note(self, settings: dict[str, Any]) -> None:
        """Parameters that a process which begins in this one's place is to have."""
        self._settings.write_text(json.dumps({"supervisor": os.environ.get(SUPERVISOR), "settings": settings}))

    def settings(self) -> dict[str, Any]:
        """Those that were noted under the same supervisor: whoever starts the robot anew says anew what he wants."""
        try:
            told = json.loads(self._settings.read_text())
            ours = told["supervisor"] is not None and told["supervisor"] == os.environ.get(SUPERVISOR)
            return dict(told["settings"]) if ours else {}
        except (OSError, ValueError, LookupError, TypeError):
            return {}
