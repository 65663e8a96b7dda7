"""The servers' JSON log lines as one log for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from cli.processes import parse_event

STYLES: Final = {"predictor": "magenta", "transformer": "cyan", "edge": "cyan"}
LEVEL_STYLES: Final = {"warning": "yellow", "error": "bold red", "critical": "bold red"}
HIDDEN: Final = frozenset({"event", "server", "level", "time", "request_id", "protocol", "stages_ms", "exception"})


class ReadableLog:
    """Prints the lines of several servers, each under its name."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, server: str, line: str) -> None:
        """Print one line of a server."""
        event = parse_event(line)
        text = Text(no_wrap=True, overflow="ignore")
        text.append(f"{str(event.get('time', ''))[11:23]:<12} ", style="dim")
        text.append(f"{server:<12}", style=STYLES.get(server, ""))
        text.append_text(_describe(event) if event else Text(_shown(line)))
        self._console.print(text, soft_wrap=True)
        if "exception" in event:
            self._console.print(Text(event["exception"], style="dim"), soft_wrap=True)


def _describe(event: Mapping[str, Any]) -> Text:
    if event["event"] == "request":
        return _describe_request(event)
    text = Text(f"{event['event']}  ", style=LEVEL_STYLES.get(event.get("level", ""), "bold"))
    return text.append("  ".join(f"{key}={_short(value)}" for key, value in event.items() if key not in HIDDEN))


def _describe_request(event: Mapping[str, Any]) -> Text:
    code = event["code"]
    text = Text(f"{code:<18} ", style="green" if code == "OK" else "red")
    text.append(f"{event['protocol']:<8} {_shown(event['model'])}  ")
    text.append(f"{event['ms']:g} ms", style="bold")
    stages = ", ".join(f"{stage} {milliseconds:g}" for stage, milliseconds in event["stages_ms"].items())
    text.append(f"  ({stages})" if stages else "", style="dim")
    return text.append(f"  {event['request_id']}", style="dim")


def _short(value: object) -> str:
    return _shown(",".join(map(str, value)) if isinstance(value, list) else str(value))


def _shown(text: str) -> str:
    """Return a text of one line that a terminal shows and does not obey: names in it may be a stranger's."""
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)
