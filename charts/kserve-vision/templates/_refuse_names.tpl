{{/* Names of which KServe makes others that are too long for Kubernetes, or for a host. */}}
{{- define "vision.refuseName" -}}
{{- $name := include "vision.name" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) }}
{{- fail (printf "the name is %q: an InferenceService's begins with a letter a to z, and goes on with letters, digits and hyphens. Set `name`" $name) }}
{{- end -}}
{{- range include "vision.components" . | fromJsonArray }}
{{- include "vision.refuseLong" (dict "root" $ "what" (printf "the name %q" $name) "set" "name" "made" (printf "%s-%s" $name .)) -}}
{{- end -}}
{{- range .Values.canary.candidates }}
{{- $what := printf "the name of the candidate %q" .name -}}
{{- include "vision.refuseLong" (dict "root" $ "what" $what "set" "canary.candidates" "made" (printf "%s-%s-predictor" $name .name)) -}}
{{- end -}}
{{- end }}

{{/* Takes a dict: root, what, set, made (the name that KServe makes of it for a Deployment or a Knative Service). */}}
{{- define "vision.refuseLong" -}}
{{- $made := list (printf "isvc.%s" .made) (printf "%s-%s" .made .root.Release.Namespace) -}}
{{- if eq (include "vision.mode" .root) "Knative" }}
{{- $made = list (ternary (printf "latest-%s" .made) .made .root.Values.canary.tagRouting) -}}
{{- end -}}
{{- $set := .set -}}
{{- $what := .what -}}
{{- range $made }}
{{- if gt (len .) 63 }}
{{- fail (printf "%s is too long: KServe makes %s of it, which has %d characters, and a label or a part of a host name has 63 at most. Set `%s`" $what . (len .) $set) }}
{{- end -}}
{{- end -}}
{{- end }}
