{{/* Refuse what KServe or Knative would refuse, ignore or serve in another way than asked, each with the reason. */}}
{{- define "vision.refuse" -}}
{{- include "vision.refuseName" . -}}
{{- include "vision.refuseStorage" . -}}
{{- include "vision.refuseCanary" . -}}
{{- include "vision.refuseScaling" . -}}
{{- include "vision.refuseEnv" . -}}
{{- include "vision.refuseResources" . -}}
{{- include "vision.refuseTransformer" . -}}
{{- include "vision.refusePod" . -}}
{{- include "vision.refuseDrain" . -}}
{{- include "vision.refuseStrategy" . -}}
{{- include "vision.refuseMonitoring" . -}}
{{- end }}

{{- define "vision.refuseStorage" -}}
{{- $storage := .Values.storage -}}
{{- if not (or $storage.uri (and $storage.key $storage.path)) }}
{{- fail "there is no model: set storage.uri, or storage.key and storage.path" }}
{{- end -}}
{{- if and $storage.uri $storage.path }}
{{- fail "storage.uri and storage.path both say where the model is: set one of them" }}
{{- end -}}
{{- if and $storage.parameters (not $storage.key) }}
{{- fail "storage.parameters change an entry of the Secret storage-config: set storage.key to its name" }}
{{- end -}}
{{- if and $storage.key $storage.uri (not (regexMatch "^(s3|hdfs|webhdfs)://" $storage.uri)) }}
{{- fail (printf "storage.key with storage.uri %s: KServe reads the entries of storage-config for s3://, hdfs:// and webhdfs:// alone. Use storage.serviceAccountName" $storage.uri) }}
{{- end -}}
{{- if and $storage.serviceAccountName $storage.secretName }}
{{- fail "storage.secretName makes a ServiceAccount, and storage.serviceAccountName names another: set one of them" }}
{{- end -}}
{{- if and $storage.key (eq .Values.topology "separate") }}
{{- fail "storage.key with topology separate: KServe gives a storage key to the predictor alone, and the transformer could not fetch its copy. Use storage.uri with storage.serviceAccountName or storage.secretName" }}
{{- end -}}
{{- end }}

{{- define "vision.refuseCanary" -}}
{{- $mode := include "vision.mode" . -}}
{{- $canary := .Values.canary -}}
{{- if not (kindIs "invalid" $canary.trafficPercent) }}
{{- if or (lt (int $canary.trafficPercent) 0) (gt (int $canary.trafficPercent) 100) }}
{{- fail (printf "canary.trafficPercent is %v: a share of the traffic is 0 to 100" $canary.trafficPercent) }}
{{- end -}}
{{- if eq $mode "Standard" }}
{{- fail "canary.trafficPercent with mode Standard: KServe ignores canaryTrafficPercent there, and would replace all pods at once. Use canary.candidates" }}
{{- end -}}
{{- if not $mode }}
{{- fail "canary.trafficPercent without a mode: where the cluster's default is Standard, KServe ignores it and replaces all pods at once. Set mode: Knative" }}
{{- end -}}
{{- end -}}
{{- if and $canary.tagRouting (ne $mode "Knative") }}
{{- fail "canary.tagRouting is of Knative's routes: set mode: Knative" }}
{{- end -}}
{{- if $canary.candidates }}
{{- if ne $mode "Standard" }}
{{- fail "canary.candidates is for Standard mode, KServe refuses spec.canary in others: set mode: Standard, or use canary.trafficPercent in Knative mode" }}
{{- end -}}
{{- if eq .Values.topology "separate" }}
{{- fail "canary.candidates with topology separate: a canary is of the predictor alone, and the transformer would ask the stable one for every picture. Use topology: collocated" }}
{{- end -}}
{{- if eq .Values.autoscaling.type "keda" }}
{{- fail "canary.candidates with autoscaling.type keda: KServe gives a canary an autoscaler without a trigger, which KEDA refuses. Use hpa or none while there is a canary" }}
{{- end -}}
{{- end -}}
{{- $together := 0 -}}
{{- range $canary.candidates }}
{{- $together = add $together .trafficPercent -}}
{{- include "vision.refuseCandidate" (dict "root" $ "candidate" .) -}}
{{- end -}}
{{- if gt (int $together) 100 }}
{{- fail (printf "the shares of canary.candidates are %d together: they and the stable model's are 100" $together) }}
{{- end -}}
{{- end }}

{{- define "vision.refuseCandidate" -}}
{{- $candidate := .candidate -}}
{{- if or (lt (int $candidate.trafficPercent) 0) (gt (int $candidate.trafficPercent) 100) }}
{{- fail (printf "canary.candidates %q has trafficPercent %v: a share of the traffic is 0 to 100" $candidate.name $candidate.trafficPercent) }}
{{- end -}}
{{- range list "maxReplicas" "scaleTarget" "scaleMetric" "scaleMetricType" "autoScaling" }}
{{- if hasKey $candidate . }}
{{- fail (printf "canary.candidates %q has %s: a candidate does not scale, it has as many replicas as its minReplicas or its share says" $candidate.name .) }}
{{- end -}}
{{- end -}}
{{- $least := $candidate.minReplicas | default 0 | int -}}
{{- if gt $least (int .root.Values.autoscaling.minReplicas) }}
{{- fail (printf "canary.candidates %q has minReplicas %d, and the stable model has %v: KServe takes no more for a candidate" $candidate.name $least .root.Values.autoscaling.minReplicas) }}
{{- end -}}
{{- end }}

