{{/* What the notes say of the times when nothing can serve. */}}
{{- define "vision.pauses" -}}
{{- $lone := list -}}
{{- $raise := list -}}
{{- range include "vision.components" . | fromJsonArray }}
{{- if eq (include "vision.least" (dict "root" $ "component" .)) "1" }}
{{- $lone = append $lone . -}}
{{- $own := and (eq . "transformer") (not (kindIs "invalid" $.Values.transformer.minReplicas)) -}}
{{- $raise = append $raise (ternary "transformer.minReplicas=2" "autoscaling.minReplicas=2" $own) -}}
{{- end -}}
{{- end -}}
{{- if $lone }}

One replica of the {{ join " and of the " $lone }}: a drained node takes the only pod, and the model pauses until another is ready.
{{- if .Values.podDisruptionBudget.enabled }}
The PodDisruptionBudget does not prevent that: it takes the pods one by one.
{{- end }}
Where it must not pause: {{ $raise | uniq | join " and " }}.
{{- end }}
{{- $strategy := .Values.deploymentStrategy -}}
{{- $surges := ne (dig "rollingUpdate" "maxSurge" "25%" $strategy | toString | trimSuffix "%") "0" -}}
{{- if eq ($strategy.type | default "") "Recreate" }}

Each update pauses it: deploymentStrategy.type is Recreate, and all pods end before the new ones start.
{{- else if and $lone (not $surges) }}

Each update pauses it: deploymentStrategy.rollingUpdate.maxSurge is 0, and the one pod ends before the new one starts.
{{- else if and $surges (eq .Values.accelerator "gpu") (eq (include "vision.mode" .) "Standard") }}

An update starts a new pod before it ends an old one, and waits for a GPU more than there are now. Where none is spare:

  --set deploymentStrategy.rollingUpdate.maxSurge=0,deploymentStrategy.rollingUpdate.maxUnavailable=1
{{- end }}
{{- end }}
