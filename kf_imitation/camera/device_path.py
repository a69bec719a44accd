"""Which physical camera a name means, so that the same one is opened again after a reconnect.

The kernel numbers video devices in the order they appear: a camera that is unplugged and put
back may come back as another /dev/videoN, and another camera may take its number. The links in
/dev/v4l/by-id and by-path name the camera itself.
"""

import os
import re
from pathlib import Path

from kf_imitation.errors import SourceError


def cameras(dev: Path = Path('/dev')) -> list[str]:
    """Return the cameras of this machine, each by the name that stays its own if it has one."""
    stable = {link.resolve(): str(link) for link in sorted((dev / 'v4l/by-id').glob('*'))}
    return [stable.get(path.resolve(), str(path)) for path in sorted(dev.glob('video[0-9]*'))]


class DevicePath:
    """The device file of one camera; remembers the camera, not its number.

    Attributes:
        name: as the user gave it.
    """

    def __init__(
        self, spec: str, dev: Path = Path('/dev'), sysfs: Path = Path('/sys/class/video4linux')
    ) -> None:
        """Only remember; resolve() looks.

        Args:
            spec: `0`, /dev/videoN or a link below /dev/v4l.
            dev: folder of the device files (tests).
            sysfs: folder with the names of the cameras (tests).
        """
        self.name = spec
        self._dev = dev
        self._sysfs = sysfs
        self._path = dev / f'video{int(spec)}' if spec.isdigit() else Path(spec)
        self._stable = self._path if self._path.is_symlink() and not spec.isdigit() else None

    def resolve(self) -> Path:
        """Return the device file of the camera now.

        The first success fixes which camera is meant.

        Raises:
            SourceError: it is not there (with the cameras that are), or may not be opened.
        """
        path = self._stable or self._path
        self.require()
        if not os.access(path, os.R_OK | os.W_OK):
            raise SourceError(
                f'camera {self.name}: permission denied on {path}; '
                f'add your user to the group video'
            )
        if self._stable is None:
            self._stable = self._find_link(path.resolve())
        return path.resolve()

    def is_present(self) -> bool:
        """Whether the device file exists."""
        return (self._stable or self._path).exists()

    def require(self) -> None:
        """Refuse a camera that is not there, naming those that are.

        Raises:
            SourceError: it is not there.
        """
        if not self.is_present():
            raise SourceError(f'camera {self.name}: does not exist; {self._present()}')

    def _find_link(self, device: Path) -> Path | None:
        for folder in ('by-id', 'by-path'):
            for link in sorted((self._dev / 'v4l' / folder).glob('*')):
                if link.resolve() == device:
                    return link
        return None

    def _present(self) -> str:
        found = [p for p in self._dev.glob('video*') if re.fullmatch(r'video\d+', p.name)]
        if not found:
            return 'this machine has no camera (no /dev/video*)'
        found.sort(key=lambda p: int(p.name[5:]))
        return 'present: ' + ', '.join(self._described(p) for p in found)

    def _described(self, device: Path) -> str:
        try:
            title = (self._sysfs / device.name / 'name').read_text(encoding='utf-8').strip()
        except (OSError, UnicodeDecodeError):
            return str(device)
        return f'{device} ({title})'
