{{/* An image's whole name. Takes a dict: root, name, suffix. */}}
{{- define "platform.image" -}}
{{- $tag := .root.Values.images.tag | default .root.Chart.AppVersion -}}
{{- $registry := .root.Values.imageRegistry | trimSuffix "/" -}}
{{- if $registry }}{{ $registry }}/{{ end }}{{ .name }}:{{ $tag }}{{ .suffix }}
{{- end }}

{{/* The given variables behind those of ours that they do not name, since a name may be there once. Takes a dict: ours, given. */}}
{{- define "platform.env" -}}
{{- $names := list -}}
{{- range .given }}{{ $names = append $names .name }}{{ end -}}
{{- $kept := list -}}
{{- range .ours }}{{ if not (has .name $names) }}{{ $kept = append $kept . }}{{ end }}{{ end -}}
{{ toYaml (concat $kept .given) }}
{{- end }}

{{/* Put the values into one container of a runtime. Takes a dict: root, container, gpu. It changes the container. */}}
{{- define "platform.container" -}}
{{- $values := .root.Values -}}
{{- $container := .container -}}
{{- $predicts := contains "kserve-vision-predictor" $container.image -}}
{{- $part := ternary $values.predictor $values.transformer $predicts -}}
{{- $resources := $part.resources -}}
{{- if and $predicts .gpu }}{{ $resources = $values.predictor.gpuResources }}{{ end -}}
{{- $name := ternary $values.images.predictor $values.images.transformer $predicts -}}
{{- $suffix := ternary "-gpu" "" (hasSuffix "-gpu" $container.image) -}}
{{- $_ := set $container "image" (include "platform.image" (dict "root" .root "name" $name "suffix" $suffix)) -}}
{{- with $values.images.pullPolicy }}{{ $_ := set $container "imagePullPolicy" . }}{{ end -}}
{{- with $resources }}{{ $_ := mergeOverwrite $container.resources (deepCopy .) }}{{ end -}}
{{- $env := $part.env -}}
{{- /* Standard's runtimes refer to it, which Knative does not allow. */ -}}
{{- if eq $values.mode "Knative" }}
{{- with dig "requests" "cpu" "" $resources }}{{ $env = prepend $env (dict "name" "CPU_REQUEST" "value" (toString .)) }}{{ end -}}
{{- end -}}
{{- with $env }}{{ $_ := set $container "env" (include "platform.env" (dict "ours" $container.env "given" .) | fromYamlArray) }}{{ end -}}
{{- end }}

{{/* Put the values into a runtime. Takes a dict: root, runtime. It changes the runtime. */}}
{{- define "platform.runtime" -}}
{{- $root := .root -}}
{{- $spec := .runtime.spec -}}
{{- $gpu := hasSuffix "-gpu" .runtime.metadata.name -}}
{{- range $spec.containers }}
{{- include "platform.container" (dict "root" $root "container" . "gpu" $gpu) -}}
{{- end -}}
{{- $scheduling := $root.Values.scheduling -}}
{{- with ternary $scheduling.gpuNodeSelector $scheduling.nodeSelector $gpu }}{{ $_ := set $spec "nodeSelector" . }}{{ end -}}
{{- with ternary $scheduling.gpuTolerations $scheduling.tolerations $gpu }}{{ $_ := set $spec "tolerations" . }}{{ end -}}
{{- with $root.Values.images.pullSecrets }}{{ $_ := set $spec "imagePullSecrets" . }}{{ end -}}
{{- $automatic := $root.Values.autoSelect -}}
{{- if and $automatic.enabled (eq $automatic.runtime .runtime.metadata.name) }}
{{- range $spec.supportedModelFormats }}
{{- $_ := set . "autoSelect" true -}}
{{- $_ := set . "priority" $automatic.priority -}}
{{- end -}}
{{- end -}}
{{- end }}
