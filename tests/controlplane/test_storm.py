"""The door to the API server that misbehaves: calm it changes nothing, and each trouble is what a client meets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.controlplane.api import Api, ApiError
from tests.controlplane.plane import ControlPlane
from tests.controlplane.storm import Storm, Trouble

CONFIG_MAP = {"metadata": {"name": "a"}, "data": {"k": "v"}}


@pytest.fixture
def storm(control_plane: ControlPlane) -> Iterator[Storm]:
    with control_plane.storm() as storm:
        yield storm


@pytest.fixture
def editor(control_plane: ControlPlane, namespace: str, storm: Storm) -> Iterator[Api]:
    """A ServiceAccount that may write ConfigMaps, through the door."""
    control_plane.kubectl(
        "create", "rolebinding", "edit", "--clusterrole=edit", f"--serviceaccount={namespace}:default", "-n", namespace
    )
    with control_plane.api_as(storm.kubeconfig(control_plane.kubeconfig_for(namespace, "default"))) as api:
        yield api


@pytest.fixture
def path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def refusal(call: Callable[[], object]) -> int:
    with pytest.raises(ApiError) as refused:
        call()
    return refused.value.code


def test_in_calm_weather_everything_goes_through(
    control_plane: ControlPlane, storm: Storm, editor: Api, path: str, namespace: str
) -> None:
    editor.create(path, CONFIG_MAP)
    assert editor.get(f"{path}/a")["data"] == {"k": "v"}
    assert refusal(lambda: editor.get("/api/v1/nodes")) == 403
    kubeconfig = storm.kubeconfig(control_plane.kubeconfig_for(namespace, "default"))
    shown = control_plane.kubectl("get", "configmaps", "-n", namespace, "-o", "json", kubeconfig=kubeconfig).stdout
    assert "a" in [item["metadata"]["name"] for item in json.loads(shown)["items"]]
    assert [seen.code for seen in storm.seen[:3]] == [201, 200, 403]


def test_a_watch_comes_through_as_it_happens(control_plane: ControlPlane, storm: Storm, editor: Api, path: str) -> None:
    with editor.watch(path, fieldSelector="metadata.name=a") as events:
        control_plane.api.create(path, CONFIG_MAP)
        assert next(events)["object"]["data"] == {"k": "v"}
        control_plane.api.patch(f"{path}/a", {"data": {"k": "w"}})
        assert next(events)["object"]["data"] == {"k": "w"}
        storm.end_watches()
        with pytest.raises((OSError, StopIteration)):
            next(events)


def test_a_refusal_is_told_as_often_as_ordered(storm: Storm, editor: Api, path: str) -> None:
    storm.raise_(Trouble(429, method="POST", times=2, retry_after=1), Trouble(503, path="nothing-like-that"))
    assert [refusal(lambda: editor.create(path, CONFIG_MAP)) for _ in range(2)] == [429, 429]
    assert editor.find(f"{path}/a") is None
    editor.create(path, CONFIG_MAP)
    assert [seen.code for seen in storm.seen] == [429, 429, 404, 201]


def test_a_share_of_the_requests_fails_until_it_is_calm(storm: Storm, editor: Api, path: str) -> None:
    storm.raise_(Trouble(500, share=0.5))
    codes = []
    for _ in range(40):
        try:
            editor.get(path)
        except ApiError as error:
            codes.append(error.code)
    assert 8 < len(codes) < 32
    assert set(codes) == {500}
    storm.calm()
    assert editor.get(path)


def test_an_answer_gets_lost_after_the_write_was_done(storm: Storm, editor: Api, path: str) -> None:
    storm.raise_(Trouble(None, method="POST", after=True, times=1))
    with pytest.raises(OSError, match="without response"):
        editor.create(path, CONFIG_MAP)
    assert editor.get(f"{path}/a")["data"] == {"k": "v"}


def test_a_watch_is_told_that_it_comes_too_late(storm: Storm, editor: Api, path: str) -> None:
    storm.raise_(Trouble(410, path="watch=true", in_stream=True, times=1), Trouble(410, path="watch=true", times=1))
    with editor.watch(path) as events:
        assert [(e["type"], e["object"]["code"], e["object"]["reason"]) for e in events] == [("ERROR", 410, "Expired")]
    with pytest.raises(ApiError) as refused, editor.watch(path):
        pass
    assert refused.value.code == 410
