"""The library chart makes anybody's FreeSWITCH pod a switch pod, and leaves alone what the pod says itself."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from sipgateway.api.names import AGENT_CONTAINER, LABEL_SWITCH
from sipgateway.cli import agent as agent_command
from sipgateway.cli import operator as operator_command
from sipgateway.cli import promote as promote_command
from sipgateway.cli import simulator as simulator_command
from sipgateway.cli import sync as sync_command
from sipgateway.cli.options import layout_of
from sipgateway.cli.projects import is_url
from tests.charts import helm
from tests.charts.library import BARE, OPINIONATED, chart, pod_of
from tests.golden import Golden

pytestmark = pytest.mark.controlplane

TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount"


def container(pod: dict[str, Any], name: str) -> dict[str, Any]:
    both = [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
    found: dict[str, Any] = next(one for one in both if one["name"] == name)
    return found


def mounts(pod: dict[str, Any], name: str) -> dict[str, str]:
    return {one["mountPath"]: one["name"] for one in container(pod, name).get("volumeMounts", ())}


def test_a_bare_pod_becomes_a_switch_pod(tmp_path: Path, golden: Golden) -> None:
    golden("bare.out.yaml", helm.template(chart(tmp_path, BARE)).stdout.replace(helm.VERSION, "VERSION"))


def test_the_agent_is_a_native_sidecar_and_the_first_to_start(tmp_path: Path) -> None:
    pod = pod_of(chart(tmp_path, OPINIONATED, {"switchContainer": "freeswitch"}))
    assert [one["name"] for one in pod["spec"]["initContainers"]] == [AGENT_CONTAINER, "prepare"]
    assert container(pod, AGENT_CONTAINER)["restartPolicy"] == "Always"
    assert container(pod, AGENT_CONTAINER)["startupProbe"]["httpGet"]["path"] == "/startedz"


def test_what_the_pod_says_itself_stays(tmp_path: Path) -> None:
    pod = pod_of(chart(tmp_path, OPINIONATED, {"switchContainer": "freeswitch"}))
    spec = pod["spec"]
    assert spec["serviceAccountName"] == "switch"
    assert spec["automountServiceAccountToken"] is True
    assert spec["securityContext"] == OPINIONATED["securityContext"]
    switch = container(pod, "freeswitch")
    assert switch["lifecycle"] == OPINIONATED["containers"][1]["lifecycle"]
    assert mounts(pod, "freeswitch") == {"/var/log/freeswitch": "logs", "/var/lib/sipgateway": "sipgateway"}
    assert [volume["name"] for volume in spec["volumes"]] == ["logs", "sipgateway", "sipgateway-token"]
    assert container(pod, "proxy") == OPINIONATED["containers"][0]
    assert pod["metadata"]["labels"] == {"app": "switch", LABEL_SWITCH: "default"}


def test_a_pod_that_has_the_agent_is_left_as_it_is(tmp_path: Path) -> None:
    spec = {**BARE, "initContainers": [{"name": AGENT_CONTAINER, "image": "registry.example.net/sipgateway:2"}]}
    assert pod_of(chart(tmp_path, spec))["spec"] == spec


@pytest.mark.parametrize("spec", [BARE, OPINIONATED], ids=["bare", "opinionated"])
def test_only_the_agents_container_sees_its_token_and_only_the_switch_its_log_folder(
    tmp_path: Path, spec: dict[str, Any]
) -> None:
    pod = pod_of(chart(tmp_path, spec, {"switchContainer": "freeswitch"}))
    for one in [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]:
        seen = mounts(pod, one["name"])
        assert (TOKENS in seen) == (one["name"] == AGENT_CONTAINER)
        assert ("/var/log/freeswitch" in seen) == (one["name"] == "freeswitch")


def test_the_switch_reads_the_gateway_files_by_the_pods_group_and_cannot_write_them(tmp_path: Path) -> None:
    pod = pod_of(chart(tmp_path, BARE))
    assert pod["spec"]["securityContext"]["fsGroup"] == 65532
    files = next(one for one in container(pod, "freeswitch")["volumeMounts"] if one["name"] == "sipgateway")
    assert files["readOnly"] is True
    assert next(v for v in pod["spec"]["volumes"] if v["name"] == "sipgateway")["emptyDir"]["medium"] == "Memory"


@pytest.mark.parametrize(
    ("pod", "values", "told"),
    [
        (BARE, {"switchContainer": "switch"}, "sipgateway-switch.switchContainer: the pod has no container switch"),
        ("spec: [", {}, "their.podTemplate is no YAML"),
    ],
    ids=["no such container", "no YAML"],
)
def test_a_mistake_in_the_users_chart_is_told_in_words(
    tmp_path: Path, pod: Any, values: dict[str, Any], told: str
) -> None:
    assert told in helm.template(chart(tmp_path, pod, values), check=False).stderr


def test_an_alias_is_refused_because_the_values_would_not_be_found(tmp_path: Path) -> None:
    made = chart(tmp_path, BARE, alias="agent")
    (made / "values.yaml").write_text("{}\n")
    assert "under this name (no alias)" in helm.template(made, check=False).stderr


# The commands understand what the charts tell them


def parsed(command: Any, arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    command.configure(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize("values", helm.OPERATOR_VALUES, ids=lambda path: path.stem)
def test_the_operator_understands_its_arguments(values: Path) -> None:
    for template in helm.pod_specs(helm.render(helm.OPERATOR, values)):
        first, *rest = template["spec"]["containers"][0]["args"]
        if first == "sync":
            args = parsed(sync_command, rest)
            assert args.repository
            assert 0 <= args.max_prune <= 1
        elif first == "promote":
            assert is_url(parsed(promote_command, rest).repository)
        else:
            assert first == "operator"
            assert parsed(operator_command, rest).lease_name


@pytest.mark.parametrize("values", [None, *helm.EXAMPLE_VALUES], ids=lambda path: path.stem if path else "default")
def test_the_agent_understands_its_arguments_and_the_switch_includes_what_it_writes(values: Path | None) -> None:
    manifests = helm.render(helm.EXAMPLE, values)
    pod = helm.only(manifests, "StatefulSet")["spec"]["template"]
    first, *rest = container(pod, AGENT_CONTAINER)["args"]
    assert first == "agent"
    args = parsed(agent_command, rest)
    folder = layout_of(args).profile.format(profile="external")
    config = helm.only(manifests, "ConfigMap")["data"]["freeswitch.xml"]
    assert f'<X-PRE-PROCESS cmd="include" data="{args.conf}/{folder}/*.xml"/>' in config
    host, _, port = args.esl.rpartition(":")
    assert f'<param name="listen-ip" value="{host.strip("[]")}"/>' in config
    assert f'<param name="listen-port" value="{port}"/>' in config
    ports = {one["name"]: one["containerPort"] for one in container(pod, AGENT_CONTAINER)["ports"]}
    assert ports["sipgw-agent"] == args.listen[1]
    if rights := container(pod, "freeswitch").get("lifecycle"):
        assert rights["preStop"]["httpGet"]["port"] == args.listen[1]


def test_the_simulator_understands_its_arguments() -> None:
    pod = helm.only(helm.render(helm.EXAMPLE, helm.VALUES / "example" / "simulator.yaml"), "StatefulSet")["spec"][
        "template"
    ]
    first, *rest = container(pod, "freeswitch")["args"]
    assert first == "simulator"
    args = parsed(simulator_command, rest)
    assert [str(args.conf), str(args.log)] == ["/etc/freeswitch", "/var/log/freeswitch"]
    assert args.registrar == ["192.0.2.1:5060=403", "*=accept"]
