"""What the figures were measured on: figures of two machines, or two versions, are not to be compared."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from serving.cpu import cpu_limit
from serving.version import __version__

CPUINFO: Final = Path("/proc/cpuinfo")
RUNTIMES: Final = ("onnxruntime", "onnxruntime-gpu")
"""The packages that bring ONNX Runtime; a machine may have neither."""


class Machine(BaseModel):
    """A machine, and the versions of what decides its speed."""

    model_config = ConfigDict(frozen=True)

    cpu: str
    cpus: int
    """CPUs that a process may use: of the scheduler's mask or the cgroup's quota, whichever is less."""
    load_before: float
    """The machine's load average over the last minute before the run: far over 0, others were at work."""
    system: str
    python: str
    onnxruntime: str | None
    kserve: str
    pillow: str
    kserve_vision: str

    def __str__(self) -> str:
        runtime = f"ONNX Runtime {self.onnxruntime}, " if self.onnxruntime else ""
        return (
            f"{self.cpu}, {self.cpus} CPUs, load {self.load_before:.2f} before; {self.system}; Python {self.python}, "
            f"{runtime}KServe SDK {self.kserve}, Pillow {self.pillow}, kserve-vision {self.kserve_vision}"
        )


def describe_machine() -> Machine:
    """Describe this machine."""
    return Machine(
        cpu=_cpu_model(CPUINFO.read_text() if CPUINFO.exists() else ""),
        cpus=cpu_limit(),
        load_before=os.getloadavg()[0],
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        onnxruntime=next(filter(None, map(_version, RUNTIMES)), None),
        kserve=version("kserve"),
        pillow=version("pillow"),
        kserve_vision=__version__,
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_model(cpuinfo: str) -> str:
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"
