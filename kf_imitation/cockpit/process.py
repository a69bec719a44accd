"""The cockpit as a process of its own: whatever its watchers do costs the head no time."""

import os
import subprocess
import sys
from threading import Thread

from kf_imitation.child_process import end_child, start_child
from kf_imitation.errors import KfImitationError

END_S = 3.0
# Where the processor is short, watchers miss pictures before the head misses frames. (A third of
# a usual process's share: the page's stop is still heard at once.)
NICER = 5


class CockpitProcess:
    """`kf_imitation cockpit` as a child, which ends with this process.

    Attributes:
        announcement: the line with its address, once it is known; '' before.
        fault: that it ended by itself; None while it has not.
    """

    def __init__(self, robot: str, namespace: str, params: str) -> None:
        """Start it; it is up some seconds later.

        Args:
            robot: name in config/robots, or a file.
            namespace: of the nodes.
            params: parameter file, or ''.
        """
        options = {'--robot': robot, '--namespace': namespace, '--params': params}
        given = ['--until-input-ends']
        given += [word for pair in options.items() if pair[1] for word in pair]
        # At Ctrl-C the page stays until the head rests.
        self._process = start_child(
            'kf_imitation.cli.main',
            ['cockpit', *given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        os.setpriority(os.PRIO_PROCESS, self.pid, os.nice(0) + NICER)
        self.announcement = ''
        self.fault: KfImitationError | None = None
        self._closing = False
        self._reader = Thread(target=self._read, name='cockpit output', daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    def __enter__(self) -> 'CockpitProcess':
        """Return itself; it runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()

    def close(self) -> None:
        """End it; may be called twice."""
        self._closing = True
        self._process.terminate()
        end_child(self._process, END_S)
        self._reader.join(END_S)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.announcement = self.announcement or line.strip()
        if not self._closing:
            self.fault = KfImitationError('the cockpit ended before the run did')
            print(
                'kf_imitation: the cockpit has ended; the head goes on, and kf_imitation cockpit '
                'serves the page again',
                file=sys.stderr,
            )
