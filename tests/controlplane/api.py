"""A bare client of the Kubernetes API. In: a kubeconfig. Out: decoded answers, watch events, the Status as an error.

Tests look at the server with it, and benchmarks measure the floor: nothing stands between it and the connection.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import select
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import yaml

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


class ApiError(Exception):
    """The API server refused; `code` is the HTTP status, `status` its Status object."""

    def __init__(self, request: str, code: int, status: dict[str, Any]) -> None:
        super().__init__(f"{request}: {code} {status.get('reason', '')}: {status.get('message', '')}")
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Access:
    """Where an API server is, whom to believe that it is that, and who we are."""

    server: str
    authority: Path
    certificate: Path | None = None
    key: Path | None = None
    token: str | None = None

    @classmethod
    def of(cls, kubeconfig: Path) -> Self:
        """What a kubeconfig of this harness says (files by path, one context)."""
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        certificate, key = user.get("client-certificate"), user.get("client-key")
        return cls(
            cluster["server"],
            Path(cluster["certificate-authority"]),
            Path(certificate) if certificate else None,
            Path(key) if key else None,
            user.get("token"),
        )

    def kubeconfig(self, namespace: str = "default") -> str:
        """The kubeconfig that says this."""
        user: dict[str, str] = {"token": self.token} if self.token else {}
        if self.certificate and self.key:
            user |= {"client-certificate": str(self.certificate), "client-key": str(self.key)}
        cluster = {"server": self.server, "certificate-authority": str(self.authority)}
        context = {"cluster": "test", "user": "test", "namespace": namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": context}],
            "current-context": "test",
        }
        return yaml.safe_dump(config, sort_keys=False)

    def ssl_context(self) -> ssl.SSLContext:
        """Believes only the control plane's own authority, and shows our certificate."""
        context = ssl.create_default_context(cafile=str(self.authority))
        if self.certificate and self.key:
            context.load_cert_chain(self.certificate, self.key)
        return context


