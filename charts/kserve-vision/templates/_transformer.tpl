{{/* What tunes the runtime's own transformer container; nothing where nothing is to be tuned. */}}
{{- define "vision.collocated" -}}
{{- with .Values.transformer }}
{{- if or .env .args .resources }}
- name: transformer-container
  {{- with .env }}
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

{{/* The separate transformer's container. It has a copy of the model directory, for the contract and the labels. */}}
{{- define "vision.separate" -}}
{{- $standard := eq (include "vision.mode" .) "Standard" -}}
{{- $name := include "vision.name" . -}}
name: kserve-container
image: {{ include "vision.image" . | quote }}
{{- with .Values.images.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
args:
  - --workers=1
  {{- if $standard }}
  - --predictor_host={{ $name }}-pods.{{ .Release.Namespace }}:8081
  - --predictor_protocol=grpc-v2
  {{- else }}
  # Knative's pods have one port, which is HTTP's.
  - --predictor_host={{ $name }}-predictor.{{ .Release.Namespace }}
  - --predictor_protocol=v2
  {{- end }}
  {{- with .Values.transformer.args }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
env:
  - name: STORAGE_URI
    value: {{ .Values.storage.uri | quote }}
  {{- if not (include "vision.grpc" .) }}
  - name: ENABLE_GRPC
    value: "false"
  {{- end }}
  {{- with .Values.transformer.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - name: http1
    containerPort: 8080
    protocol: TCP
  {{- if include "vision.grpc" . }}
  - name: grpc
    containerPort: 8081
    protocol: TCP
  {{- end }}
startupProbe:
  httpGet: {path: /v2/health/live, port: 8080}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /v2/health/live, port: 8080}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /v2/health/ready, port: 8080}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 2
resources:
  {{- $ours := dict "requests" (dict "cpu" "1" "memory" "512Mi") "limits" (dict "memory" "1Gi") }}
  {{- toYaml (mergeOverwrite $ours (deepCopy .Values.transformer.resources)) | nindent 2 }}
securityContext:
  {{- include "vision.containerSecurityContext" . | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
  - name: tmp
    mountPath: /tmp
{{- end }}
