{{- define "vision.name" -}}
{{ .Values.name | default .Release.Name }}
{{- end }}

{{/* Standard, Knative, or nothing where the cluster decides. */}}
{{- define "vision.mode" -}}
{{- get (dict "Standard" "Standard" "RawDeployment" "Standard" "Knative" "Knative" "Serverless" "Knative") .Values.mode -}}
{{- end }}

{{/* The component that takes the requests. */}}
{{- define "vision.entrance" -}}
{{ ternary "transformer" "predictor" (eq .Values.topology "separate") }}
{{- end }}

{{/* The address inside of the cluster. */}}
{{- define "vision.address" -}}
http://{{ include "vision.name" . }}-{{ include "vision.entrance" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{- define "vision.runtime" -}}
{{- if .Values.runtime }}
{{- .Values.runtime -}}
{{- else }}
{{- ternary "kserve-vision-predictor" "kserve-vision" (eq .Values.topology "separate") -}}
{{- if eq .Values.accelerator "gpu" }}-gpu{{ end -}}
{{- end }}
{{- end }}

{{- define "vision.image" -}}
{{- with .Values.images.registry | trimSuffix "/" }}{{ . }}/{{ end -}}
{{ .Values.images.transformer }}:{{ .Values.images.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "vision.serviceAccountName" -}}
{{- if .Values.storage.secretName }}{{ include "vision.name" . }}-store{{ else }}{{ .Values.storage.serviceAccountName }}{{ end -}}
{{- end }}

{{/* Neither the chart's nor the app's version is here: KServe copies labels to the pods, and an upgrade would restart them. */}}
{{- define "vision.labels" -}}
{{ include "vision.labelsOver" (dict "root" . "labels" dict) }}
{{- end }}

{{/* The same with others over them, of which each key is there once. Takes a dict: root, labels. */}}
{{- define "vision.labelsOver" -}}
{{- $ours := dict "app.kubernetes.io/name" "kserve-vision" "app.kubernetes.io/part-of" "kserve-vision" -}}
{{- $_ := set $ours "app.kubernetes.io/instance" (include "vision.name" .root) -}}
{{- $_ := set $ours "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{ toYaml (mergeOverwrite $ours (deepCopy .root.Values.labels) (deepCopy .labels)) }}
{{- end }}

{{/* The components that have pods, as JSON. */}}
{{- define "vision.components" -}}
{{ ternary (list "predictor" "transformer") (list "predictor") (eq .Values.topology "separate") | toJson }}
{{- end }}

{{/* What the restricted level of Pod Security wants of a container, and no writing into the image. */}}
{{- define "vision.containerSecurityContext" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
privileged: false
readOnlyRootFilesystem: true
runAsGroup: 65532
runAsNonRoot: true
runAsUser: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "vision.podSecurityContext" -}}
{{- $ours := dict "runAsNonRoot" true "fsGroup" 65532 "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- /* Knative refuses it even where it allows security contexts. */ -}}
{{- if eq (include "vision.mode" .) "Standard" }}{{ $_ := set $ours "fsGroupChangePolicy" "OnRootMismatch" }}{{ end -}}
{{ toYaml (mergeOverwrite $ours (deepCopy .Values.security.podSecurityContext)) }}
{{- end }}
