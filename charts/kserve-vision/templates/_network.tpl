{{/*
Where the storage initializer asks for the identity that opens the store: of Google's metadata server (988 and 80, by the network of the
cluster), of the agent of EKS Pod Identity. IRSA and Azure's workload identity ask on 443, and secrets nobody.
*/}}
{{- define "vision.identityRules" -}}
{{- $uris := list .Values.storage.uri -}}
{{- range .Values.canary.candidates }}{{ $uris = append $uris .storageUri }}{{ end -}}
{{- $schemes := list -}}
{{- range $uris }}{{ $schemes = append $schemes (regexFind "^[a-z0-9+]+" .) }}{{ end -}}
{{- if has "gs" $schemes }}
- to: [{ipBlock: {cidr: 169.254.169.252/32}}]
  ports: [{protocol: TCP, port: 988}]
- to: [{ipBlock: {cidr: 169.254.169.254/32}}]
  ports: [{protocol: TCP, port: 80}]
{{- end }}
{{- if has "s3" $schemes }}
- to: [{ipBlock: {cidr: 169.254.170.23/32}}]
  ports: [{protocol: TCP, port: 80}]
{{- end }}
{{- end }}