{{- define "vision.refuseScaling" -}}
{{- $mode := include "vision.mode" . -}}
{{- $scaling := .Values.autoscaling -}}
{{- if and (has $scaling.type (list "hpa" "keda")) (ne $mode "Standard") }}
{{- fail (printf "autoscaling.type %s is for Standard mode, and mode is %q: set mode: Standard, or use concurrency or rps in Knative mode" $scaling.type $mode) }}
{{- end -}}
{{- if and (has $scaling.type (list "concurrency" "rps")) (ne $mode "Knative") }}
{{- fail (printf "autoscaling.type %s is Knative's, and mode is %q: set mode: Knative, or use hpa or keda in Standard mode" $scaling.type $mode) }}
{{- end -}}
{{- if and $scaling.containerConcurrency (ne $mode "Knative") }}
{{- fail "autoscaling.containerConcurrency is Knative's: set mode: Knative, or bound the servers' own queues with MAX_QUEUE_ROWS" }}
{{- end -}}
{{- if and (eq $scaling.type "keda") (not $scaling.keda.serverAddress) }}
{{- fail "autoscaling.type keda: set autoscaling.keda.serverAddress to Prometheus' address" }}
{{- end -}}
{{- if and (ne $scaling.type "none") (kindIs "invalid" $scaling.maxReplicas) }}
{{- fail (printf "autoscaling.type %s without autoscaling.maxReplicas: set it to the most replicas that may run" $scaling.type) }}
{{- end -}}
{{- if and $scaling.target (has $scaling.type (list "hpa" "concurrency" "rps")) (ne (float64 $scaling.target) (floor $scaling.target)) }}
{{- fail (printf "autoscaling.target is %v: with %s it is a whole number" $scaling.target $scaling.type) }}
{{- end -}}
{{- if and (eq $scaling.type "hpa") $scaling.target (eq $scaling.metric "cpu") (gt (int $scaling.target) 100) }}
{{- fail (printf "autoscaling.target is %v: with hpa it is 1 to 100 percent of the request for CPU" $scaling.target) }}
{{- end -}}
{{- if and (eq $scaling.type "keda") (not $scaling.keda.query) (not .Values.monitoring.podMonitor.enabled) }}
{{- fail "autoscaling.type keda without monitoring.podMonitor: nothing would scrape kserve_vision_load with the labels that the query names, and KEDA would never scale. Set monitoring.podMonitor.enabled: true, or autoscaling.keda.query" }}
{{- end -}}
{{- include "vision.refuseBounds" (dict "what" "autoscaling" "least" $scaling.minReplicas "most" $scaling.maxReplicas "scaling" $scaling) -}}
{{- end }}

{{/* Takes a dict: what, least, most, scaling. */}}
{{- define "vision.refuseBounds" -}}
{{- $type := .scaling.type -}}
{{- if eq (int .least) 0 }}
{{- if eq $type "none" }}
{{- fail (printf "%s.minReplicas is 0 with autoscaling.type none: nothing would run, and nothing would start it" .what) }}
{{- end -}}
{{- if eq $type "hpa" }}
{{- fail (printf "%s.minReplicas is 0 with autoscaling.type hpa: a HorizontalPodAutoscaler keeps one replica at least. Use keda, or Knative mode" .what) }}
{{- end -}}
{{- if and (eq $type "keda") (not .scaling.keda.query) }}
{{- fail (printf "%s.minReplicas is 0 with autoscaling.type keda: without a replica there is no kserve_vision_load to start one by. Set autoscaling.keda.query to what is measured elsewhere, such as the gateway's requests" .what) }}
{{- end -}}
{{- end -}}
{{- if not (kindIs "invalid" .most) }}
{{- if gt (int .least) (int .most) }}
{{- fail (printf "%s.minReplicas is %v, which is more than its maxReplicas, %v" .what .least .most) }}
{{- end -}}
{{- if and (eq $type "none") (ne (int .least) (int .most)) }}
{{- fail (printf "%s.maxReplicas is %v and minReplicas %v, and autoscaling.type is none: nothing would scale. Set autoscaling.type" .what .most .least) }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "vision.refuseTransformer" -}}
{{- $transformer := .Values.transformer -}}
{{- $mode := include "vision.mode" . -}}
{{- if and $transformer.grpc (ne $mode "Standard") }}
{{- fail (printf "transformer.grpc with mode %q: Knative allows one port in a pod, which is HTTP's. Set mode: Standard" $mode) }}
{{- end -}}
{{- if eq .Values.topology "collocated" }}
{{- range list "minReplicas" "maxReplicas" "grpc" }}
{{- if not (kindIs "invalid" (index $transformer .)) }}
{{- fail (printf "transformer.%s is a separate transformer's; a collocated one scales with its predictor, and has the runtime's ports. Set topology: separate" .) }}
{{- end -}}
{{- end -}}
{{- range $field, $value := $transformer.scheduling }}
{{- if $value }}
{{- fail (printf "transformer.scheduling.%s is a separate transformer's; a collocated one is where its predictor is. Set scheduling.%s, or topology: separate" $field $field) }}
{{- end -}}
{{- end -}}
{{- else }}
{{- $scaling := .Values.autoscaling -}}
{{- $least := ternary $scaling.minReplicas $transformer.minReplicas (kindIs "invalid" $transformer.minReplicas) -}}
{{- $most := ternary $scaling.maxReplicas $transformer.maxReplicas (kindIs "invalid" $transformer.maxReplicas) -}}
{{- include "vision.refuseBounds" (dict "what" "transformer" "least" $least "most" $most "scaling" $scaling) -}}
{{- end -}}
{{- end }}

