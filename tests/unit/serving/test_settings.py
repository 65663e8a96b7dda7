from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from predictor.engines.device import Device
from predictor.settings import PredictorSettings
from serving.settings import KSERVE_FLAGS_WITHOUT_EFFECT, ServerSettings, SettingsError
from transformer.settings import TransformerSettings


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if not name.startswith(("PYTEST", "PYTHON", "COV")) and name != "PATH":
            monkeypatch.delenv(name)


def parse(*arguments: str) -> ServerSettings:
    return ServerSettings.parse(arguments, "server")


def test_nothing_needs_to_be_set() -> None:
    settings = parse()

    assert settings.model_dir == Path("/mnt/models")
    assert (settings.model_name, settings.http_port, settings.grpc_port) == ("model", 8080, 8081)


@pytest.mark.parametrize(
    "arguments", [["--http_port=7"], ["--http-port=7"], ["--http_port", "7"], ["--http-port", "7"], ["--port", "7"]]
)
def test_a_flag_may_be_spelled_as_kserve_spells_it_or_with_dashes(arguments: list[str]) -> None:
    assert parse(*arguments).http_port == 7


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("HTTP_PORT", "7", "http_port", 7),
        ("PORT", "7", "http_port", 7),
        ("port", "7", "http_port", 7),
        ("MODEL_DIR", "/m", "model_dir", Path("/m")),
        ("MODEL_PATH", "/m", "model_dir", Path("/m")),
        ("MODEL_NAME", "cats", "model_name", "cats"),
        ("INFERENCE_SERVICE_NAME", "cats", "model_name", "cats"),
        ("ENABLE_GRPC", "false", "enable_grpc", False),
        ("INFER_TIMEOUT_SECONDS", "0.5", "infer_timeout_seconds", 0.5),
        ("LOG_LEVEL", "DEBUG", "log_level", "DEBUG"),
        ("KSERVE_TLS_CERT_FILE", __file__, "ssl_certfile", Path(__file__)),
    ],
)
def test_a_setting_is_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, field: str, expected: Any
) -> None:
    monkeypatch.setenv(variable, value)

    assert getattr(parse(), field) == expected


@pytest.mark.parametrize("variable", ["HTTP_PORT", "PORT"])
@pytest.mark.parametrize("flag", ["--http_port=7", "--port=7"])
def test_a_flag_wins_over_the_environment_by_whichever_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, flag: str
) -> None:
    monkeypatch.setenv(variable, "8")

    assert parse(flag).http_port == 7


def test_the_documented_name_wins_over_its_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "7")
    monkeypatch.setenv("HTTP_PORT", "8")

    assert parse().http_port == 8


def test_of_a_flag_given_twice_the_last_one_holds() -> None:
    assert parse("--model_name=a", "--model_name=b").model_name == "b"


def test_a_value_keeps_its_dashes() -> None:
    assert parse("--model-name=my-model").model_name == "my-model"
    assert parse("--model-name", "my-model").model_name == "my-model"


@pytest.mark.parametrize("flag", sorted(KSERVE_FLAGS_WITHOUT_EFFECT))
@pytest.mark.parametrize("form", ["--{}=4", "--{} 4", "--{}"])
def test_flags_of_kserve_that_set_nothing_here_are_taken(flag: str, form: str) -> None:
    arguments = form.format(flag).split()

    assert parse("--http_port=7", *arguments, "--model_name=m").model_name == "m"
    assert parse(*arguments) == parse()


@pytest.mark.parametrize(
    "arguments", [["--workers=4"], ["--workers", "4"], ["--enable-latency-logging", "--workers=1"]]
)
def test_the_workers_that_the_controller_injects_change_nothing(arguments: list[str]) -> None:
    assert parse(*arguments, "--http-port=7") == parse("--http-port=7")


@pytest.mark.parametrize("arguments", [["--no_such_flag=1"], ["--model_di=/m"], ["positional"], ["-x"]])
def test_an_unknown_flag_ends_with_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(*arguments)

    assert ended.value.code == 2
    assert f"unrecognized arguments: {arguments[0]}" in capsys.readouterr().err


def test_help_ends_with_exit_code_0_and_tells_the_unit_of_a_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("--help")

    assert ended.value.code == 0
    assert "Seconds that one request may take" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--http_port=http"], "input should be a valid integer"),
        (["--http_port=65536"], "input should be less than or equal to 65535"),
        (["--http_port=-1"], "input should be greater than or equal to 0"),
        (["--max_queue_rows=0"], "input should be greater than 0"),
        (["--drain_delay_seconds=-1"], "input should be greater than or equal to 0"),
        (["--log_level=loud"], "input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        (["--ssl_certfile=/no/such/file"], "path does not point to a file"),
        (["--http_port=7", "--grpc_port=7"], "http_port and grpc_port are both 7: each needs its own"),
        (["--enable_grpc=maybe"], "input should be a valid boolean"),
    ],
)
def test_a_wrong_value_is_told_with_its_setting(arguments: list[str], expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(*arguments)

    assert expected in str(caught.value)


def test_a_wrong_value_of_the_environment_is_told_with_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "tcp://10.0.0.1:80")

    with pytest.raises(SettingsError, match="http_port is "):
        parse()


def test_all_wrong_values_are_told_at_once() -> None:
    with pytest.raises(SettingsError, match=r"http_port is .*; grpc_port is "):
        parse("--http_port=a", "--grpc_port=b")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(parse(), "http_port", 7)  # noqa: B010  # the type checker sees it too


@pytest.mark.parametrize("device", list(Device))
def test_a_device_is_named_by_its_name(device: Device) -> None:
    assert PredictorSettings.parse([f"--device={device}"], "predictor").device is device


def test_an_unknown_device_is_told_with_those_that_are_known() -> None:
    with pytest.raises(SettingsError, match="input should be 'auto', 'cpu', 'cuda'"):
        PredictorSettings.parse(["--device=gpu"], "predictor")


@pytest.mark.parametrize("protocol", ["v2", "grpc-v2"])
def test_the_predictors_protocol_has_kserves_names(protocol: str) -> None:
    settings = TransformerSettings.parse([f"--predictor_protocol={protocol}", "--predictor_host=p.ns"], "transformer")

    assert (settings.predictor_protocol, settings.predictor_host) == (protocol, "p.ns")


@pytest.mark.parametrize("value", ["JPEG,PNG", " JPEG , PNG ,"])
def test_a_list_is_separated_by_commas(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert TransformerSettings.parse([f"--image_formats={value}"], "transformer").image_formats == ("JPEG", "PNG")
    monkeypatch.setenv("IMAGE_FORMATS", value)
    assert TransformerSettings.parse([], "transformer").image_formats == ("JPEG", "PNG")


def test_a_format_that_nobody_decodes_is_told_with_those_that_are_known() -> None:
    with pytest.raises(SettingsError, match=r"JPEG2000.*choose from JPEG, PNG"):
        TransformerSettings.parse(["--image_formats=JPEG,JPEG2000"], "transformer")


@pytest.mark.parametrize(
    "flag",
    [
        "--predictor_protocol=v1",
        "--predictor_request_retries=5",
        "--confidence_threshold=1.1",
        "--top_k=0",
        "--max_upload_mb=0",
    ],
)
def test_a_setting_of_the_transformer_out_of_its_range_is_told(flag: str) -> None:
    with pytest.raises(SettingsError, match=flag[2:].partition("=")[0]):
        TransformerSettings.parse([flag], "transformer")
