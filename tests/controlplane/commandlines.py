"""What the control plane's programs are told. In: keys, ports, folders. Out: flags."""

from __future__ import annotations

from pathlib import Path

from tests.controlplane import tokens
from tests.controlplane.certificates import Keys

#: What makes namespaces, ServiceAccounts, owned objects and workloads behave; none that needs nodes, and not the one
#: that removes Pods from nodes that do not exist, as those of the tests are.
CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "replicaset-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "statefulset-controller",
    "validatingadmissionpolicy-status-controller",
)


def etcd(folder: Path, keys: Keys, url: str, *, fsync: bool) -> list[str]:
    """Clients need a certificate; there are no peers."""
    certificate, key = keys.etcd.files
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--cert-file={certificate}",
        f"--key-file={key}",
        f"--trusted-ca-file={keys.authority}",
        "--client-cert-auth=true",
        "--listen-peer-urls=https://127.0.0.1:0",
        f"--peer-cert-file={certificate}",
        f"--peer-key-file={key}",
        f"--peer-trusted-ca-file={keys.authority}",
        "--peer-client-cert-auth=true",
        "--log-level=warn",
        f"--unsafe-no-fsync={str(not fsync).lower()}",
    ]


def api_server(folder: Path, keys: Keys, port: int, etcd_url: str) -> list[str]:
    """RBAC decides; certificates and bound tokens say who one is."""
    certificate, key = keys.server.files
    etcd_certificate, etcd_key = keys.etcd_client.files
    return [
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--client-ca-file={keys.authority}",
        f"--etcd-servers={etcd_url}",
        f"--etcd-cafile={keys.authority}",
        f"--etcd-certfile={etcd_certificate}",
        f"--etcd-keyfile={etcd_key}",
        "--authorization-mode=RBAC",
        f"--service-account-issuer={tokens.ISSUER}",
        f"--service-account-signing-key-file={keys.token_key_file}",
        f"--service-account-key-file={keys.token_public_file}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--endpoint-reconciler-type=none",
        "--allow-privileged=true",
        "--profiling=false",
        # Without it a graceful end waits a minute for watches, the listener closed all the while.
        "--shutdown-watch-termination-grace-period=500ms",
    ]


def controller_manager(folder: Path, keys: Keys, port: int, kubeconfig: Path) -> list[str]:
    """Each controller with its own ServiceAccount and rights, as on a cluster; faster than its default pace."""
    certificate, key = keys.server.files
    return [
        f"--kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--client-ca-file={keys.authority}",
        f"--root-ca-file={keys.authority}",
        f"--service-account-private-key-file={keys.token_key_file}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--profiling=false",
        f"--controllers={','.join(CONTROLLERS)}",
    ]