{{- define "vision.refusePod" -}}
{{- $mode := include "vision.mode" . -}}
{{- if ne $mode "Standard" }}
{{- $features := .Values.knativeFeatures -}}
{{- $security := pick .Values.security "podSecurityContext" -}}
{{- $groups := dict "scheduling" .Values.scheduling "transformer.scheduling" .Values.transformer.scheduling "security" $security -}}
{{- range $group, $asked := $groups }}
{{- range $field, $value := $asked }}
{{- $feature := trimPrefix "pod" (lower $field) -}}
{{- if and $value (not (has $feature $features)) }}
{{- fail (printf "%s.%s with mode %q: Knative refuses it unless its ConfigMap config-features says kubernetes.podspec-%s: enabled. Where it does, set knativeFeatures: [%s]; without Knative, set mode: Standard" $group $field $mode $feature $feature) }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.cache.claimName (ne $mode "Standard") }}
{{- fail (printf "cache.claimName with mode %q: Knative refuses volume claims as it comes, and the runtime's own volume for the cache where nothing mounts it. Set mode: Standard" $mode) }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "vision.refuseDrain" -}}
{{- $mode := include "vision.mode" . -}}
{{- $given := pick .Values "drainDelaySeconds" "drainTimeoutSeconds" "terminationGracePeriodSeconds" -}}
{{- if ne $mode "Standard" }}
{{- range $field, $value := $given }}
{{- if $value }}
{{- fail (printf "%s with mode %q: Knative has no such field. Its proxy in the pod goes on serving for 30 s by itself, before our servers are told to end; a pod has timeoutSeconds to end, or Knative's 300. Set mode: Standard" $field $mode) }}
{{- end -}}
{{- end -}}
{{- else }}
{{- include "vision.refuseOwnDrain" . -}}
{{- end -}}
{{- $needed := get (include "vision.drain" . | fromJson) "ends" -}}
{{- if le (include "vision.grace" . | int) (int $needed) }}
{{- fail (printf "terminationGracePeriodSeconds is %v: the predictor drains for up to %d s, and would be killed before. Set %d or more, or leave it empty" .Values.terminationGracePeriodSeconds (int $needed) (add1 $needed)) }}
{{- end -}}
{{- end }}

{{- define "vision.refuseStrategy" -}}
{{- with .Values.deploymentStrategy }}
{{- $mode := include "vision.mode" $ -}}
{{- if ne $mode "Standard" }}
{{- fail (printf "deploymentStrategy with mode %q: KServe refuses it in Knative mode, where a new revision comes up beside the old one. Set mode: Standard" $mode) }}
{{- end -}}
{{- if and (eq (.type | default "") "Recreate") .rollingUpdate }}
{{- fail "deploymentStrategy.type Recreate with rollingUpdate: all pods end before the new ones start. Set one of them" }}
{{- end -}}
{{- with .rollingUpdate }}
{{- $surge := toString .maxSurge | trimSuffix "%" -}}
{{- if and (hasKey . "maxSurge") (eq $surge "0") (eq (toString .maxUnavailable | trimSuffix "%") "0") }}
{{- fail "deploymentStrategy.rollingUpdate has maxSurge 0 and maxUnavailable 0: no pod could be replaced. Set maxUnavailable: 1" }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "vision.refuseMonitoring" -}}
{{- if and .Values.monitoring.rules.enabled (not .Values.monitoring.podMonitor.enabled) }}
{{- fail "monitoring.rules without monitoring.podMonitor: the alerts read the labels that it gives, of both servers, and without them would call the model not ready for ever. Set monitoring.podMonitor.enabled: true" }}
{{- end -}}
{{- if and .Values.monitoring.serviceMonitor.enabled (ne (include "vision.mode" .) "Standard") }}
{{- fail "monitoring.serviceMonitor is for Standard mode: a Knative Service leads to the gateway, not to the pods. Use monitoring.podMonitor" }}
{{- end -}}
{{- if and .Values.monitoring.serviceMonitor.enabled .Values.monitoring.podMonitor.enabled }}
{{- fail "monitoring.serviceMonitor and monitoring.podMonitor would scrape the same servers twice: set one of them" }}
{{- end -}}
{{- end }}
