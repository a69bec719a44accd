"""What other pages, other programs and broken clients try, and that the server stays well."""

import asyncio
import contextlib
import http.client
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import aiohttp
import pytest

from kf_imitation.cockpit import server as server_module
from kf_imitation.cockpit.actions import Jog, Trigger
from kf_imitation.cockpit.board import Picture

TOKEN = 'a-secret-that-is-long-enough-for-tests'
STOP = json.dumps({'action': 'stop'})
JSON = {'Content-Type': 'application/json'}


def ask(server, method, path, headers=None, body=None, host='127.0.0.1'):
    """Return status, headers and text of one request."""
    connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=10)
    given = {'Host': f'{host}:{server.port}', **(headers or {})}
    try:
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def own(server):
    """Headers of a request by the page itself."""
    return {'Origin': f'http://127.0.0.1:{server.port}', **JSON}


def act(server, document, headers=None):
    status, _, text = ask(
        server, 'POST', f'/{TOKEN}/act', headers or own(server), json.dumps(document)
    )
    return status, text


def test_the_page_opens_with_its_whole_address_only(server):
    assert server.url == f'http://127.0.0.1:{server.port}/{TOKEN}/'
    assert ask(server, 'GET', f'/{TOKEN}/')[0] == 200
    for path in ('/', '/act', f'/{TOKEN[:-1]}/', f'/{TOKEN}x/', '/%2e%2e/', f'/x/{TOKEN}/'):
        status, _, text = ask(server, 'GET', path)
        assert (status, 'address' in text) == (403, True), path


@pytest.mark.parametrize('host', ['evil.example', 'localhost.evil.example', '192.168.0.7', ''])
def test_a_foreign_host_is_rejected(server, host):
    status, headers, text = ask(server, 'GET', f'/{TOKEN}/', host=host)
    assert status == 403 and 'open the address that was printed' in text
    assert headers['Content-Security-Policy'] == "default-src 'none'"


@pytest.mark.parametrize('host', ['127.0.0.1', 'localhost', '[::1]'])
def test_this_machine_is_known_by_its_names_through_any_port(server, host):
    connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=10)
    connection.request('GET', f'/{TOKEN}/', headers={'Host': f'{host}:9999'})
    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.parametrize(
    'origin', ['http://evil.example', 'null', 'https://127.0.0.1', 'http://localhost:1']
)
def test_a_foreign_origin_is_rejected_for_reading_and_for_acting(server, asked, origin):
    headers = {**JSON, 'Origin': origin}
    assert ask(server, 'GET', f'/{TOKEN}/', headers)[0] == 403
    assert ask(server, 'POST', f'/{TOKEN}/act', headers, STOP)[0] == 403
    assert asked.actions == []


def test_an_action_without_an_origin_is_rejected(server, asked):
    assert ask(server, 'POST', f'/{TOKEN}/act', JSON, STOP)[0] == 403
    assert asked.actions == []


def test_a_form_of_another_page_changes_nothing(server, asked):
    forms = [
        {'Content-Type': 'application/x-www-form-urlencoded', 'Origin': 'http://evil.example'},
        {'Content-Type': 'text/plain', 'Origin': 'null'},
        {'Content-Type': 'text/plain', 'Sec-Fetch-Site': 'cross-site'},
    ]
    for headers in forms:
        assert ask(server, 'POST', f'/{TOKEN}/act', headers, STOP)[0] == 403
    plain = {**own(server), 'Content-Type': 'text/plain'}
    assert ask(server, 'POST', f'/{TOKEN}/act', plain, STOP)[0] == 415
    cross = {**own(server), 'Sec-Fetch-Site': 'same-site'}
    assert ask(server, 'POST', f'/{TOKEN}/act', cross, STOP)[0] == 403
    assert asked.actions == []


def test_reading_changes_nothing(server, asked):
    for method in ('GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'):
        status, headers, _ = ask(server, method, f'/{TOKEN}/act', own(server), STOP)
        assert status in (403, 404, 405)
        assert 'Access-Control-Allow-Origin' not in headers
    assert asked.actions == []


def test_only_the_files_of_the_page_can_be_read(server):
    assert ask(server, 'GET', f'/{TOKEN}/style.css')[0] == 200
    for path in ('../setup.py', '%2e%2e/setup.py', '/etc/passwd', 'style.css/..', '..\\x'):
        assert ask(server, 'GET', f'/{TOKEN}/{path}')[0] in (403, 404), path


