"""How to reach the API server: from the ServiceAccount of a pod, or from a kubeconfig file.

In: the files of a pod's ServiceAccount, or a kubeconfig. Out: an `Access` value. Tokens are read from their file again
and again, because a bound token is rotated there; they never show in `repr`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sipgateway.cluster.codes import NO_CLUSTER_ACCESS
from sipgateway.errors import InputError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

#: Seconds after which a token is read again; the kubelet rotates it long before it expires.
_TOKEN_LIFE = 60.0

#: Seconds after which it is tried again when it could not be read.
_TOKEN_RETRY = 5.0


@dataclass(slots=True)
class Token:
    """A bearer token and where it comes from.

    Attributes:
        read: gives the present token, None when there is none.
    """

    read: Callable[[], Awaitable[str | None]] = field(repr=False)
    _value: str | None = field(default=None, repr=False)
    _until: float = float("-inf")
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def get(self, *, refused: str | None = None) -> str | None:
        """The token.

        One that was read stays in use while it cannot be read again: that its file is being replaced is no reason to
        stop.

        Args:
            refused: a token that the server did not take: unless there is another one by now, it is read again.

        Raises:
            OSError, ValueError, InputError: it was never read.
        """
        async with self._lock:  # many requests may be refused at once; one reads
            if time.monotonic() >= self._until or (refused is not None and refused == self._value):
                try:
                    self._value = await self.read()
                    self._until = time.monotonic() + _TOKEN_LIFE
                except (OSError, ValueError, InputError):
                    if self._value is None:
                        raise
                    self._until = time.monotonic() + _TOKEN_RETRY
            return self._value


@dataclass(frozen=True, slots=True)
class Access:
    """Where the API server is, and who we are.

    Attributes:
        server: URL without a path's slash at its end.
        ca_file: file with the certificates that the server's is checked against; None takes the system's.
        token: bearer token, None with a client certificate.
        client_certificate: (certificate file, key file), None without one.
        server_name: name that the server's certificate must have, None takes the URL's.
        namespace: where we are, or what the kubeconfig's context names.
    """

    server: str
    ca_file: str | None = None
    token: Token | None = None
    client_certificate: tuple[str, str] | None = field(default=None, repr=False)
    server_name: str | None = None
    namespace: str = "default"

    def ssl_context(self) -> ssl.SSLContext:
        """A context that verifies the server; there is no way to switch that off."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.client_certificate is not None:
            context.load_cert_chain(*self.client_certificate)
        return context


def in_cluster(folder: Path = SERVICE_ACCOUNT) -> Access | None:
    """Access by the ServiceAccount of the pod that we are in; None when this is no pod."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (folder / "token").is_file():
        return None

    async def read() -> str:
        token = (folder / "token").read_text(encoding="ascii").strip()
        if not token:
            raise ValueError("the token's file is empty")
        return token

    namespace = folder / "namespace"
    return Access(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        ca_file=str(folder / "ca.crt"),
        token=Token(read),
        namespace=namespace.read_text(encoding="ascii").strip() if namespace.is_file() else "default",
    )


async def from_kubeconfig(path: str | None = None, context: str | None = None) -> Access:
    """Access by a kubeconfig file, read by the kubernetes client (exec plugins and OIDC included).

    Args:
        path: the file; None takes KUBECONFIG or ~/.kube/config.
        context: name of the context, None takes the current one.

    Raises:
        InputError: there is no such file, or it cannot be used.
    """
    import yaml  # noqa: PLC0415 - like the rest, 20 MB that an agent in a pod does not need
    from kubernetes.aio import config  # noqa: PLC0415
    from kubernetes.aio.client.configuration import Configuration  # noqa: PLC0415

    if path is not None and not Path(path).is_file():  # noqa: ASYNC240 - once, at the start
        raise InputError(NO_CLUSTER_ACCESS.because("", f"There is no file {path}."))
    logging.getLogger("kubernetes").setLevel(logging.ERROR)  # it warns of what it raises in a moment

    async def load() -> tuple[Any, Any]:
        settings = Configuration()
        try:
            loader = await config.load_kube_config(  # type: ignore[no-untyped-call]
                path, context, client_configuration=settings
            )
        except yaml.YAMLError:  # its text quotes what stands there
            what = f"{path or 'The kubeconfig'} is no YAML."
            raise InputError(NO_CLUSTER_ACCESS.because("", what)) from None
        except (config.ConfigException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            what = f"{path or 'The kubeconfig'} cannot be used: {error}."
            raise InputError(NO_CLUSTER_ACCESS.because("", what)) from None
        return settings, loader

    async def read() -> str | None:
        settings, _ = await load()  # a tokenFile may have been rotated, a plugin may give a newer token
        bearer = settings.api_key.get("BearerToken")
        return None if bearer is None else bearer.removeprefix("Bearer ").strip()

    settings, loader = await load()
    if settings.verify_ssl is False:
        what = "The kubeconfig switches the check of the server's certificate off (insecure-skip-tls-verify)."
        raise InputError(NO_CLUSTER_ACCESS.because("", what, "Name the certificate: certificate-authority-data."))
    details = loader.current_context.get("context", {}) if loader is not None else {}
    return Access(
        server=str(settings.host).rstrip("/"),
        ca_file=settings.ssl_ca_cert,
        token=Token(read) if "BearerToken" in settings.api_key else None,
        client_certificate=(settings.cert_file, settings.key_file) if settings.cert_file else None,
        server_name=settings.tls_server_name or None,
        namespace=str(details.get("namespace") or "default"),
    )


async def find(kubeconfig: str | None = None, context: str | None = None) -> Access:
    """The access to use: a named kubeconfig first, then the pod's ServiceAccount, then the user's kubeconfig.

    Raises:
        InputError: there is none.
    """
    if kubeconfig is None and context is None and (access := in_cluster()) is not None:
        return access
    return await from_kubeconfig(kubeconfig, context)
