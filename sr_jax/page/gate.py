"""What stands before every request: who may come in, and to which routes.

Gradio serves more than this page needs: files by their paths, pages of others by proxy, uploads
without a bound on their number. Only what stands in OPEN and our own routes is let through.
"""

import base64
import binascii
import json
import re
import secrets
from collections.abc import Sequence
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sr_jax.errors import InputError

OWN = '/sr_jax/'
# Of Gradio: the page and its parts, its events, and what its Python client asks for.
OPEN = re.compile(
    r'/|/config/?|/theme\.css|/(assets|static|svelte)/.*|/favicon\.ico|/robots\.txt|/manifest\.json'
    r'|/gradio_api/(info/?|startup-events|app_id/?|theme\.css|heartbeat/\w+|reset/?|cancel'
    r'|queue/(join|data)|run/\w+/?|api/\w+/?|call/.*)'
)
AT_START = '/gradio_api/startup-events'  # Gradio asks itself, without a password
LOOPBACK = ('localhost', '127.0.0.1', '[::1]')
MOST_BYTES = 2**18  # of the body of a request to Gradio
HEADERS = {
    'Content-Security-Policy': "default-src 'self'; img-src 'self' data: blob:; media-src 'self' "
    "blob:; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "font-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'",
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
}


class Gate:
    """The middleware of the page.

    Args:
      app: what stands behind.
      password: that the browser asks for; '': none.
      hosts: names under which the page may be asked for; None: any.
    """

    def __init__(self, app: ASGIApp, password: str = '', hosts: Sequence[str] | None = LOOPBACK):
        self._app, self._password, self._hosts = app, password, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request through, or answers it."""
        if scope['type'] != 'http':
            if scope['type'] == 'lifespan':
                await self._app(scope, receive, send)
            return
        refusal = self._refuse(scope)
        if not refusal and scope['method'] == 'POST' and not scope['path'].startswith(OWN):
            body, refusal = await _read_body(receive)
            receive = _give(body, receive)
        if refusal:
            await refusal(scope, receive, send)
            return

        async def send_more(message: Message) -> None:
            if message['type'] == 'http.response.start':
                given = {key.lower() for key, _ in message['headers']}
                message['headers'] = [
                    *message['headers'],
                    *(
                        (key.lower().encode(), value.encode())
                        for key, value in HEADERS.items()
                        if key.lower().encode() not in given
                    ),
                ]
            await send(message)

        await self._app(scope, receive, send_more)

    def _refuse(self, scope: Scope) -> PlainTextResponse | None:
        """The answer to a request that may not come in."""
        headers, path = Headers(scope=scope), scope['path']
        host = re.sub(r':\d+$', '', headers.get('host', ''))
        if self._hosts is not None and host not in self._hosts:
            # Another page's name that was made to point here would read this page.
            return PlainTextResponse('this page has another name', 421)
        if path != AT_START and not self._is_known(headers.get('authorization', '')):
            ask = {'WWW-Authenticate': 'Basic realm="sr_jax", charset="UTF-8"'}
            return PlainTextResponse('say the password (any user name)', 401, ask)
        if not (path.startswith(OWN) or OPEN.fullmatch(path)):
            return PlainTextResponse('not found', 404)
        return None

    def _is_known(self, authorization: str) -> bool:
        if not self._password:
            return True
        kind, _, encoded = authorization.partition(' ')
        try:
            _, _, password = base64.b64decode(encoded).decode().partition(':')
        except (binascii.Error, UnicodeDecodeError):
            return False
        is_same = secrets.compare_digest(password.encode(), self._password.encode())
        return kind.lower() == 'basic' and is_same


async def _read_body(receive: Receive) -> tuple[bytes, PlainTextResponse | None]:
    """The body of a request to Gradio, and the answer where it is refused."""
    body, more = b'', True
    while more:
        message = await receive()
        body += message.get('body', b'')
        more = message.get('more_body', False)
        if len(body) > MOST_BYTES:
            return b'', PlainTextResponse('too much', 413)
    try:
        if body:
            _refuse_files(json.loads(body))
    except (InputError, RecursionError, ValueError):
        return b'', PlainTextResponse('this is not what the page sends', 400)
    return body, None


def _refuse_files(value: Any) -> None:
    """Raises InputError where Gradio would see a file, whose path or address it would follow."""
    if isinstance(value, dict):
        if 'path' in value:
            raise InputError('no files are taken here')
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        _refuse_files(item)


def _give(body: bytes, receive: Receive) -> Receive:
    """What gives a body that was read already, and then what comes after it."""
    messages: list[Message] = [{'type': 'http.request', 'body': body, 'more_body': False}]

    async def give() -> Message:
        return messages.pop() if messages else await receive()

    return give
