"""A latched stop on disk, so that it survives a restart of any process.

One small file per head in $XDG_STATE_HOME/kf_imitation (~/.local/state/kf_imitation), named after
the robot and its file, since two heads may have one name, and not after its port: an adapter that
is plugged in again may have another device name. A simulated head has none: it starts fresh with
every process.
"""

import hashlib
import logging
import re
import threading
from pathlib import Path

from kf_imitation.paths import state_directory
from kf_imitation.robot import RobotConfig

_log = logging.getLogger('kf_imitation.head')


class StopRecord:
    """The file of one head: there while it is stopped; holds the reason.

    A folder that cannot be written to is a warning: the stop itself never depends on it.

    Attributes:
        path: of the file.
        problem: why the last stop could not be noted; '' if it was.
    """

    def __init__(self, robot: RobotConfig) -> None:
        name = re.sub(r'[^\w.-]', '_', robot.name)
        which = f'{robot.name}\n{Path(robot.source).resolve()}'.encode(errors='surrogateescape')
        self.path = state_directory() / f'{name}-{hashlib.sha256(which).hexdigest()[:8]}.stop'
        self.problem = ''
        self._before = state_directory() / f'{name}.stop'  # of a stop under version 0.2 or older

    def read(self) -> str:
        """Return why the head was stopped; '' if it is not. What cannot be read is a stop."""
        for path in (self.path, self._before):
            try:
                return path.read_text(encoding='utf-8').strip() or 'stopped'
            except FileNotFoundError:
                continue
            except (OSError, UnicodeDecodeError) as error:
                return f'stopped, perhaps: {error}'
        return ''

    def write(self, reason: str) -> None:
        """Note a stop, whole or not at all."""
        draft = self.path.with_suffix('.new')
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(f'{reason}\n', encoding='utf-8')
            draft.replace(self.path)
            self.problem = ''
        except OSError as error:
            self.problem = f'a restart will not know of this stop: {error}'
            _log.warning('%s', self.problem)

    def write_soon(self, reason: str) -> None:
        """Note a stop from the bus thread, which has no time for a disk."""
        threading.Thread(target=self.write, args=(reason,), name='stop-record').start()

    def clear(self) -> None:
        """Forget the stop, as somebody reset it."""
        try:
            for path in (self.path, self._before):
                path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning('the head will be stopped again after a restart: %s', error)
