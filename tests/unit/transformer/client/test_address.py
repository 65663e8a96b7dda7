from __future__ import annotations

import pytest

from serving.settings import SettingsError
from transformer.address import Address
from transformer.settings import TransformerSettings


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("predictor", Address("predictor", 80)),
        ("predictor.ns.svc.cluster.local:8080", Address("predictor.ns.svc.cluster.local", 8080)),
        ("model_a-predictor.ns", Address("model_a-predictor.ns", 80)),
        ("127.0.0.1:9", Address("127.0.0.1", 9)),
        ("[::1]:9", Address("::1", 9)),
        ("[fe80::1%eth0]", Address("fe80::1%eth0", 80)),
        ("unix:///run/p.sock", Address(unix_path="/run/p.sock")),
        ("unix:/run/p.sock", Address(unix_path="/run/p.sock")),
        ("unix:p.sock", Address(unix_path="p.sock")),
    ],
)
def test_an_address_is_read(text: str, address: Address) -> None:
    assert Address.parse(text) == address


@pytest.mark.parametrize(
    "text",
    [
        ":80",
        "a:0",
        "a:65536",
        "a:b",
        "a:80:80",
        "::1",
        "[::1",
        "a b",
        "a\r\nx: y",
        "a/path",
        "user@a",
        "http://a",
        "a..b",
        "a" * 64,
        "dns:///a:80",
        "ipv4:10.0.0.1:80",
        "unix:",
        "unix://",
        "unix://run/p.sock",
        "unix:///run/\0.sock",
        "unix:///" + "a" * 107,
    ],
)
def test_what_is_no_address_of_rest_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(SettingsError, match=r"is no|names no|107 bytes"):
        TransformerSettings.parse([f"--predictor_host={text}", "--predictor_protocol=v2"], "transformer")


@pytest.mark.parametrize(
    ("text", "default_port", "authority"),
    [
        ("p", 80, "p"),
        ("p:80", 80, "p"),
        ("p:80", 443, "p:80"),
        ("p", 443, "p"),
        ("[::1]:9", 80, "[::1]:9"),
        ("unix:/p.sock", 80, "localhost"),
    ],
)
def test_a_server_is_called_by_its_name_and_a_port_that_is_not_the_usual_one(
    text: str, default_port: int, authority: str
) -> None:
    assert Address.parse(text, default_port).authority(default_port) == authority


@pytest.mark.parametrize(
    ("host", "protocol"),
    [
        ("p", "v2"),
        ("[::1]", "v2"),
        ("p:8081", "grpc-v2"),
        ("[::1]:8081", "grpc-v2"),
        ("dns:///p:8081", "grpc-v2"),
        ("ipv4:10.0.0.1:9", "grpc-v2"),
        ("unix:///run/p.sock", "v2"),
    ],
)
def test_where_no_protocol_is_named_the_host_suggests_it(host: str, protocol: str) -> None:
    settings = TransformerSettings.parse([f"--predictor_host={host}"], "transformer")

    assert settings.protocol_to_predictor == protocol


def test_a_unix_socket_is_not_encrypted() -> None:
    with pytest.raises(SettingsError, match="predictor_use_ssl is set, and unix:///p is a Unix socket"):
        TransformerSettings.parse(["--predictor_host=unix:///p", "--predictor_use_ssl=true"], "transformer")
