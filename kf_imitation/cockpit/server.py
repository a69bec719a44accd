"""The server of the cockpit: pages, a stream of states, and actions, in a thread of its own.

A watcher that reads slowly gets the newest states only (board.py), one that sends too much is
sent away, and the number of connections is bounded, whoever makes them. Everything that changes
something is a POST of its own: it does not wait behind a picture on its way to the page.
"""

import asyncio
import base64
import hashlib
import json
import mimetypes
import socket
import ssl
from asyncio import Protocol
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from kf_imitation.cockpit.access import Access, is_loopback
from kf_imitation.cockpit.actions import Act, Action, ActionError, Outcome, Trigger, read_action
from kf_imitation.cockpit.board import Board, Picture
from kf_imitation.cockpit.place import Place, listen
from kf_imitation.cockpit.rate_limit import RateLimit
from kf_imitation.errors import ConfigError
from kf_imitation.robot import RobotConfig

WATCHERS_MOST = 16
CONNECTIONS_MOST = 128  # that have shown the secret
# Connections that have not shown the secret yet; one more takes the place of the oldest.
STRANGERS_MOST = 32
STRANGER_S = 10.0  # browsers connect before they ask
MESSAGE_BYTES = 4096
ACTION_BYTES = 4096
ACTION_TIMEOUT_S = 5.0
ACTIONS_HZ, ACTIONS_BURST = 40.0, 80
ACTIONS_PENDING = 32
MESSAGES_HZ, MESSAGES_BURST = 10.0, 30
# A watcher that takes nothing for this long has gone.
SEND_TIMEOUT_S = 10.0
PICTURES = frozenset({'camera', 'face', 'keyframe_pictures'})

_STATIC_HEADERS = {
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cache-Control': 'no-store',
}


@dataclass(eq=False, slots=True)
class _Watcher:
    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    wanted: frozenset[str] = PICTURES
    limit: RateLimit = field(default_factory=lambda: RateLimit(MESSAGES_HZ, MESSAGES_BURST))