def test_the_page_may_load_and_run_its_own_files_only(server):
    _, headers, _ = ask(server, 'GET', f'/{TOKEN}/')
    policy = headers['Content-Security-Policy']
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "script-src 'self' 'sha256-" in policy and 'unsafe' not in policy
    assert headers['Referrer-Policy'] == 'no-referrer'  # the secret is in the address
    assert headers['X-Content-Type-Options'] == 'nosniff'


def test_an_action_of_the_page_is_done(server, asked):
    status, text = act(server, {'action': 'jog', 'joint': 'jaw', 'position_rad': 0.2})
    assert (status, json.loads(text)) == (200, {'done': True, 'sentence': 'done'})
    assert asked.actions == [Jog('jaw', 0.2)]


def test_without_authority_everything_but_a_stop_is_rejected_with_the_reason(server, asked):
    asked.refusal = 'only looking on is allowed (parameter controls)'
    status, text = act(server, {'action': 'reset'})
    assert status == 403 and 'parameter controls' in text
    assert act(server, {'action': 'stop'})[0] == 200
    assert asked.actions == [Trigger('stop')]


def test_garbage_is_rejected_and_says_why(server, asked):
    for document in (
        [],
        'stop',
        {},
        {'action': 'fly'},
        {'action': 'stop', 'x': 1},
        {'action': []},
    ):
        status, text = act(server, document)
        assert status == 400 and 'sentence' in text, document
    for body in (
        '{',
        '\x00',
        '[' * 3000,
        '{"action": "jog", "joint": "jaw", "position_rad": NaN}',
    ):
        assert ask(server, 'POST', f'/{TOKEN}/act', own(server), body)[0] == 400
    assert ask(server, 'POST', f'/{TOKEN}/act', own(server), b'\xff\xfe')[0] == 400
    assert asked.actions == []


def test_a_message_of_10_mb_is_rejected_unread(server, asked):
    status = 0
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        status = ask(server, 'POST', f'/{TOKEN}/act', own(server), b'x' * 10_000_000)[0]
    assert status in (0, 413)
    assert act(server, {'action': 'stop'})[0] == 200


def test_more_actions_than_a_person_can_make_are_rejected_but_a_stop_never(
    make_server, monkeypatch
):
    monkeypatch.setattr(server_module, 'ACTIONS_HZ', 0.001)  # however slow this machine is
    server = make_server()
    found = [act(server, {'action': 'neutral'})[0] for _ in range(server_module.ACTIONS_BURST + 3)]
    assert found == [200] * server_module.ACTIONS_BURST + [429] * 3
    assert all(act(server, {'action': 'stop'})[0] == 200 for _ in range(3))


def test_stops_that_come_together_ask_the_head_once(server, asked, monkeypatch):
    monkeypatch.setattr(server_module, 'ACTION_TIMEOUT_S', 0.5)
    asked.answers = False  # the first is still under way
    threads = [threading.Thread(target=act, args=(server, {'action': 'stop'})) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked.actions) < 5


