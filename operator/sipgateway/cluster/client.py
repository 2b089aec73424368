"""A thin client of the Kubernetes API: JSON in, JSON out, over one pool of connections.

In: an `Access`. Out: objects as plain mappings, watch events, `ApiError` with the server's own words. It keeps no state
but its connections. The generated client models are not used: they take 40 MB and copy every object.

Watches do not count among the connections: a watch lasts minutes, and with a few namespaces they would leave none for
requests. A server that went away without a word is noticed by TCP within a minute, one that hangs by its silence.

After `ApiError` with `.conflict` the caller decides anew on what it reads next; after one with `.transient` it tries
again later, not before `.retry_after`.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from sipgateway import __version__
from sipgateway.cluster.access import Access
from sipgateway.cluster.connections import asks_before_sending, connector
from sipgateway.errors import SipgwError

Obj = dict[str, Any]

MERGE: Final = "application/merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"

#: Objects of one page of a LIST: an unpaged one of 10,000 peaks at 117 MB.
PAGE: Final = 500

#: Seconds that one request may take.
_REQUEST: Final = 15.0

#: Seconds of silence after which a watch is opened anew: the API server sends a bookmark every 60 while it has news.
SILENCE: Final = 75.0

#: The longest time, in seconds, for which a server is left alone because it asks for it.
_LEFT_ALONE: Final = 30.0

_READS: Final = frozenset({"GET"})

#: Kinds of what a group or the server offers; those have neither a name nor a version.
_OFFERS: Final = frozenset({"APIResourceList", "APIGroup", "APIGroupList", "APIVersions"})


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
        return self.status in {0, 408, 429} or self.status >= 500 or self.reason == "BadAnswer"


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a LIST; `version` is the resourceVersion of the whole list."""

    items: list[Obj]
    version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event of a watch: ADDED, MODIFIED, DELETED or BOOKMARK; `version` is where to go on after it."""

    type: str
    object: Obj
    version: str


class Api:
    """The API server. Use as an async context manager."""

    def __init__(self, access: Access, *, connections: int = 32) -> None:
        self.access = access
        self._connections = connections
        self._guard: Callable[[], None] | None = None
        self._requests: aiohttp.ClientSession | None = None
        self._watches: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._requests = self._session(self._connections)
        self._watches = self._session(0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in (self._requests, self._watches):
            if session is not None:
                await session.close()
        self._requests = self._watches = None

    def guarded(self, check: Callable[[], None]) -> Self:
        """The same connections, for somebody who may lose the right to write.

        `check` is asked when a write has its connection, right before it is sent, and again when it is sent anew: a
        process that was stopped in between sends nothing. What it raises, the call raises.
        """
        other = copy.copy(self)
        other._guard = check  # noqa: SLF001 - its own kind
        return other

    def _session(self, limit: int) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector(self.access, limit),
            headers={"User-Agent": f"sipgateway/{__version__}", "Accept": "application/json"},
            trace_configs=[asks_before_sending()],
            cookie_jar=aiohttp.DummyCookieJar(),  # the API server has none, and looking for them takes time
        )

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Obj:
        """Reads one object, or what a group offers.

        Raises:
            ApiError: it is not there, or cannot be read.
        """
        return _object(await self._request("GET", path, params=params))

    async def create(self, path: str, body: Obj) -> Obj:
        """Creates an object in the collection at `path`; returns it as stored.

        Raises:
            ApiError: it exists already (`conflict`), or was refused.
        """
        return _object(await self._request("POST", path, body=body))

    async def review(self, path: str, body: Obj) -> Obj:
        """Asks for a judgement, such as a SubjectAccessReview: it is answered and not stored, so it has no version.

        Raises:
            ApiError: refused.
        """
        return await self._request("POST", path, body=body)

    async def date(self) -> str:
        """The server's clock, as its HTTP header has it; empty when it does not say.

        Raises:
            ApiError: it cannot be reached.
        """
        timeout = aiohttp.ClientTimeout(total=_REQUEST)
        async with self._open(self._requests, "GET", "/version", timeout=timeout) as response:
            return response.headers.get("Date", "")

    async def patch(self, path: str, body: Obj, *, kind: str = MERGE, params: Mapping[str, str] | None = None) -> Obj:
        """Patches an object; a `metadata.resourceVersion` in the body makes a late patch a `conflict`.

        Raises:
            ApiError: refused.
        """
        answer = await self._request("PATCH", path, body=body, content_type=kind, params=params)
        return answer if params and "dryRun" in params else _object(answer)  # what is not stored has no version

    async def update(self, path: str, body: Obj) -> Obj:
        """Replaces an object as a whole.

        Raises:
            ApiError: refused.
        """
        return _object(await self._request("PUT", path, body=body))

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
            meta, items = body.get("metadata"), body.get("items") or []
            if not isinstance(meta, dict) or not meta.get("resourceVersion") or not isinstance(items, list):
                # Taken for a LIST it would say that nothing is there.
                raise ApiError(0, "BadAnswer", "the answer to a LIST is no list", is_status=False)
            yield Page(items, str(meta["resourceVersion"]))
            token = meta.get("continue")
            if not token:
                return
            params["continue"] = token

    async def watch(
        self,
        path: str,
        version: str,
        *,
        selector: str = "",
        fields: str = "",
        seconds: int = 240,
        opened: Callable[[], None] = lambda: None,
    ) -> AsyncIterator[WatchEvent]:
        """Events after `version`, until the server ends the watch after `seconds`, or falls silent; then call again.

        Args:
            path: of the collection.
            version: resourceVersion of the LIST, or of the last event.
            selector: label selector.
            fields: field selector.
            seconds: for which the server keeps the watch open.
            opened: called once, when the server has accepted the watch.

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
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_REQUEST, sock_read=SILENCE)
        async with self._open(self._watches, "GET", path, params=params, timeout=timeout) as response:
            opened()
            lines = _lines(response)
            while True:
                try:
                    line = await anext(lines, None)
                except aiohttp.SocketTimeoutError:
                    return  # perhaps nothing happens, perhaps nobody is there any more: the next watch tells
                except (aiohttp.ClientError, OSError, TimeoutError) as error:
                    raise _unreachable(self.access.server, error) from None
                if line is None:
                    return
                yield _event(line)

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
            self._requests, method, path, body=body, content_type=content_type, params=params, timeout=timeout
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
        session: aiohttp.ClientSession | None,
        method: str,
        path: str,
        *,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own kind, with several limits in it
        body: Obj | None = None,
        content_type: str = "application/json",
        params: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request; a 401 is tried once more with the token read anew, because it may have been rotated."""
        if session is None:
            raise RuntimeError("Api is used outside of its `async with`")
        data = None if body is None else json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        headers = {} if data is None else {"Content-Type": content_type}
        guard = None if method in _READS else self._guard
        used: str | None = None

        async def send() -> aiohttp.ClientResponse:
            nonlocal used
            used = await self._token(refused=used)
            try:
                return await session.request(
                    method,
                    self.access.server + path,
                    params=params,
                    data=data,
                    headers=headers if used is None else headers | {"Authorization": f"Bearer {used}"},
                    timeout=timeout,
                    server_hostname=self.access.server_name,
                    trace_request_ctx=guard,
                )
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise _unreachable(self.access.server, error) from None

        response = await send()
        if response.status == 401 and used is not None:
            response.close()
            response = await send()
        try:
            if response.status >= 400:
                await _raise(response)
            yield response
        finally:
            response.close()  # a connection whose answer was read whole went back to the pool before

    async def _token(self, refused: str | None) -> str | None:
        if self.access.token is None:
            return None
        try:
            return await self.access.token.get(refused=refused)
        except (OSError, ValueError, SipgwError) as error:
            raise ApiError(0, "NoToken", f"no token can be read: {error}") from None


def _object(answer: Obj) -> Obj:
    """What was answered, when it is an object: that has a name and a version. Something before the server may lie."""
    meta = answer.get("metadata")
    named = isinstance(meta, dict) and meta.get("name") and meta.get("resourceVersion")
    if not named and answer.get("kind") not in _OFFERS:
        raise ApiError(0, "BadAnswer", "the answer is no object", is_status=False)
    return answer


def _event(line: bytes) -> WatchEvent:
    try:
        event = json.loads(line)
        kind, obj = event["type"], event["object"]
        if kind != "ERROR":
            return WatchEvent(kind, obj, obj["metadata"]["resourceVersion"])
        error = _status_error(int(obj.get("code") or 500), obj, {})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ApiError(0, "BadAnswer", "the watch sent something that is no event") from None
    raise error


async def _lines(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
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
    details = answer.get("details")
    details = details if isinstance(details, dict) else {}
    after = _retry_after(headers) or _retry_after({"Retry-After": str(details.get("retryAfterSeconds") or 0)})
    return ApiError(status, str(answer.get("reason") or "Error"), str(answer.get("message") or ""), after)


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return max(0.0, min(float(headers.get("Retry-After", 0)), _LEFT_ALONE))
    except ValueError:
        return 0.0


def _unreachable(server: str, error: BaseException) -> ApiError:
    what = str(error) or type(error).__name__
    return ApiError(0, "Unreachable", f"{server}: {what}")
