{{/* One target for each container of that name, whatever ports it names. Takes a dict: container, port. */}}
{{- define "vision.scraped" -}}
- action: keep
  sourceLabels: [__meta_kubernetes_pod_container_name]
  regex: {{ .container }}
# A container with several ports is found several times; targets of one address and the same labels are one.
- action: replace
  sourceLabels: [__meta_kubernetes_pod_ip]
  regex: ([0-9.]+)
  targetLabel: __address__
  replacement: $1:{{ .port }}
- action: replace
  sourceLabels: [__meta_kubernetes_pod_ip]
  regex: (.+:.+)
  targetLabel: __address__
  replacement: "[$1]:{{ .port }}"
{{- end }}
