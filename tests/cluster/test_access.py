"""How the API server is found: a pod's files, a kubeconfig, and what is wrong with either."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from sipgateway.cluster import access
from sipgateway.errors import ExitCode, InputError
from tests.controlplane.certificates import Authority


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a pod's ServiceAccount, and the environment of a pod."""
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "namespace").write_text("voice")
    Authority(tmp_path).certificate.rename(tmp_path / "ca.crt")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    return tmp_path


def kubeconfig(folder: Path, user: dict[str, Any], **cluster: Any) -> str:
    authority = Authority(folder).certificate
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "c",
                "cluster": {"server": "https://api.example.com/", "certificate-authority": str(authority)} | cluster,
            }
        ],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "voice"}}],
        "current-context": "one",
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(config))
    return str(path)


def load(path: str, context: str | None = None) -> access.Access:
    return asyncio.run(access.from_kubeconfig(path, context))


def token_of(found: access.Access) -> str | None:
    assert found.token is not None
    return asyncio.run(found.token.get())


def test_a_pod_is_where_its_files_and_environment_say(pod: Path) -> None:
    found = access.in_cluster(pod)
    assert found is not None
    assert (found.server, found.namespace) == ("https://192.0.2.1:6443", "voice")
    assert found.ssl_context().check_hostname
    assert token_of(found) == "first"


def test_an_ipv6_address_stands_in_brackets(pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "2001:db8::1")
    found = access.in_cluster(pod)
    assert found is not None
    assert found.server == "https://[2001:db8::1]:6443"


def test_a_token_that_the_kubelet_replaced_is_read_when_the_old_one_is_refused(pod: Path) -> None:
    found = access.in_cluster(pod)
    assert found is not None
    token = found.token
    assert token is not None

    async def test() -> list[str | None]:
        before = await token.get()
        (pod / "token").write_text("second")
        return [before, await token.get(), await token.get(refused="first"), await token.get(refused="first")]

    assert asyncio.run(test()) == ["first", "first", "second", "second"]


def test_a_token_file_that_is_empty_for_a_moment_is_no_token(pod: Path) -> None:
    found = access.in_cluster(pod)
    assert found is not None
    token = found.token
    assert token is not None

    async def test() -> str | None:
        await token.get()
        (pod / "token").write_text("")
        return await token.get(refused="first")

    assert asyncio.run(test()) == "first"


def test_outside_of_a_pod_there_is_no_pods_access(pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert access.in_cluster(pod / "nowhere") is None
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    assert access.in_cluster(pod) is None


def test_a_kubeconfig_gives_server_authority_namespace_and_token(tmp_path: Path) -> None:
    found = load(kubeconfig(tmp_path, {"token": "s3cret"}, **{"tls-server-name": "kubernetes"}))
    assert (found.server, found.namespace, found.server_name) == ("https://api.example.com", "voice", "kubernetes")
    assert token_of(found) == "s3cret"
    assert "s3cret" not in repr(found)


def test_a_token_file_of_a_kubeconfig_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first")
    found = load(kubeconfig(tmp_path, {"tokenFile": str(tmp_path / "token")}))
    token = found.token
    assert token is not None

    async def test() -> str | None:
        await token.get()
        (tmp_path / "token").write_text("second")
        return await token.get(refused="first")

    assert asyncio.run(test()) == "second"


def test_a_kubeconfig_with_a_client_certificate_needs_no_token(tmp_path: Path) -> None:
    pair = Authority(tmp_path).sign("user", "ada")
    found = load(kubeconfig(tmp_path, {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}))
    assert found.token is None
    assert found.client_certificate == (str(pair.certificate), str(pair.key))
    found.ssl_context()


def refusal(path: str, context: str | None = None) -> InputError:
    with pytest.raises(InputError) as caught:
        load(path, context)
    assert caught.value.finding.code == "NoClusterAccess"
    assert caught.value.exit_code is ExitCode.INPUT
    return caught.value


def test_a_kubeconfig_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    assert "nowhere" in str(refusal(str(tmp_path / "nowhere")))


@pytest.mark.parametrize("text", ["", "[1, 2]", "clusters: {", "just words", "apiVersion: v1\nkind: Config\n"])
def test_a_file_that_is_no_kubeconfig_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    refusal(str(path))


def test_a_context_that_is_not_in_it_is_refused(tmp_path: Path) -> None:
    assert "another" in str(refusal(kubeconfig(tmp_path, {"token": "x"}), "another"))


def test_switching_the_servers_certificate_off_is_refused(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, {"token": "x"}, **{"insecure-skip-tls-verify": True})
    assert "insecure-skip-tls-verify" in str(refusal(path))


def test_a_named_kubeconfig_goes_before_the_pod(pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "in_cluster", lambda: access.Access("https://pod.example.com"))
    path = kubeconfig(pod, {"token": "x"})
    assert asyncio.run(access.find(path)).server == "https://api.example.com"
    assert asyncio.run(access.find()).server == "https://pod.example.com"
