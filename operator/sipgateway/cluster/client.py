"""A thin client of the Kubernetes API: JSON in, JSON out, over one pool of connections.

In: an `Access`. Out: objects as plain mappings, watch events, `ApiError` with the server's own words. It keeps no state
but its connections. The generated client models are not used: they take 40 MB and copy every object.

After `ApiError` with `.conflict` the caller decides anew on what it reads next; after one with `.transient` it tries
again later, not before `.retry_after`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from sipgateway import __version__
from sipgateway.cluster.access import Access

Obj = dict[str, Any]

MERGE: Final = "application/merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"

#: Objects of one page of a LIST: an unpaged one of 10,000 peaks at 117 MB.
PAGE: Final = 500

#: Seconds that one request may take, and that a watch may be silent beyond its own time.
_REQUEST: Final = 15.0
_SILENCE: Final = 15.0


class ApiError(Exception):
    """The API server refused, or could not be reached.

    Attributes:
        status: HTTP status; 0 when no answer came.
        reason: the server's word, such as `Conflict` or `AlreadyExists`; `Unreachable` when no answer came.
        message: the server's words. Of a failed write it may quote the object's fields, so it is never asked for
            objects with secrets in them.
        retry_after: seconds that the server wants to be left alone, 0 when it did not say.
        is_status: whether the answer was a Status object: else it came from something that is no API of that kind.
    """

    def __init__(
        self, status: int, reason: str, message: str, retry_after: float = 0.0, *, is_status: bool = True
    ) -> None:
        super().__init__(f"{status} {reason}: {message}" if status else f"{reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        self.is_status = is_status

    @property
    def not_found(self) -> bool:
        """The object (or its kind) is not there."""
        return self.status == 404

    @property
    def conflict(self) -> bool:
        """What was decided on is not there any more: a newer version, or none, or one already."""
        return self.status == 409

    @property
    def expired(self) -> bool:
        """The resourceVersion is too old: LIST again."""
        return self.status == 410 or self.reason == "Expired"

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later without anybody's help."""
        return self.status in {0, 408, 429} or self.status >= 500


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a LIST; `version` is the resourceVersion of the whole list."""

    items: list[Obj]
    version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event of a watch: ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Obj


class Api:
    """The API server. Use as an async context manager."""

    def __init__(self, access: Access, *, connections: int = 32) -> None:
        self.access = access
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # The server's name is checked by the context; a name of its own is the kubeconfig's tls-server-name.
        connector = aiohttp.TCPConnector(limit=self._connections, ssl=self.access.ssl_context(), keepalive_timeout=60)
        self._session = aiohttp.ClientSession(
            connector=connector, headers={"User-Agent": f"sipgateway/{__version__}", "Accept": "application/json"}
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Obj:
        """Reads one object.

        Raises:
            ApiError: it is not there, or cannot be read.
        """
        return await self._request("GET", path, params=params)

    async def create(self, path: str, body: Obj) -> Obj:
        """Creates an object in the collection at `path`; returns it as stored.

        Raises:
            ApiError: it exists already (`conflict`), or was refused.
        """
        return await self._request("POST", path, body=body)

    async def patch(self, path: str, body: Obj, *, kind: str = MERGE, params: Mapping[str, str] | None = None) -> Obj:
        """Patches an object; a `metadata.resourceVersion` in the body makes a late patch a `conflict`.

        Raises:
            ApiError: refused.
        """
        return await self._request("PATCH", path, body=body, content_type=kind, params=params)

    async def update(self, path: str, body: Obj) -> Obj:
        """Replaces an object as a whole.

        Raises:
            ApiError: refused.
        """
        return await self._request("PUT", path, body=body)

    async def delete(self, path: str, *, uid: str, version: str | None = None) -> Obj:
        """Deletes exactly the object that was seen; returns a Status, or the object while a finalizer still holds it.

        Raises:
            ApiError: it is another one by now (`conflict`), or gone (`not_found`), or refused.
        """
        preconditions = {"uid": uid} | ({"resourceVersion": version} if version else {})
        return await self._request("DELETE", path, body={"preconditions": preconditions})

    async def pages(self, path: str, *, selector: str = "", limit: int = PAGE) -> AsyncIterator[Page]:
        """A LIST in pages; nothing of a page is kept here.

        Raises:
            ApiError: `expired` when the list took too long for its snapshot: begin again.
        """
        params = {"limit": str(limit)} | ({"labelSelector": selector} if selector else {})
        while True:
            body = await self._request("GET", path, params=params)
            meta = body.get("metadata") or {}
            yield Page(body.get("items") or [], str(meta.get("resourceVersion", "")))
            token = meta.get("continue")
            if not token:
                return
            params["continue"] = token

    async def watch(
        self, path: str, version: str, *, selector: str = "", fields: str = "", seconds: int = 240
    ) -> AsyncIterator[WatchEvent]:
        """Events after `version`, until the server ends the watch after `seconds`; then call again.

        Raises:
            ApiError: `expired` when the version is too old; LIST again then.
        """
        params = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        if selector:
            params["labelSelector"] = selector
        if fields:
            params["fieldSelector"] = fields
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_REQUEST, sock_read=seconds + _SILENCE)
        async with self._open("GET", path, params=params, timeout=timeout) as response:
            try:
                async for line in _lines(response):
                    event = json.loads(line)
                    kind, obj = event["type"], event["object"]
                    if kind == "ERROR":
                        raise _status_error(obj.get("code") or 500, obj, {})
                    yield WatchEvent(kind, obj)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise _unreachable(self.access.server, error) from None
            except (ValueError, KeyError, TypeError):
                raise ApiError(0, "BadAnswer", "the watch sent something that is no event") from None

    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: Obj | None = None,
        content_type: str = "application/json",
        params: Mapping[str, str] | None = None,
    ) -> Obj:
        timeout = aiohttp.ClientTimeout(total=_REQUEST)
        async with self._open(
            method, path, body=body, content_type=content_type, params=params, timeout=timeout
        ) as response:
            try:
                raw = await response.read()
                answer = json.loads(raw) if raw else {}
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise _unreachable(self.access.server, error) from None
            except ValueError:
                raise ApiError(response.status, "BadAnswer", "the answer is no JSON", is_status=False) from None
        if not isinstance(answer, dict):
            raise ApiError(response.status, "BadAnswer", "the answer is no object", is_status=False)
        return answer

    @contextlib.asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        *,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own kind, with several limits in it
        body: Obj | None = None,
        content_type: str = "application/json",
        params: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request; a 401 is tried once more with the token read anew, because it may have been rotated."""
        data = None if body is None else json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        headers = {} if data is None else {"Content-Type": content_type}
        response = await self._send(method, path, params, data, headers, timeout, fresh=False)
        if response.status == 401 and self.access.token is not None:
            response.close()
            response = await self._send(method, path, params, data, headers, timeout, fresh=True)
        try:
            if response.status >= 400:
                await _raise(response)
            yield response
        finally:
            response.close()  # a connection whose answer was read whole went back to the pool before

    async def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        data: bytes | None,
        headers: dict[str, str],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109
        *,
        fresh: bool,
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("Api is used outside of its `async with`")
        if self.access.token is not None:
            headers["Authorization"] = f"Bearer {await self.access.token.get(fresh=fresh)}"
        try:
            return await self._session.request(
                method,
                self.access.server + path,
                params=params,
                data=data,
                headers=headers,
                timeout=timeout,
                server_hostname=self.access.server_name,
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(self.access.server, error) from None


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Whole lines, whatever their length: an object with its managedFields is longer than a reader's buffer."""
    rest = bytearray()
    async for chunk in response.content.iter_any():
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            line = bytes(rest) + chunk[start:end]
            rest.clear()
            start = end + 1
            if line.strip():
                yield line
        rest += chunk[start:]


async def _raise(response: aiohttp.ClientResponse) -> None:
    try:
        raw = await response.read()
    except (aiohttp.ClientError, OSError, TimeoutError):
        raw = b""
    try:
        answer = json.loads(raw)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and answer.get("kind") == "Status":
        raise _status_error(response.status, answer, response.headers)
    text = raw[:200].decode(errors="replace").strip() or (response.reason or "")
    raise ApiError(response.status, response.reason or "Error", text, _retry_after(response.headers), is_status=False)


def _status_error(status: int, answer: Obj, headers: Mapping[str, str]) -> ApiError:
    details = answer.get("details") or {}
    after = _retry_after(headers) or float(details.get("retryAfterSeconds") or 0)
    return ApiError(status, str(answer.get("reason") or "Error"), str(answer.get("message") or ""), after)


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return max(0.0, min(float(headers.get("Retry-After", 0)), 60.0))
    except ValueError:
        return 0.0


def _unreachable(server: str, error: BaseException) -> ApiError:
    what = str(error) or type(error).__name__
    return ApiError(0, "Unreachable", f"{server}: {what}")
