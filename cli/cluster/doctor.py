"""What of our features works on a cluster, and what silently would not: judged from what is installed."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.text import Text

from cli.cluster.facts import INSTALL_RUNTIMES, Facts
from cli.cluster.kinds import Manifest, condition
from cli.findings import printable
from rollout.mode import Mode

USE_GATEWAY_API: Final = "set enableGatewayApi: true in KServe's configuration"
ENFORCE: Final = "pod-security.kubernetes.io/enforce"


class Verdict(enum.StrEnum):
    """What becomes of a feature here."""

    OK = "ok"
    FAILS = "will not work"
    UNKNOWN = "cannot tell"


STYLES: Final = {Verdict.OK: "green", Verdict.FAILS: "bold red", Verdict.UNKNOWN: "yellow"}
WIDTH: Final = max(map(len, Verdict))


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's."""

    subject: str
    verdict: Verdict
    text: str
    advice: str = ""
    is_needed: bool = False
    """Whether no model can be served without it."""

    def to_json(self) -> dict[str, str]:
        """Return JSON's values."""
        return {"subject": self.subject, "verdict": self.verdict.value, "text": self.text, "advice": self.advice}


def findings(here: Facts) -> list[Finding]:
    """Judge a cluster, what is needed first."""
    if not here.has("serving.kserve.io"):
        text = "this cluster has no InferenceServices"
        advice = "install KServe, 0.15 or later, with its full CRDs"
        return [Finding("KServe", Verdict.FAILS, text, advice, is_needed=True)]
    return [finding for check in CHECKS for finding in check(here)]


def print_findings(found: Sequence[Finding], out: Console) -> None:
    """Print a line for each."""
    for each in found:
        verdict = (f"{each.verdict.value:<{WIDTH}}", STYLES[each.verdict])
        text = f": {printable(each.text)}{printable(f'; {each.advice}') if each.advice else ''}"
        out.print(Text.assemble(verdict, "  ", (each.subject, "bold"), text), soft_wrap=True)


def _kserve(here: Facts) -> Iterator[Finding]:
    if here.kserve.version:
        yield Finding("KServe", Verdict.OK, f"{here.kserve.version}, on Kubernetes {here.server_version}")
        return
    since = _least_version(here)
    why = here.why_unknown("version")
    if since is None:
        yield Finding("KServe", Verdict.UNKNOWN, f"its version cannot be told: {why}")
    else:
        text = f"{since}, by its CRDs; on Kubernetes {here.server_version} (the controller's own version: {why})"
        yield Finding("KServe", Verdict.OK, text)


def _mode(here: Facts) -> Iterator[Finding]:
    if here.kserve.config is None:
        yield Finding(
            "mode", Verdict.UNKNOWN, here.why_unknown("config"), "say --mode standard or --mode knative to deploy"
        )
    elif here.mode is None:
        yield Finding("mode", Verdict.FAILS, "KServe's default is neither Standard nor Knative", "say --mode to deploy")
    elif here.mode is Mode.KNATIVE and not here.has("serving.knative.dev"):
        advice = "install Knative Serving, or deploy with --mode standard"
        yield Finding("mode", Verdict.FAILS, "Knative, which is not installed", advice, is_needed=True)
    else:
        yield Finding("mode", Verdict.OK, f"{here.mode.spelled} by default")


def _runtimes(here: Facts) -> Iterator[Finding]:
    if here.runtimes is None:
        yield Finding("runtimes", Verdict.UNKNOWN, here.why_unknown("runtimes"))
        return
    names = sorted(each["metadata"]["name"] for each in here.runtimes)
    folder = (here.mode or Mode.STANDARD).value
    if "kserve-vision" not in names:
        there = f" (there: {', '.join(names)})" if names else ""
        text = f"there is no runtime kserve-vision{there}"
        yield Finding("runtimes", Verdict.FAILS, text, f"install it: {INSTALL_RUNTIMES.format(folder)}", is_needed=True)
        return
    yield Finding("runtimes", Verdict.OK, ", ".join(names))
    crowded = [each["metadata"]["name"] for each in here.runtimes if _ports(each) > 1]
    if here.mode is Mode.KNATIVE and crowded:
        text = f"{', '.join(sorted(crowded))}: several ports, where Knative allows one in a pod"
        advice = f"install those for Knative: {INSTALL_RUNTIMES.format('knative')}"
        yield Finding("runtime's ports", Verdict.FAILS, text, advice, is_needed=True)


