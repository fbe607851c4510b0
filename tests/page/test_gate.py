"""Who may come in, and to which routes: with a small application behind the gate."""

import asyncio
import base64
import importlib.util

import pytest

if importlib.util.find_spec('starlette') is None:
    pytest.skip('Gradio is not installed here: make test-page', allow_module_level=True)

from starlette.responses import PlainTextResponse

from sr_jax.page.gate import LOOPBACK, MOST_BYTES, Gate


async def behind(scope, receive, send):
    body = (await receive()).get('body', b'')
    await PlainTextResponse(b'inside ' + body)(scope, receive, send)


def ask(path='/', method='GET', body=b'', gate=None, **headers):
    """The status, the headers and the body of an answer."""
    given = {'host': 'localhost:7860', **headers}
    scope = {
        'type': 'http',
        'method': method,
        'path': path,
        'headers': [(name.encode(), value.encode()) for name, value in given.items()],
    }
    sent = []

    async def receive():
        return {'type': 'http.request', 'body': body, 'more_body': False}

    async def send(message):
        sent.append(message)

    asyncio.run((gate or Gate(behind))(scope, receive, send))
    return sent[0]['status'], dict(sent[0]['headers']), sent[1]['body']


@pytest.mark.parametrize(
    'path',
    ['/', '/config', '/assets/index.js', '/gradio_api/queue/join', '/sr_jax/files/image'],
)
def test_the_page_and_its_events_are_open(path):
    assert ask(path)[0] == 200


@pytest.mark.parametrize(
    'path',
    [
        '/gradio_api/file=/etc/passwd',
        '/file=/etc/passwd',
        '/gradio_api/upload',
        '/gradio_api/proxy=http://localhost:22/',
        '/gradio_api/file=http://localhost/',
        '/gradio_api/stream/a/b/c/playlist-file',
        '/gradio_api/process_recording',
        '/gradio_api/vibe-edit/',
        '/gradio_api/runs',
        '/monitoring',
        '/gradio_api/custom_component/0/client/a/b.py',
        '/openapi.json',
    ],
)
def test_what_the_page_does_not_need_is_shut(path):
    assert ask(path)[0] == 404


def test_another_name_of_this_machine_is_refused():
    assert ask(host='evil.example:7860')[0] == 421
    assert ask(host='localhost.evil.example')[0] == 421
    assert ask(gate=Gate(behind, hosts=None), host='evil.example')[0] == 200
    assert {ask(host=host)[0] for host in LOOPBACK} == {200}


def test_a_password_is_asked_for_everywhere():
    gate = Gate(behind, password='pässword')
    status, headers, _ = ask(gate=gate)
    assert status == 401
    assert headers[b'www-authenticate'].startswith(b'Basic ')
    for path in ('/sr_jax/view/x', '/gradio_api/queue/join', '/static/x', '/nonsense'):
        assert ask(path, gate=gate)[0] == 401
    for said, wanted in (('pässword', 200), ('password', 401), ('', 401)):
        encoded = base64.b64encode(f'me:{said}'.encode()).decode()
        assert ask(gate=gate, authorization=f'Basic {encoded}')[0] == wanted
    assert ask(gate=gate, authorization='Basic !!!')[0] == 401
    assert ask(gate=gate, authorization='Bearer x')[0] == 401


def test_gradio_is_given_no_file_to_follow():
    where = dict(path='/gradio_api/queue/join', method='POST')
    assert ask(body=b'{"data": [["a"], 1]}', **where)[2] == b'inside {"data": [["a"], 1]}'
    for hidden in (b'{"data": [{"path": "/etc/passwd"}]}', b'[[{"p\\u0061th": "x"}]]', b'nonsense'):
        assert ask(body=hidden, **where)[0] == 400
    assert ask(body=b'[' * 100_000, **where)[0] == 400
    assert ask(body=b'1' * (MOST_BYTES + 1), **where)[0] == 413


def test_nothing_from_elsewhere_is_loaded():
    headers = ask()[1]
    assert b"default-src 'self'" in headers[b'content-security-policy']
    assert headers[b'x-content-type-options'] == b'nosniff'
