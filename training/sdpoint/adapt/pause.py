"""Long work that stops while a given file exists, so that something else can be measured on the same machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sdpoint.run import say

LOOKS = 5.0  # seconds between looks for the file while waiting


@dataclass
class Pause:
    """path: the file; None: never pauses. seconds: waited so far."""

    path: Path | None = None
    sleep: Callable[[float], None] = time.sleep
    seconds: float = field(default=0.0, init=False)

    def wait(self, before: Callable[[], object] = lambda: None) -> None:
        """Return once the file does not exist. before: called first if it does, for example to save."""
        if self.path is None or not self.path.exists():
            return
        began = time.monotonic()
        say(f"paused while {self.path} exists")
        before()
        while self.path.exists():
            self.sleep(LOOKS)
        self.seconds += time.monotonic() - began
        say("going on")
