"""What an installation of KServe is known to do before anything is written."""

from __future__ import annotations

import json

import pytest
from typing_extensions import override

from rollout import Denied, NotPossible
from rollout.installed import Installed, read_installed
from rollout.kinds import CONFIG_MAP, DEPLOYMENT, Kind, Manifest
from tests.unit.rollout.cluster import Memory


def _controller(image: str) -> tuple[Kind, Manifest]:
    containers = [{"name": "rbac-proxy", "image": "proxy:1.0"}, {"name": "manager", "image": image}]
    spec = {"template": {"spec": {"containers": containers}}}
    return DEPLOYMENT, {"metadata": {"name": "kserve-controller-manager"}, "spec": spec}


def _config(text: str) -> tuple[Kind, Manifest]:
    return CONFIG_MAP, {"metadata": {"name": "inferenceservice-config"}, "data": {"ingress": text}}


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("kserve/kserve-controller:v0.20.0", "0.20.0"),
        ("registry:5000/kserve-controller:0.21.1@sha256:abc", "0.21.1"),
        ("registry:5000/kserve-controller@sha256:abc", None),
        ("registry:5000/kserve-controller", None),
        ("kserve/kserve-controller:latest", None),
    ],
)
def test_the_version_is_the_tag_of_the_controllers_image(image: str, version: str | None) -> None:
    assert read_installed(Memory(_controller(image))).version == version


@pytest.mark.parametrize("version", ["0.20.0", "0.20.0-rc1"])
def test_the_release_without_a_split_is_refused_by_its_version(version: str) -> None:
    with pytest.raises(NotPossible, match="splits no traffic"):
        Installed(version=version).check_split()


@pytest.mark.parametrize("version", [None, "0.20.1", "0.21.0", "0.200.0"])
def test_others_are_tried(version: str | None) -> None:
    Installed(version, {"ingress": {"enableGatewayApi": True, "disableIngressCreation": False}}).check_split()


@pytest.mark.parametrize(
    ("ingress", "why"),
    [
        ({}, "Gateway API is off"),
        ({"enableGatewayApi": False}, "Gateway API is off"),
        ({"enableGatewayApi": True, "disableIngressCreation": True}, "makes no routes"),
    ],
)
def test_a_configuration_without_routes_is_refused(ingress: dict[str, bool], why: str) -> None:
    with pytest.raises(NotPossible, match=why):
        read_installed(Memory(_config(json.dumps(ingress)))).check_split()


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_configuration_that_cannot_be_read_is_not_known(text: str) -> None:
    assert read_installed(Memory(_config(text))).has_gateway_api is None


def test_what_a_user_may_not_read_is_not_known() -> None:
    class Guarded(Memory):
        @override
        def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
            raise Denied("no")

    assert read_installed(Guarded()) == Installed()
    Installed().check_split()
