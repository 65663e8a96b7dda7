{{/* Variables and resources of the two servers. */}}
{{- define "vision.refuseEnv" -}}
{{- range $part, $values := pick .Values "predictor" "transformer" }}
{{- range $values.env }}
{{- if eq .name "PYTHONPATH" }}
{{- fail (printf "%s.env sets PYTHONPATH: KServe refuses it" $part) }}
{{- end -}}
{{- if eq .name "STORAGE_URI" }}
{{- fail (printf "%s.env sets STORAGE_URI, which the chart does. Set storage.uri" $part) }}
{{- end -}}
{{- if eq .name "CPU_REQUEST" }}
{{- fail (printf "%s.env sets CPU_REQUEST, which the runtime takes from the request. Set %s.resources.requests.cpu, or CPUS" $part $part) }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* What moves the end of one server alone. */}}
{{- define "vision.refuseOwnDrain" -}}
{{- range $part, $values := pick .Values "predictor" "transformer" }}
{{- range $variable, $field := dict "DRAIN_DELAY_SECONDS" "drainDelaySeconds" "DRAIN_TIMEOUT_SECONDS" "drainTimeoutSeconds" }}
{{- $why := printf "%s, with which the other server's delay and the grace period have to move. Set %s" $variable $field -}}
{{- range $values.env }}
{{- if eq .name $variable }}{{ fail (printf "%s.env sets %s" $part $why) }}{{ end -}}
{{- end -}}
{{- range $values.args }}
{{- if hasPrefix (printf "--%s" (lower $variable)) . }}{{ fail (printf "%s.args sets %s" $part $why) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "vision.refuseResources" -}}
{{- $transformer := .Values.transformer.resources -}}
{{- if eq .Values.topology "separate" }}{{ $transformer = (include "vision.separate" . | fromYaml).resources }}{{ end -}}
{{- range $part, $resources := dict "predictor" .Values.predictor.resources "transformer" $transformer }}
{{- range $name, $request := $resources.requests }}
{{- $limit := dig "limits" $name "" $resources -}}
{{- if and (toString $limit) (gt (include "vision.quantity" $request | float64) (include "vision.quantity" $limit | float64)) }}
{{- fail (printf "%s.resources.requests.%s is %v, and the limit is %v: Kubernetes takes no pod that asks for more than it may have. Set %s.resources.limits.%s" $part $name $request $limit $part $name) }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Kubernetes' quantities as numbers. */}}
{{- define "vision.quantity" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9.]+([eE][-+]?[0-9]+)?" $text -}}
{{- $thousands := dict "" 0 "k" 1 "M" 2 "G" 3 "T" 4 "P" 5 "E" 6 "Ki" 1 "Mi" 2 "Gi" 3 "Ti" 4 "Pi" 5 "Ei" 6 -}}
{{- $suffix := trimPrefix $number $text -}}
{{- $value := float64 $number -}}
{{- if eq $suffix "m" }}{{ $value = divf $value 1000 }}{{ $suffix = "" }}{{ end -}}
{{- range until (get $thousands $suffix | int) }}{{ $value = mulf $value (ternary 1024 1000 (hasSuffix "i" $suffix)) }}{{ end -}}
{{ $value }}
{{- end }}