class CockpitServer:
    """Serves until it is closed.

    Attributes:
        url: the address to open, with the secret.
    """

    def __init__(
        self,
        place: Place,
        token: str,
        robot: RobotConfig,
        files: Mapping[str, bytes],
        board: Board,
        act: Act,
        rejected: Callable[[], str] = lambda: '',
        listening: socket.socket | None = None,
    ) -> None:
        """Listen.

        Args:
            place: where.
            token: the secret part of the address.
            robot: whose joints and limits actions keep.
            files: what may be read, by path; '' is the page.
            board: what watchers see.
            act: begins an action; called in the server's thread, so it must not wait.
            rejected: returns why actions other than a stop are not allowed, or ''.
            listening: at that place already (`listen`), or None.

        Raises:
            ConfigError: the address cannot be used, or the certificate cannot be read.
        """
        self._access = Access(token, not is_loopback(place.address), place.scheme)
        self._tls = _tls(place)
        self._socket = listening or listen(place)
        self._robot, self._files, self._board = robot, files, board
        self._act, self._rejected = act, rejected
        self._period_s = 1 / place.rate_hz
        self._policy = _policy(files.get('', b''))
        self.port = int(self._socket.getsockname()[1])
        self.url = place.url(self._socket, token)
        self._watchers: set[_Watcher] = set()
        self._strangers: dict[Any, None] = {}
        self._guests: set[Any] = set()
        self._actions = RateLimit(ACTIONS_HZ, ACTIONS_BURST)
        self._pending = 0
        self._stopping: asyncio.Task[Outcome] | None = None
        self._loop = asyncio.new_event_loop()
        ready = Event()
        self._thread = Thread(target=self._run, args=(ready,), name='cockpit', daemon=True)
        self._thread.start()
        ready.wait()

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach it."""
        return self._access.is_open

    @property
    def watchers(self) -> int:
        """How many look on."""
        return len(self._watchers)

    def wants(self, picture: str) -> bool:
        """Whether somebody looks at a kind of picture."""
        return any(picture in watcher.wanted for watcher in tuple(self._watchers))

    def close(self) -> None:
        """Send everybody away; may be called twice."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _run(self, ready: Event) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application(middlewares=[self._guard], client_max_size=ACTION_BYTES)
        app.on_response_prepare.append(self._add_headers)
        app.router.add_get('/{token}/states', self._states)
        app.router.add_post('/{token}/act', self._take_action)
        app.router.add_get('/{token}/{path:.*}', self._file)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        self._loop.run_until_complete(runner.setup())
        made = runner.server
        assert made is not None
        listening = self._loop.run_until_complete(
            self._loop.create_server(
                lambda: self._accept(made),
                sock=self._socket,
                ssl=self._tls,
                ssl_handshake_timeout=STRANGER_S if self._tls else None,
                backlog=128,
            )
        )
        ready.set()
        try:
            self._loop.run_forever()
        finally:
            listening.close()
            self._loop.run_until_complete(self._send_away())
            self._loop.run_until_complete(runner.cleanup())
            self._loop.close()

    async def _send_away(self) -> None:
        closing = [
            watcher.socket.close(code=WSCloseCode.GOING_AWAY, message=b'the run has ended')
            for watcher in tuple(self._watchers)
        ]
        await asyncio.wait(
            [asyncio.ensure_future(c) for c in closing], timeout=1.0
        ) if closing else None

    def _accept(self, server: web.Server) -> Protocol:
        """Take a connection; of too many strangers the oldest goes."""
        if len(self._strangers) >= STRANGERS_MOST:
            self._drop(next(iter(self._strangers)))
        connection = server()
        self._strangers[connection] = None
        self._loop.call_later(STRANGER_S, self._drop, connection)
        return connection

    def _drop(self, connection: Any) -> None:
        """End a connection that has not shown the secret."""
        if connection in self._strangers:
            del self._strangers[connection]
            self._loop.call_soon(_abort, connection)  # one of this moment has no transport yet

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        sends = request.method not in ('GET', 'HEAD') or 'Upgrade' in request.headers
        name = request.transport and request.transport.get_extra_info('sockname')
        refusal = self._access.refusal(
            request.match_info.get('token', ''), request.headers, name[0] if name else '', sends
        )
        if refusal:
            return web.Response(status=403, text=refusal, headers={'Connection': 'close'})
        if not self._let_in(request.protocol):
            text = 'there are too many connections'
            return web.Response(status=503, text=text, headers={'Connection': 'close'})
        return await handler(request)

    def _let_in(self, connection: Any) -> bool:
        """Count a connection that has shown the secret; false when there are too many."""
        self._strangers.pop(connection, None)
        if connection not in self._guests:
            if len(self._guests) >= CONNECTIONS_MOST:
                self._guests = {guest for guest in self._guests if guest.transport is not None}
            if len(self._guests) >= CONNECTIONS_MOST:
                return False
            self._guests.add(connection)
        return True

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(_STATIC_HEADERS)
        socket_scheme = 'wss' if self._access.scheme == 'https' else 'ws'
        connect = f"connect-src 'self' {socket_scheme}://{request.host}"
        rejected = response.status == 403  # the host is not to be trusted then
        policy = "default-src 'none'" if rejected else f'{self._policy}; {connect}'
        response.headers['Content-Security-Policy'] = policy

    async def _file(self, request: web.Request) -> web.Response:
        path = request.match_info['path']
        content = self._files.get(path)
        if content is None:
            return web.Response(status=404, text='there is no such page')
        kind = 'text/html' if not path else mimetypes.guess_type(path)[0]
        text = {'charset': 'utf-8'} if kind and kind.startswith('text/') else {}
        return web.Response(
            body=content,
            content_type=kind or 'application/octet-stream',
            charset=text.get('charset'),
        )

    async def _take_action(self, request: web.Request) -> web.Response:
        if request.content_type != 'application/json':
            return web.Response(status=415, text='an action is application/json')
        try:
            text = await asyncio.wait_for(request.text(), ACTION_TIMEOUT_S)
            action = read_action(text, self._robot)
        except (ActionError, UnicodeDecodeError) as error:
            return _answer(400, Outcome(False, str(error)))
        except asyncio.TimeoutError:
            return web.Response(status=408, text='too slow')
        if action == Trigger('stop'):  # never rejected, however many come
            if self._stopping is None or self._stopping.done():
                self._stopping = asyncio.ensure_future(self._outcome(action))
            return _answer(200, await asyncio.shield(self._stopping))
        if refusal := self._rejected():
            return _answer(403, Outcome(False, refusal))
        if self._pending >= ACTIONS_PENDING or not self._actions.allows(self._loop.time()):
            return _answer(429, Outcome(False, 'too many actions at once; wait a moment'))
        self._pending += 1
        try:
            return _answer(200, await self._outcome(action))
        finally:
            self._pending -= 1

    async def _outcome(self, action: Action) -> Outcome:
        begun: Future[Outcome] = self._act(action)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(begun), ACTION_TIMEOUT_S)
        except asyncio.TimeoutError:
            return Outcome(False, f'no answer within {ACTION_TIMEOUT_S:g} s')

    async def _states(self, request: web.Request) -> web.StreamResponse:
        if len(self._watchers) >= WATCHERS_MOST:
            return web.Response(status=503, text=f'{WATCHERS_MOST} watch already')
        answer = web.WebSocketResponse(max_msg_size=MESSAGE_BYTES, heartbeat=5.0, timeout=1.0)
        if not answer.can_prepare(request).ok:
            return web.Response(status=426, text='this is a WebSocket')
        watcher = _Watcher(answer, request.transport)
        self._watchers.add(watcher)  # counted from here on, however long the handshake takes
        try:
            await answer.prepare(request)
            sender = asyncio.ensure_future(self._send_states(watcher))
            try:
                await self._hear(watcher)
            finally:
                sender.cancel()
                await asyncio.wait([sender])
        finally:
            self._watchers.discard(watcher)
        return answer

    async def _hear(self, watcher: _Watcher) -> None:
        """Take what the page wants to see, until it goes or sends something else."""
        async for message in watcher.socket:
            wanted = _wanted(message.data) if message.type == WSMsgType.TEXT else None
            if wanted is None or not watcher.limit.allows(self._loop.time()):
                await watcher.socket.close(code=WSCloseCode.POLICY_VIOLATION)
                return
            watcher.wanted = wanted

    async def _send_states(self, watcher: _Watcher) -> None:
        mark = 0
        due_s = self._loop.time()
        try:
            while not watcher.socket.closed:
                mark, changed = self._board.changes(mark, PICTURES - watcher.wanted)
                for data in _frames(changed):
                    if isinstance(data, str):
                        sending = watcher.socket.send_str(data)
                    else:
                        sending = watcher.socket.send_bytes(data)
                    await asyncio.wait_for(sending, SEND_TIMEOUT_S)
                due_s = max(due_s + self._period_s, self._loop.time())
                await asyncio.sleep(due_s - self._loop.time())
        except (asyncio.TimeoutError, ConnectionError):
            if watcher.transport is not None:
                watcher.transport.abort()