def run(coroutine):
    """In a thread of its own: Playwright's loop may run in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, asyncio.wait_for(coroutine, 30)).result()


@contextlib.asynccontextmanager
async def watching(server, **options):
    headers = {'Origin': f'http://127.0.0.1:{server.port}', **options.pop('headers', {})}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            f'{server.url}states', headers=headers, max_msg_size=0, **options
        ) as ws,
    ):
        yield ws


def test_a_watcher_gets_what_there_is_and_then_what_changes(server, board):
    board.put('robot', {'name': 'sim_face'})
    board.append('scores', [1, 0.5])

    async def watch():
        async with watching(server) as ws:
            first = await ws.receive_json()
            board.append('scores', [2, 0.25])
            board.put('camera', Picture({'stamp': 3}, b'jpeg'))
            second = await ws.receive_json()
            picture = await ws.receive_bytes()
        return first, second, picture

    first, second, picture = run(watch())
    assert first == {'robot': {'name': 'sim_face'}, 'scores': [[1, 0.5]]}
    assert second == {'scores': [[2, 0.25]]}
    length = int.from_bytes(picture[:2], 'big')
    assert json.loads(picture[2 : 2 + length]) == {'picture': 'camera', 'stamp': 3}
    assert picture[2 + length :] == b'jpeg'


@pytest.mark.parametrize('headers', [{'Origin': 'http://evil.example'}, {'Host': 'evil.example'}])
def test_a_websocket_of_another_page_is_rejected(server, headers):
    async def watch():
        async with watching(server, headers=headers):
            pass

    with pytest.raises(aiohttp.WSServerHandshakeError, match='403'):
        run(watch())
    assert server.watchers == 0


def test_a_websocket_without_an_origin_is_rejected(server):
    async def watch():
        async with aiohttp.ClientSession() as session:
            await session.ws_connect(f'{server.url}states')

    with pytest.raises(aiohttp.WSServerHandshakeError, match='403'):
        run(watch())


@pytest.mark.parametrize(
    ('message', 'code'),
    [('garbage', 1008), ('{}', 1008), ('[1]', 1008), ('["' + 'x' * 10_000_000 + '"]', 1009)],
    ids=['text', 'object', 'number', '10 MB'],
)
def test_a_watcher_that_sends_garbage_is_sent_away(server, message, code):
    async def watch():
        async with watching(server) as ws:
            with contextlib.suppress(ConnectionError):
                await ws.send_str(message)
            with contextlib.suppress(ConnectionError):
                while (await ws.receive()).type not in (
                    aiohttp.WSMsgType.CLOSE,
                    aiohttp.WSMsgType.CLOSED,
                    aiohttp.WSMsgType.ERROR,
                ):
                    pass
            return ws.close_code

    assert run(watch()) in (code, 1006, None)  # 1006: cut off while it still sent
    until(lambda: server.watchers == 0)
    assert ask(server, 'GET', f'/{TOKEN}/')[0] == 200


def test_a_flood_of_messages_ends_the_watcher_that_makes_it(server):
    async def flood():
        async with watching(server) as ws:
            with contextlib.suppress(ConnectionError):
                for _ in range(10_000):
                    await ws.send_str('["camera"]')
            while not ws.closed:
                await ws.receive()
            return ws.close_code

    assert run(flood()) in (1008, 1006)
    until(lambda: server.watchers == 0)


def until(condition, timeout_s=20.0):
    end_s = monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        assert monotonic() < end_s
        pause.wait(0.01)


def test_watchers_beyond_the_limit_are_told_so(server):
    async def crowd():
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(server_module.WATCHERS_MOST):
                await stack.enter_async_context(watching(server))
            async with watching(server):
                pass

    with pytest.raises(aiohttp.WSServerHandshakeError, match='503'):
        run(crowd())


def test_a_thousand_connections_that_say_nothing_do_not_keep_the_page_out(server, asked):
    silent = []
    try:
        for _ in range(1000):
            silent.append(socket.create_connection(('127.0.0.1', server.port), timeout=10))
        assert ask(server, 'GET', f'/{TOKEN}/')[0] == 200
        assert act(server, {'action': 'stop'})[0] == 200
        assert asked.actions == [Trigger('stop')]
    finally:
        for connection in silent:
            connection.close()


def test_a_connection_that_says_nothing_is_ended(server, monkeypatch):
    monkeypatch.setattr(server_module, 'STRANGER_S', 0.1)
    silent = socket.create_connection(('127.0.0.1', server.port), timeout=20)
    with silent, contextlib.suppress(ConnectionResetError):
        assert silent.recv(1) == b''


def test_a_slow_reader_delays_nobody_and_holds_little(server, board):
    """A browser tab that hangs: states and pictures go on for the others, nothing piles up."""
    handshake = (
        f'GET /{TOKEN}/states HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\n'
        'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
    )
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(('127.0.0.1', server.port))
    slow.sendall(handshake.encode())
    until(lambda: server.watchers == 1)

    async def watch():
        newest = 0
        async with watching(server) as ws:
            for number in range(1, 101):
                board.put('camera', Picture({'stamp': number}, bytes(100_000)))
                while newest != number:
                    data = await ws.receive_bytes()
                    length = int.from_bytes(data[:2], 'big')
                    newest = json.loads(data[2 : 2 + length])['stamp']
        return newest

    assert run(watch()) == 100
    assert act(server, {'action': 'stop'})[0] == 200
    slow.close()


def test_a_reader_that_takes_nothing_is_ended(server, board, monkeypatch):
    monkeypatch.setattr(server_module, 'SEND_TIMEOUT_S', 0.2)

    async def hang():
        async with watching(server):
            while server.watchers:
                board.put('camera', Picture({}, bytes(1_000_000)))
                await asyncio.sleep(0.02)

    run(hang())
    assert server.watchers == 0
