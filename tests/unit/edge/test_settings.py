from __future__ import annotations

import pytest

from edge.settings import EdgeSettings
from serving.settings import SettingsError


def parsed(*arguments: str) -> EdgeSettings:
    return EdgeSettings.parse(arguments, "edge")


def test_the_flags_of_both_servers_and_of_kserve_are_taken() -> None:
    settings = parsed(
        "--model_name=m", "--device=cpu", "--instances=3", "--decode-threads=2", "--top_k", "4", "--workers", "8"
    )

    assert (settings.model_name, settings.device, settings.instances) == ("m", "cpu", 3)
    assert (settings.decode_threads, settings.top_k) == (2, 4)


def test_the_variables_of_both_servers_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_TIMEOUT_MS", "2")
    monkeypatch.setenv("IMAGE_FORMATS", "JPEG,PNG")

    settings = parsed()

    assert (settings.batch_timeout_ms, settings.image_formats) == (2, ("JPEG", "PNG"))


def test_it_drains_as_a_transformer_which_waits_for_no_other_server() -> None:
    assert parsed().drain_delay_seconds == 5


def test_another_predictor_is_refused_as_a_flag() -> None:
    with pytest.raises(SettingsError, match=r"predictor_host is 'there:80', and this process is its own predictor"):
        parsed("--predictor_host=there:80")


def test_another_predictor_is_refused_as_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREDICTOR_HOST", "there:80")
    with pytest.raises(SettingsError, match="leave it out"):
        parsed()


def test_a_flag_of_the_way_to_a_predictor_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--predictor_protocol=v2")
    assert "unrecognized arguments: --predictor_protocol=v2" in capsys.readouterr().err


def test_the_certificates_of_other_programs_are_none_of_its_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    assert parsed().predictor_host is None
