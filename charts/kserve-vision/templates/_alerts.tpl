{{/* The labels of this model's pods, its candidates among them; a pod's name tells less, and changes with a promotion. */}}
{{- define "vision.pods" -}}
namespace="{{ .Release.Namespace }}",serving_kserve_io_inferenceservice="{{ include "vision.name" . }}"
{{- end }}

{{/* Of those, the transformers, which take the requests. */}}
{{- define "vision.transformers" -}}
{{- if eq .Values.topology "separate" -}}
{{ include "vision.pods" . }},component="transformer"
{{- else -}}
{{ include "vision.pods" . }},container="transformer-container"
{{- end -}}
{{- end }}

{{/* And the predictors. */}}
{{- define "vision.predictors" -}}
{{- if eq .Values.topology "separate" -}}
{{ include "vision.pods" . }},component="predictor"
{{- else -}}
{{ include "vision.pods" . }},container="kserve-container"
{{- end -}}
{{- end }}

{{/* The codes that are the servers' own failures: those of HTTP's 5xx. */}}
{{- define "vision.failures" -}}
CONTRACT_INVALID|CONTRACT_MISMATCH|DEADLINE_EXCEEDED|DEVICE_LOST|DEVICE_OUT_OF_MEMORY|INFERENCE_FAILED|INTERNAL|MODEL_LOAD_FAILED|MODEL_NOT_READY|PREDICTOR_FAULT|PREDICTOR_UNAVAILABLE
{{- end }}
