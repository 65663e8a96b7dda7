{{/* What tunes the runtime's own transformer container; nothing where nothing is to be tuned. */}}
{{- define "vision.collocated" -}}
{{- $env := include "vision.tuning" (dict "root" . "part" "transformer") | fromJsonArray -}}
{{- with .Values.transformer }}
{{- if or $env .args .resources }}
- name: transformer-container
  {{- with $env }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .args }}
  args:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Whether a separate transformer has a second port. */}}
{{- define "vision.grpc" -}}
{{- $wish := .Values.transformer.grpc -}}
{{- if kindIs "invalid" $wish }}{{ $wish = eq (include "vision.mode" .) "Standard" }}{{ end -}}
{{- if $wish }}yes{{ end -}}
{{- end }}

{{/*
The separate transformer's container: that of the runtime, and what differs where it has pods of its own. It has a copy of the model
directory, for the contract and the labels.
*/}}
{{- define "vision.separate" -}}
{{- $standard := eq (include "vision.mode" .) "Standard" -}}
{{- $name := include "vision.name" . -}}
{{- $container := .Files.Get (printf "files/transformer/%s.yaml" (ternary "standard" "knative" $standard)) | fromYaml -}}
{{- $_ := set $container "name" "kserve-container" -}}
{{- $_ := set $container "image" (include "vision.image" .) -}}
{{- with .Values.images.pullPolicy }}{{ $_ := set $container "imagePullPolicy" . }}{{ end -}}
{{- /* Knative's pods have one port, which is HTTP's. */ -}}
{{- $asked := list (printf "--predictor_host=%s-predictor.%s" $name .Release.Namespace) "--predictor_protocol=v2" -}}
{{- if $standard }}
{{- $asked = list (printf "--predictor_host=%s-pods.%s:8081" $name .Release.Namespace) "--predictor_protocol=grpc-v2" -}}
{{- end -}}
{{- $_ := set $container "args" (concat (list "--workers=1") $asked .Values.transformer.args) -}}
{{- $env := prepend $container.env (dict "name" "STORAGE_URI" "value" .Values.storage.uri) -}}
{{- if not (include "vision.grpc" .) }}
{{- $env = append $env (dict "name" "ENABLE_GRPC" "value" "false") -}}
{{- $ports := list -}}
{{- range $container.ports }}{{ if ne .name "grpc" }}{{ $ports = append $ports . }}{{ end }}{{ end -}}
{{- $_ := set $container "ports" $ports -}}
{{- end -}}
{{- $given := include "vision.tuning" (dict "root" . "part" "transformer") | fromJsonArray -}}
{{- $_ := set $container "env" (include "vision.env" (dict "ours" $env "given" $given) | fromYamlArray) -}}
{{- /* KServe gives a container without a limit for CPU its own, of 1. */ -}}
{{- $_ := set $container.resources.limits "cpu" "4" -}}
{{- $_ := mergeOverwrite $container.resources (deepCopy .Values.transformer.resources) -}}
{{ toYaml $container }}
{{- end }}

{{/* The given variables behind those of ours that they do not name, since a name may be there once. Takes a dict: ours, given. */}}
{{- define "vision.env" -}}
{{- $names := list -}}
{{- range .given }}{{ $names = append $names .name }}{{ end -}}
{{- $kept := list -}}
{{- range .ours }}{{ if not (has .name $names) }}{{ $kept = append $kept . }}{{ end }}{{ end -}}
{{ toYaml (concat $kept .given) }}
{{- end }}
