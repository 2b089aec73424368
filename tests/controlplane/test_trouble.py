"""What can befall a control plane on purpose: restarts, pauses, compactions, clients that are told 410."""

from __future__ import annotations

import secrets

import pytest

from tests.controlplane.api import Api, ApiError
from tests.controlplane.plane import ControlPlane

CONFIG_MAP = {"metadata": {"name": "a"}, "data": {"k": "v"}}


@pytest.fixture
def plane(module_control_plane: ControlPlane) -> ControlPlane:
    return module_control_plane


@pytest.fixture
def config_maps(plane: ControlPlane) -> str:
    """The path of ConfigMaps in a namespace without other objects."""
    return f"/api/v1/namespaces/{plane.create_namespace(f'trouble-{secrets.token_hex(3)}')}/configmaps"


@pytest.mark.slow
def test_restarts_keep_data_and_address(plane: ControlPlane, config_maps: str) -> None:
    plane.api.create(config_maps, CONFIG_MAP)
    before = plane.admin.server
    plane.api_server.restart()
    assert plane.api.get(f"{config_maps}/a")["data"] == {"k": "v"}
    plane.etcd.restart(graceful=False)
    plane.api_server.restart(graceful=False)
    plane.api.close()
    assert plane.api.get(f"{config_maps}/a")["data"] == {"k": "v"}
    assert plane.admin.server == before


def test_a_paused_api_server_answers_nothing_until_it_goes_on(plane: ControlPlane) -> None:
    plane.api_server.pause()
    with Api(plane.admin, seconds=0.5) as api, pytest.raises(TimeoutError):
        api.get("/version")
    assert not plane.api_server.is_ready()
    plane.api_server.resume()
    plane.api_server.wait_ready(20)
    assert plane.api.get("/version")


def test_a_watch_from_before_gets_410(plane: ControlPlane, config_maps: str) -> None:
    known = plane.api.get(config_maps)["metadata"]["resourceVersion"]
    with plane.api.watch(config_maps, known, 30) as running:
        plane.expire_watches()
        assert not list(running)
    with plane.api.watch(config_maps, known, 30) as events:
        event = next(events)
    assert event["type"] == "ERROR"
    assert event["object"]["code"] == 410


def test_a_page_from_before_a_compaction_gets_410(plane: ControlPlane, config_maps: str) -> None:
    for n in range(3):
        plane.api.create(config_maps, {"metadata": {"name": f"c{n}"}})
    page = plane.api.get(config_maps, limit=1)
    plane.api.create(config_maps, {"metadata": {"name": "later"}})
    plane.compact()
    plane.api_server.restart(graceful=False)  # its cache holds earlier lists
    token = page["metadata"]["continue"]
    with pytest.raises(ApiError) as refused:
        plane.api.get(config_maps, **{"limit": 1, "continue": token})
    assert refused.value.code == 410
