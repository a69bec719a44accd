"""A page for this machine's browsers that shows pictures as they come: for people without a robot.

Motion JPEG over HTTP, which every browser plays; nothing of it leaves the machine.
"""

import html
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread

import cv2

from kf_imitation.data_types import Image
from kf_imitation.errors import ConfigError
from kf_imitation.paths import share_path

_ADDRESS = '127.0.0.1'
_BOUNDARY = 'picture'
_QUALITY = 85
# A still face is sent again after this long: so a closed browser is noticed.
_AGAIN_S = 1.0


class FacePage:
    """Serves one page from a thread of its own.

    Attributes:
        url: where it is.
        watchers: browsers that look on just now.
    """

    def __init__(self, port: int, title: str) -> None:
        """Listen.

        Args:
            port: on this machine only; 0 takes any free one.
            title: of the page.

        Raises:
            ConfigError: the port is in use or not allowed.
        """
        self.watchers = 0
        self._picture = b''
        self._number = 0
        self._closed = False
        self._changed = Condition()
        template = share_path('media/avatar/page.html').read_text(encoding='utf-8')
        page = template.replace('NAME', html.escape(title)).encode()
        try:
            self._server = ThreadingHTTPServer(
                (_ADDRESS, port), _handler(page, self._stream, self._shown)
            )
        except OSError as error:
            raise ConfigError(
                'avatar',
                [f'page_port = {port}: {error.strerror}; take another one, or 0 for none'],
            ) from error
        self._server.daemon_threads = True
        self.url = f'http://{_ADDRESS}:{self._server.server_address[1]}/'
        self._thread = Thread(target=self._server.serve_forever, name='face page', daemon=True)
        self._thread.start()

    def show(self, bgr: Image) -> None:
        """Send a picture to all who look on; without any it costs nothing.

        Args:
            bgr: (H, W, 3) uint8.
        """
        if not self.watchers:
            return
        _, encoded = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        with self._changed:
            self._picture = encoded.tobytes()
            self._number += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Stop listening; streams end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _shown(self, by: int) -> None:
        with self._changed:
            self.watchers += by

    def _stream(self, send: Callable[[bytes], None]) -> None:
        """Send pictures until the page closes; send raises OSError when the browser has gone."""
        seen = -1
        while True:
            with self._changed:
                if not self._closed and self._number == seen:
                    self._changed.wait(_AGAIN_S)
                if self._closed:
                    return
                seen, picture = self._number, self._picture
            if picture:
                head = f'--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n'
                head += f'Content-Length: {len(picture)}\r\n\r\n'
                send(head.encode() + picture + b'\r\n')


def _handler(
    page: bytes,
    stream: Callable[[Callable[[bytes], None]], None],
    shown: Callable[[int], None],
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == '/':
                self._head('text/html; charset=utf-8', len(page))
                self.wfile.write(page)
            elif self.path == '/face.mjpeg':
                self._head(f'multipart/x-mixed-replace; boundary={_BOUNDARY}')
                shown(1)
                try:
                    stream(self._send)
                except OSError:
                    pass  # the browser was closed
                finally:
                    shown(-1)
            else:
                self.send_error(404)

        def _head(self, kind: str, length: int | None = None) -> None:
            self.send_response(200)
            self.send_header('Content-Type', kind)
            self.send_header('Cache-Control', 'no-store')
            if length is not None:
                self.send_header('Content-Length', str(length))
            self.end_headers()

        def _send(self, data: bytes) -> None:
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing: the node's own lines matter more."""

    return Handler