def _permission(here: Facts) -> Iterator[Finding]:
    if here.refusal:
        yield Finding(f"apply in {here.namespace}", Verdict.FAILS, here.refusal, is_needed=True)
    elif here.refusal is not None:
        yield Finding(f"apply in {here.namespace}", Verdict.OK, "a dry run of an InferenceService was taken")


def _pod_security(here: Facts) -> Iterator[Finding]:
    subject = "Pod Security"
    if here.namespace_labels is None:
        yield Finding(subject, Verdict.UNKNOWN, here.why_unknown("namespace_labels"))
        return
    level = here.namespace_labels.get(ENFORCE)
    if level != "restricted":
        said = f"{here.namespace} enforces {level}" if level else f"{here.namespace} enforces no level by a label"
        yield Finding(subject, Verdict.OK, f"{said}; our pods pass all of them")
        return
    yield Finding(subject, Verdict.OK, f"{here.namespace} enforces restricted, which our containers pass")
    text = "KServe's own storage initializer does not pass the restricted level: no pod would be made"
    if _has(here, "spec.predictor.storageContainerName"):
        advice = "--storage-container with one that has a security context, or models on volume claims (pvc://)"
    else:
        advice = (
            "keep models on volume claims (pvc://), or set the security context in KServe's ClusterStorageContainer"
        )
    yield Finding("fetching models", Verdict.FAILS, text, advice)


def _gateway(here: Facts) -> Iterator[Finding]:
    if here.mode is not Mode.STANDARD:
        return
    if not here.kserve.has_gateway_api:
        text = "KServe makes Ingresses: models are reached over REST, and nobody splits traffic between versions"
        yield Finding("gateway", Verdict.FAILS, text, USE_GATEWAY_API)
        return
    wanted = str((here.kserve.part("ingress") or {}).get("kserveIngressGateway", ""))
    if here.gateways is None:
        yield Finding("gateway", Verdict.UNKNOWN, f"{wanted}: {here.why_unknown('gateways')}")
        return
    found = {f"{each['metadata']['namespace']}/{each['metadata']['name']}": each for each in here.gateways}
    if wanted not in found:
        there = ", ".join(sorted(found)) or "none"
        text = f"there is no gateway {wanted}, which KServe's routes name (there: {there})"
        yield Finding(
            "gateway", Verdict.FAILS, text, "make it, or change kserveIngressGateway in KServe's configuration"
        )
        return
    programmed = condition(found[wanted], "Programmed")
    if programmed.get("status") == "True":
        yield Finding("gateway", Verdict.OK, wanted)
    else:
        said = programmed.get("message") or "no controller has taken it"
        yield Finding("gateway", Verdict.FAILS, f"{wanted} does not run: {said}")


def _gpus(here: Facts) -> Iterator[Finding]:
    if here.gpus is None:
        yield Finding("GPU", Verdict.UNKNOWN, here.why_unknown("gpus"))
    elif here.gpus:
        yield Finding("GPU", Verdict.OK, f"{here.gpus} on the nodes")
    else:
        text = "no node offers nvidia.com/gpu: a model deployed with --gpu would wait for ever"
        yield Finding("GPU", Verdict.FAILS, text, "add nodes with GPUs and NVIDIA's device plugin")


def _operators(here: Facts) -> Iterator[Finding]:
    for subject, group, without in (
        ("Prometheus operator", "monitoring.coreos.com", "no ServiceMonitor, and no rules for alerts"),
        ("KEDA", "keda.sh", "no scaling on our metrics, and none to zero in Standard mode"),
    ):
        if here.has(group):
            yield Finding(subject, Verdict.OK, "its CRDs are there")
        else:
            yield Finding(subject, Verdict.FAILS, f"not installed: {without}")


