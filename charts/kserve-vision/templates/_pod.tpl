{{/* The fields of a component's pod, as the mode takes them. Takes a dict: root, component. */}}
{{- define "vision.pod" -}}
{{- $root := .root -}}
{{- $component := .component -}}
{{- $values := $root.Values -}}
{{- $standard := eq (include "vision.mode" $root) "Standard" -}}
{{- $placed := ternary $values.transformer.scheduling $values.scheduling (eq $component "transformer") -}}
{{- $scheduling := merge (pick $values.scheduling "priorityClassName" "schedulerName") $placed -}}
automountServiceAccountToken: {{ $values.security.automountServiceAccountToken }}
# Links to Services are variables such as GRPC_PORT, which the servers would read as settings.
enableServiceLinks: false
{{- with include "vision.serviceAccountName" $root }}
serviceAccountName: {{ . | quote }}
{{- end }}
{{- with $values.images.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $standard }}
terminationGracePeriodSeconds: {{ include "vision.grace" $root }}
{{- end }}
{{- if or $standard $values.security.podSecurityContext }}
securityContext:
  {{- include "vision.podSecurityContext" $root | nindent 2 }}
{{- end }}
{{- range $field := list "nodeSelector" "tolerations" "affinity" "priorityClassName" "schedulerName" "runtimeClassName" }}
{{- with get $scheduling $field }}
{{ dict $field . | toYaml }}
{{- end }}
{{- end }}
{{- with $scheduling.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- else }}
{{- if $standard }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [app, pod-template-hash]
    labelSelector:
      matchLabels:
        serving.kserve.io/inferenceservice: {{ include "vision.name" $root | quote }}
        component: {{ $component }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/*
The seconds in which a pod ends, as JSON: the delay and the timeout of each server, when the last of them has ended, and what the pod
has. A collocated predictor gets the signal with its transformer, and serves until that one's last request is answered.
*/}}
{{- define "vision.drain" -}}
{{- $delay := .Values.drainDelaySeconds | default 5 | int -}}
{{- $timeout := .Values.drainTimeoutSeconds | default 15 | int -}}
{{- $predictor := dict "delay" (add $delay 5) "timeout" $timeout -}}
{{- if eq .Values.topology "collocated" }}{{ $predictor = dict "delay" (add $delay $timeout 1) "timeout" 5 }}{{ end -}}
{{- $drain := dict "transformer" (dict "delay" $delay "timeout" $timeout) "predictor" $predictor -}}
{{- $_ := set $drain "ends" (add $predictor.delay $predictor.timeout) -}}
{{- $_ := set $drain "grace" (add $delay $timeout 10) -}}
{{ toJson $drain }}
{{- end }}

{{- define "vision.grace" -}}
{{ .Values.terminationGracePeriodSeconds | default (get (include "vision.drain" . | fromJson) "grace") | int }}
{{- end }}

{{/* What the values make of a server's variables, as JSON. Takes a dict: root, part. */}}
{{- define "vision.tuning" -}}
{{- $values := .root.Values -}}
{{- $part := get $values .part -}}
{{- $env := list -}}
{{- if or $values.drainDelaySeconds $values.drainTimeoutSeconds }}
{{- $drain := get (include "vision.drain" .root | fromJson) .part -}}
{{- range $name, $seconds := dict "DRAIN_DELAY_SECONDS" $drain.delay "DRAIN_TIMEOUT_SECONDS" $drain.timeout }}
{{- $env = append $env (dict "name" $name "value" ($seconds | int | toString)) -}}
{{- end -}}
{{- end -}}
{{- /* In Standard mode the runtime refers to it, which Knative does not allow. */ -}}
{{- if eq (include "vision.mode" .root) "Knative" }}
{{- with dig "requests" "cpu" "" $part.resources }}
{{- $env = append $env (dict "name" "CPU_REQUEST" "value" (toString .)) -}}
{{- end -}}
{{- end -}}
{{ concat $env $part.env | toJson }}
{{- end }}

{{/* The replicas of a component at least. Takes a dict: root, component. */}}
{{- define "vision.least" -}}
{{- $own := ternary .root.Values.transformer.minReplicas nil (eq .component "transformer") -}}
{{ ternary .root.Values.autoscaling.minReplicas $own (kindIs "invalid" $own) }}
{{- end }}

{{/* Replicas and what they follow. Takes a dict: root, component. */}}
{{- define "vision.scale" -}}
{{- $scaling := .root.Values.autoscaling -}}
{{- $least := include "vision.least" . -}}
{{- $most := $scaling.maxReplicas -}}
{{- if eq .component "transformer" }}
{{- with .root.Values.transformer.maxReplicas }}{{ $most = . }}{{ end -}}
{{- end -}}
{{- if eq $scaling.type "none" }}{{ $most = $least }}{{ end -}}
minReplicas: {{ $least }}
maxReplicas: {{ $most | default $least }}
{{- with .root.Values.deploymentStrategy }}
deploymentStrategy:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if eq $scaling.type "hpa" }}
scaleMetric: {{ $scaling.metric }}
scaleMetricType: Utilization
scaleTarget: {{ $scaling.target | default 80 }}
{{- else if eq $scaling.type "keda" }}
autoScaling:
  metrics:
    - type: External
      external:
        metric:
          backend: prometheus
          serverAddress: {{ $scaling.keda.serverAddress | quote }}
          query: {{ include "vision.kedaQuery" . | quote }}
        target:
          type: Value
          value: {{ $scaling.target | default 0.8 | toString | quote }}
{{- else if has $scaling.type (list "concurrency" "rps") }}
scaleMetric: {{ $scaling.type }}
{{- with $scaling.target }}
scaleTarget: {{ . }}
{{- end }}
{{- end }}
{{- with $scaling.containerConcurrency }}
containerConcurrency: {{ . }}
{{- end }}
{{- with .root.Values.timeoutSeconds }}
timeout: {{ . }}
{{- end }}
{{- end }}

{{/* KEDA divides it by the replicas: the busier of a pod's two servers counts, summed over the pods. */}}
{{- define "vision.kedaQuery" -}}
{{- if .root.Values.autoscaling.keda.query }}
{{- .root.Values.autoscaling.keda.query -}}
{{- else -}}
sum(max by (pod) (kserve_vision_load{ {{- include "vision.pods" .root }},component="{{ .component }}"}))
{{- end }}
{{- end }}

{{/* The model of the predictor or of a candidate. Takes a dict: root, uri. */}}
{{- define "vision.model" -}}
{{- $storage := .root.Values.storage -}}
modelFormat: {name: onnx}
runtime: {{ include "vision.runtime" .root | quote }}
{{- with .uri }}
storageUri: {{ . | quote }}
{{- end }}
{{- if $storage.key }}
storage:
  key: {{ $storage.key | quote }}
  {{- if not .uri }}
  path: {{ $storage.path | quote }}
  {{- end }}
  {{- with $storage.parameters }}
  parameters:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- with include "vision.tuning" (dict "root" .root "part" "predictor") | fromJsonArray }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.predictor.args }}
args:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.predictor.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .root.Values.cache.claimName }}
# KServe merges mounts by their path, and volumes by their name: this one takes the place of the runtime's own at CACHE_DIR.
volumeMounts:
  - name: engines
    mountPath: /var/cache/kserve-vision
{{- end }}
{{- end }}