class Api:
    """One connection to the API server, for one thread. A lost one is made again with the next call."""

    def __init__(self, access: Access, seconds: float = 30) -> None:
        self.access = access
        self._seconds = seconds
        self._tls = access.ssl_context()
        self._connection: http.client.HTTPSConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def request(self, method: str, path: str, body: Any = None, *, content_type: str = JSON, **query: Any) -> Any:
        """One call.

        Args:
            method: GET, POST, PUT, PATCH or DELETE.
            path: Such as `/api/v1/namespaces/default/configmaps`.
            body: What becomes JSON; bytes go as they are.
            content_type: What the body is; the kinds of patch have names in this module.
            query: Such as labelSelector.

        Returns:
            The decoded answer; its text when it is no JSON (`/readyz`, `/metrics`).

        Raises:
            ApiError: The server refused.
            OSError: It cannot be reached, or went away without an answer.
        """
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        url = f"{path}?{urlencode(query)}" if query else path
        try:
            connection = self._living()
            connection.request(method, url, data, self._headers(content_type if data is not None else None))
            answer = connection.getresponse()
            text = answer.read()
        except http.client.HTTPException as error:
            self.close()
            raise ConnectionError(f"{method} {url}: {error!r}") from error
        except OSError:
            self.close()
            raise
        is_json = answer.getheader("Content-Type", "").startswith(JSON)
        decoded = json.loads(text) if is_json else text.decode(errors="replace")
        if answer.status >= 400:
            status = decoded if isinstance(decoded, dict) else {"message": decoded}
            raise ApiError(f"{method} {url}", answer.status, status)
        return decoded

    def get(self, path: str, **query: Any) -> Any:
        """Reads an object or a list."""
        return self.request("GET", path, **query)

    def find(self, path: str) -> Any:
        """Reads an object; None when there is none."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def create(self, path: str, body: Any, **query: Any) -> Any:
        """Creates an object in a list's path."""
        return self.request("POST", path, body, **query)

    def replace(self, path: str, body: Any, **query: Any) -> Any:
        """Replaces an object."""
        return self.request("PUT", path, body, **query)

    def patch(self, path: str, body: Any, content_type: str = MERGE_PATCH, **query: Any) -> Any:
        """Changes an object, by a merge patch unless told otherwise."""
        return self.request("PATCH", path, body, content_type=content_type, **query)

    def apply(self, path: str, body: Any, manager: str = "test", **query: Any) -> Any:
        """Server-side apply, by force."""
        return self.patch(path, body, APPLY, fieldManager=manager, force="true", **query)

    def delete(self, path: str, body: Any = None, **query: Any) -> Any:
        """Deletes an object, or all of a list's path."""
        return self.request("DELETE", path, body, **query)

    def list_all(self, path: str, page: int = 500, **query: Any) -> tuple[list[dict[str, Any]], str]:
        """All items of a list, page by page, and the resourceVersion to watch from."""
        items: list[dict[str, Any]] = []
        more: dict[str, str | int] = {}
        while True:
            answer = self.get(path, limit=page, **query, **more)
            items += answer["items"]
            if not (token := answer["metadata"].get("continue")):
                return items, answer["metadata"]["resourceVersion"]
            more = {"continue": token}

    @contextlib.contextmanager
    def watch(self, path: str, since: str = "", seconds: float = 60, **query: Any) -> Iterator[Iterator[Any]]:
        """Watch events as they come, over a connection of its own.

        Args:
            path: The list's path.
            since: The resourceVersion to watch from; without one the objects that exist come first, as ADDED.
            seconds: How long the server may keep it open, and how long a silence may be.
            query: Such as labelSelector.

        Yields:
            The events; they end when the server ends the watch or the time is up. An ERROR event comes like any other.
        """
        words = {"watch": "true", "timeoutSeconds": int(seconds), **query} | (
            {"resourceVersion": since} if since else {}
        )
        url = f"{path}?{urlencode(words)}"
        connection = self._connect(seconds + 5)
        try:
            connection.request("GET", url, headers=self._headers(None))
            answer = connection.getresponse()
            if answer.status >= 400:
                raise ApiError(f"WATCH {url}", answer.status, json.loads(answer.read()))
            yield (json.loads(line) for line in answer)
        finally:
            connection.close()

    def _living(self) -> http.client.HTTPSConnection:
        """The connection; a new one when the server has closed it since the last call, as its end shows on the wire."""
        if self._connection and (wire := self._connection.sock) and select.select([wire], [], [], 0)[0]:
            self.close()
        self._connection = self._connection or self._connect(self._seconds)
        return self._connection

    def _connect(self, seconds: float) -> http.client.HTTPSConnection:
        place = urlsplit(self.access.server)
        return http.client.HTTPSConnection(place.hostname or "", place.port, timeout=seconds, context=self._tls)

    def _headers(self, content_type: str | None) -> dict[str, str]:
        headers = {"Accept": JSON, "User-Agent": "sipgateway-tests"}
        if content_type:
            headers["Content-Type"] = content_type
        if self.access.token:
            headers["Authorization"] = f"Bearer {self.access.token}"
        return headers


class Recorder:
    """A second watcher in a thread: keeps every version of every object of a list, in the order in which they came.

    It follows without a gap: a watch that ends goes on from the last version seen. A 410 is an error, not a gap.
    """

    def __init__(self, access: Access, path: str, **query: Any) -> None:
        self._api = Api(access)
        self._path = path
        self._query = query
        self._events: list[Any] = []
        self._end = threading.Event()
        self._error: Exception | None = None
        items, self._since = self._api.list_all(path, **query)
        self.start_items = items
        self._thread = threading.Thread(target=self._follow, name=f"recorder of {path}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        self._api.close()
        if self._error and kind is None:
            raise self._error

    def events(self) -> list[Any]:
        """The events so far, bookmarks left out.

        Raises:
            Exception: What ended the watch.
        """
        if self._error:
            raise self._error
        return list(self._events)

    def _follow(self) -> None:
        try:
            while not self._end.is_set():
                with contextlib.suppress(OSError, http.client.HTTPException):
                    self._watch()
                self._end.wait(0.05)
        except Exception as error:  # noqa: BLE001 - told to the test, by events() or at the end
            self._error = error

    def _watch(self) -> None:
        # Short watches: the end of the recording waits for the end of one.
        with self._api.watch(self._path, self._since, 1, allowWatchBookmarks="true", **self._query) as events:
            for event in events:
                if event["type"] == "ERROR":
                    raise ApiError(f"WATCH {self._path}", event["object"].get("code", 0), event["object"])
                self._since = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._events.append(event)


def encoded(text: str | bytes) -> str:
    """A Secret's value as it stands in `data`."""
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()