def _abort(connection: Any) -> None:
    if connection.transport is not None:
        connection.transport.abort()


def _frames(changed: Mapping[str, Any]) -> list[str | bytes]:
    """Return what changed as messages: one text with all values, then the pictures."""
    values, pictures = {}, []
    for name, value in changed.items():
        many = value if isinstance(value, list) else [value]
        found = [item for item in many if isinstance(item, Picture)]
        pictures += [_packed(name, picture) for picture in found]
        if not found:
            values[name] = value
    text = [json.dumps(values, separators=(',', ':'), allow_nan=False)] if values else []
    return [*text, *pictures]


def _packed(name: str, picture: Picture) -> bytes:
    about = json.dumps({'picture': name, **picture.about}, allow_nan=False).encode()
    return len(about).to_bytes(2, 'big') + about + picture.data


def _wanted(text: str) -> frozenset[str] | None:
    """Return the pictures that a page asks for; None for anything else than `["camera", …]`."""
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        return None
    good = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return frozenset(names) & PICTURES if good else None


def _answer(status: int, outcome: Outcome) -> web.Response:
    return web.json_response({'done': outcome.done, 'sentence': outcome.sentence}, status=status)


def _policy(page: bytes) -> str:
    """Return the content security policy: files of this server, and the import map of the page."""
    _, begin, rest = page.partition(b'<script type="importmap">')
    script = rest.partition(b'</script>')[0]
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    allowed = f"'self' 'sha256-{digest}'" if begin else "'self'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'self'; img-src 'self' blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _tls(place: Place) -> ssl.SSLContext | None:
    if not (place.certificate or place.key):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(place.certificate, place.key or None)
    except (OSError, ssl.SSLError) as error:
        names = f'tls_certificate = {place.certificate!r}, tls_key = {place.key!r}'
        raise ConfigError('cockpit', [f'{names}: {error}']) from error
    return context


def read_files(folder: Path, more: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return what the page consists of, by path; '' is the page itself.

    Args:
        folder: with index.html.
        more: other files by path.
    """
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }
    files[''] = files.pop('index.html')
    return {**files, **more}
