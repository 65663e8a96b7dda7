"""What the options ask for, checked as far as it can be without a cluster."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from cli.cluster.model import MIB, NoModel, memory_mib, read_model, size_of
from cli.cluster.naming import check_form, proposal
from cli.cluster.rendering import Wish
from cli.cluster.storage import WHERE, check_address, is_address
from rollout.mode import Mode

_SETTING: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUANTITY: Final = re.compile(r"\d+(\.\d+)?([mkMGTPE]|[KMGTPE]i)?")
_ENDING: Final = re.compile(r"(\.tar\.gz|\.tgz|\.tar|\.zip|:[\w.-]+|@.*)$")
"""Of an address' last part, what is none of the model's name."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `render` and `deploy`, as they were given."""

    model: str
    uri: str | None
    name: str | None
    gpu: bool
    runtime: str | None
    min_replicas: int | None
    max_replicas: int | None
    cpu: str | None
    memory: str | None
    env: Sequence[str]
    service_account: str | None
    storage_container: str | None
    namespace: str | None


def wish_of(asked: Asked, say: Callable[[str], None]) -> Wish:
    """Return what is asked for, in Standard mode until the mode is settled; `say` is told what was read.

    Raises:
        typer.BadParameter: an option's value is wrong.
        BadName: KServe does not take the name.
        BadAddress: KServe does not take the address.
        NoModel: there is no model, or nobody says where the cluster finds it.
        ContractInvalid: the model directory's contract is wrong.
    """
    for option, value in (("--cpu", asked.cpu), ("--memory", asked.memory)):
        if value is not None and not _QUANTITY.fullmatch(value):
            raise typer.BadParameter(f"{option} {value}: a quantity is expected, as 2, 500m or 4Gi")
    if None not in (asked.min_replicas, asked.max_replicas) and (asked.min_replicas or 0) > (asked.max_replicas or 0):
        raise typer.BadParameter(f"--min-replicas {asked.min_replicas} is more than --max-replicas")
    name = asked.name or proposal(_last_part(asked.model))
    check_form(name)
    env = _settings(asked.env)
    uri, estimate = _address(asked, say)
    estimated = None if estimate is None else f"{estimate}Mi"
    return Wish(
        name=name,
        uri=uri,
        mode=Mode.STANDARD,
        namespace=asked.namespace or "",
        runtime=asked.runtime or ("kserve-vision-gpu" if asked.gpu else "kserve-vision"),
        gpu=asked.gpu,
        min_replicas=asked.min_replicas,
        max_replicas=asked.max_replicas,
        cpu=asked.cpu,
        memory=asked.memory or estimated,
        memory_limit=asked.memory or (None if estimate is None else f"{2 * estimate}Mi"),
        env=env,
        service_account=asked.service_account,
        storage_container=asked.storage_container,
    )


def _address(asked: Asked, say: Callable[[str], None]) -> tuple[str, int | None]:
    """Where KServe finds the model, and MiB of memory by its size, where that is more than the runtime asks for."""
    if is_address(asked.model):
        if asked.uri is not None:
            raise typer.BadParameter(f"{asked.model} and --uri {asked.uri} are both addresses: give one of them")
        check_address(asked.model)
        say(f"{asked.model} is read by the cluster alone: neither its contract nor its size is checked here")
        return asked.model, None
    return _address_of_folder(asked, Path(asked.model), say)


def _address_of_folder(asked: Asked, folder: Path, say: Callable[[str], None]) -> tuple[str, int | None]:
    if not folder.is_dir():
        example = f"s3://bucket/{folder.name or 'model'}"
        raise NoModel(f"{asked.model} is neither a folder here nor an address such as {example}")
    directory, size = read_model(folder), size_of(folder)
    if asked.uri is None:
        where = WHERE.format(folder, proposal(_last_part(asked.model)))
        raise NoModel(f"{folder} is a whole model directory, but the cluster cannot read this machine's disk: {where}")
    check_address(asked.uri)
    say(f"{folder}: {directory.contract.task}, {size / MIB:.0f} MiB; {asked.uri} must hold the same files")
    return asked.uri, memory_mib(size)


def _last_part(model: str) -> str:
    if is_address(model):
        return _ENDING.sub("", model.rstrip("/").rpartition("/")[2].partition("?")[0])
    return Path(model).resolve().name


def _settings(env: Sequence[str]) -> dict[str, str]:
    settings = {}
    for each in env:
        name, equals, value = each.partition("=")
        if not equals or not _SETTING.fullmatch(name):
            raise typer.BadParameter(f"--env {each}: NAME=VALUE is expected")
        settings[name] = value
    return settings
