"""What the page's server refuses: requests that other sites make, and names that do not belong to it.

Gradio keeps other sites from reading answers, but not from sending requests. Browsers say where a request comes from.
"""

import urllib.parse
from collections.abc import Awaitable, Callable, Collection
from typing import Any

# No script, font or picture from elsewhere, and no frame of another site around the page. Gradio's scripts need eval.
_POLICY = (
    b"default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    b"style-src 'self' 'unsafe-inline'; form-action 'self'; frame-ancestors 'self'"
)
# what Gradio would fetch from other servers
_ELSEWHERE = '/gradio_api/file=http', '/gradio_api/file/', '/gradio_api/proxy='


class Guard:
    """ASGI middleware: answers 403 to requests that do not come from the page itself.

    names: the names of this computer in its addresses, so that no other site can give it a name of its own; None: any.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], names: Collection[str] | None) -> None:
        self._app, self._names = app, names

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        if scope['type'] != 'http':
            await self._app(scope, receive, send)
            return
        headers = {name.decode('latin-1'): value.decode('latin-1') for name, value in scope['headers']}

        async def send_with_policy(message):
            if message['type'] == 'http.response.start':
                message['headers'] = [*message['headers'], (b'content-security-policy', _POLICY)]
            await send(message)

        if self._is_ours(scope['path'], headers):
            await self._app(scope, receive, send_with_policy)
            return
        await send({'type': 'http.response.start', 'status': 403, 'headers': [(b'content-type', b'text/plain')]})
        await send({'type': 'http.response.body', 'body': b'Only the page itself may ask for this.'})

    def _is_ours(self, path: str, headers: dict[str, str]) -> bool:
        host = headers.get('host', '')
        origin = headers.get('origin')
        if self._names is not None and urllib.parse.urlsplit(f'//{host}').hostname not in self._names:
            return False
        if origin is not None and urllib.parse.urlsplit(origin).netloc != host:
            return False
        # a link on another site may open the page, and nothing else
        other = headers.get('sec-fetch-site') in ('cross-site', 'same-site')
        return not (other and path != '/') and not path.startswith(_ELSEWHERE)