def _canaries(here: Facts) -> Iterator[Finding]:
    subject = "canaryTrafficPercent"
    if here.mode is Mode.KNATIVE:
        yield Finding(subject, Verdict.OK, "Knative splits the traffic")
    elif here.mode is Mode.STANDARD:
        text = "Standard mode ignores it without a word: all pods are replaced"
        yield Finding(subject, Verdict.FAILS, text, "use spec.canary, where it works")
    yield _standard_canary(here)


def _standard_canary(here: Facts) -> Finding:
    subject = "spec.canary"
    if here.fields is None:
        return Finding(subject, Verdict.UNKNOWN, here.why_unknown("fields"))
    if not _has(here, "spec.canary"):
        return Finding(subject, Verdict.FAILS, "this KServe does not know the field: it came with 0.20")
    if here.mode is Mode.KNATIVE:
        return Finding(subject, Verdict.FAILS, "it is for Standard mode", "use canaryTrafficPercent")
    if here.kserve.has_gateway_api is False:
        return Finding(subject, Verdict.FAILS, "canaries are made, and get no traffic without the Gateway API")
    return _split(subject, here)


def _split(subject: str, here: Facts) -> Finding:
    if here.kserve.version is None:
        text = "0.20.0 makes canaries that get no traffic, later releases split it; which is here cannot be told"
        return Finding(subject, Verdict.UNKNOWN, text, "`kserve-vision status NAME` shows the split that there is")
    if here.kserve.is_without_split:
        text = f"KServe {here.kserve.version} makes the canary's pods, calls it ready, and gives it no traffic"
        return Finding(subject, Verdict.FAILS, text, "take a later release")
    return Finding(subject, Verdict.OK, "the gateway splits the traffic by the route's weights")


def _storage_container(here: Facts) -> Iterator[Finding]:
    if here.fields is None:
        yield Finding("storageContainerName", Verdict.UNKNOWN, here.why_unknown("fields"))
    elif _has(here, "spec.predictor.storageContainerName"):
        yield Finding("storageContainerName", Verdict.OK, "--storage-container is taken")
    else:
        text = "this KServe does not know the field: it came with 0.20, and --storage-container is refused"
        yield Finding("storageContainerName", Verdict.FAILS, text)


def _scaling(here: Facts) -> Iterator[Finding]:
    if here.mode is Mode.KNATIVE:
        yield Finding("scale to zero", Verdict.OK, "--min-replicas 0")
    elif here.mode is Mode.STANDARD and not here.has("keda.sh"):
        text = "without KEDA, KServe's autoscaler in Standard mode takes --min-replicas 0 for 1"
        yield Finding("scale to zero", Verdict.FAILS, text, "install KEDA, or use Knative mode")
    elif here.mode is Mode.STANDARD:
        yield Finding("scale to zero", Verdict.OK, "with KEDA, as its autoscaler class")


def _grpc(here: Facts) -> Iterator[Finding]:
    if here.mode is Mode.KNATIVE:
        yield Finding("gRPC from outside", Verdict.FAILS, "Knative has one port in a pod, and ours is REST")
    elif here.mode is Mode.STANDARD and here.kserve.has_gateway_api:
        yield Finding("gRPC from outside", Verdict.OK, "by the gateway, in KServe 0.19 and later")
    elif here.mode is Mode.STANDARD:
        text = "REST only: an Ingress leads to the port of REST; in the cluster the Service has gRPC on port 8081"
        yield Finding("gRPC from outside", Verdict.FAILS, text, USE_GATEWAY_API)


CHECKS: Final[tuple[Callable[[Facts], Iterator[Finding]], ...]] = (
    _kserve,
    _mode,
    _runtimes,
    _permission,
    _pod_security,
    _gateway,
    _gpus,
    _operators,
    _canaries,
    _storage_container,
    _scaling,
    _grpc,
)


def _has(here: Facts, field: str) -> bool:
    return field in (here.fields or ())


def _ports(runtime: Manifest) -> int:
    return sum(len(each.get("ports") or ()) for each in runtime["spec"].get("containers") or ())


def _least_version(here: Facts) -> str | None:
    if here.fields is None:
        return None
    if _has(here, "spec.predictor.storageContainerName"):
        return "0.20 or later"
    return "0.16 to 0.19" if _has(here, "spec.predictor.storageUris") else "0.15 or earlier"
