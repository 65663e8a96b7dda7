"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.cluster.storage import SCHEMES
from rollout.mode import Mode

Kubeconfig = Annotated[Path | None, typer.Option(help="The kubeconfig; by default KUBECONFIG, or ~/.kube/config.")]
Context = Annotated[str | None, typer.Option(help="The kubeconfig's context; by default its current one.")]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="The namespace; by default the context's, or default.")
]
System = Annotated[str, typer.Option(help="The namespace that KServe itself is installed in.")]
Model = Annotated[
    str, typer.Argument(metavar="MODEL_DIR|URI", help="A model directory here, or where KServe finds it.")
]
Uri = Annotated[
    str | None,
    typer.Option(help=f"Where KServe finds the model directory: {', '.join(f'{each}://' for each in SCHEMES)}."),
]
Name = Annotated[str | None, typer.Option(help="The InferenceService's name; the model's by default.")]
ModeOption = Annotated[
    Mode | None, typer.Option(help="How KServe runs it; by default as the cluster's KServe is configured.")
]
Gpu = Annotated[bool, typer.Option("--gpu", help="On an NVIDIA GPU, with the runtime kserve-vision-gpu.")]
Runtime = Annotated[str | None, typer.Option(help="The ClusterServingRuntime or ServingRuntime that serves it.")]
MinReplicas = Annotated[int | None, typer.Option(min=0, help="The fewest replicas; 1 by default.")]
MaxReplicas = Annotated[int | None, typer.Option(min=1, help="The most replicas.")]
Cpu = Annotated[str | None, typer.Option(help="CPUs that the predictor asks for, as 2 or 500m.")]
Memory = Annotated[
    str | None,
    typer.Option(help="The predictor's memory, asked for and at most; by default by the size of MODEL_DIR."),
]
Env = Annotated[list[str] | None, typer.Option(help="NAME=VALUE, a setting of the predictor; may be repeated.")]
ServiceAccount = Annotated[str | None, typer.Option(help="The service account whose secrets open the store.")]
StorageContainer = Annotated[
    str | None, typer.Option(help="The ClusterStorageContainer that fetches the model; KServe 0.20 and later.")
]
ServiceName = Annotated[str, typer.Argument(help="The InferenceService.")]
