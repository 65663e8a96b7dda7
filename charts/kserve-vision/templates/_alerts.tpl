{{/* The labels of this model's pods, its candidates among them. */}}
{{- define "vision.pods" -}}
{{- $name := include "vision.name" . -}}
{{- $parts := list (printf "%s-predictor" $name) -}}
{{- if eq .Values.topology "separate" }}{{ $parts = append $parts (printf "%s-transformer" $name) }}{{ end -}}
{{- range .Values.canary.candidates }}{{ $parts = append $parts (printf "%s-%s-predictor" $name .name) }}{{ end -}}
namespace="{{ .Release.Namespace }}",pod=~"({{ join "|" $parts }})-.+"
{{- end }}

{{/* Of those, the transformers, which take the requests. */}}
{{- define "vision.transformers" -}}
{{- if eq .Values.topology "separate" -}}
namespace="{{ .Release.Namespace }}",pod=~"{{ include "vision.name" . }}-transformer-.+"
{{- else -}}
{{ include "vision.pods" . }},container="transformer-container"
{{- end -}}
{{- end }}

{{/* And the predictors. */}}
{{- define "vision.predictors" -}}
{{- if eq .Values.topology "separate" -}}
namespace="{{ .Release.Namespace }}",pod=~"{{ include "vision.name" . }}-predictor-.+"
{{- else -}}
{{ include "vision.pods" . }},container="kserve-container"
{{- end -}}
{{- end }}

{{/* The codes that are the servers' own failures: those of HTTP's 5xx. */}}
{{- define "vision.failures" -}}
CONTRACT_INVALID|CONTRACT_MISMATCH|DEADLINE_EXCEEDED|DEVICE_LOST|DEVICE_OUT_OF_MEMORY|INFERENCE_FAILED|INTERNAL|MODEL_LOAD_FAILED|MODEL_NOT_READY|PREDICTOR_FAULT|PREDICTOR_UNAVAILABLE
{{- end }}
