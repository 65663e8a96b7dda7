{{/*
The rules. An InferenceService is ours if it names one of our runtimes, or if one of its containers runs an image of ours;
what is being deleted is let through.
*/}}
{{- define "platform.policy" -}}
{{- $predictor := include "platform.isImage" .Values.images.predictor -}}
{{- $transformer := include "platform.isImage" .Values.images.transformer -}}
{{- $chosen := ternary .Values.autoSelect.runtime "" .Values.autoSelect.enabled -}}
matchConditions:
  - name: is-ours
    expression: >-
      !has(object.metadata.deletionTimestamp) && (
      (has(object.spec.predictor.model) && has(object.spec.predictor.model.runtime)
      && object.spec.predictor.model.runtime.startsWith('kserve-vision'))
      {{- if .Values.autoSelect.enabled }}
      || (has(object.spec.predictor.model) && !has(object.spec.predictor.model.runtime)
      && object.spec.predictor.model.modelFormat.name == 'onnx')
      {{- end }}
      || (has(object.spec.predictor.containers) && object.spec.predictor.containers.exists(c, has(c.image)
      && ({{ $predictor }} || {{ $transformer }})))
      || (has(object.spec.transformer) && has(object.spec.transformer.containers)
      && object.spec.transformer.containers.exists(c, has(c.image)
      && ({{ $predictor }} || {{ $transformer }}))))
variables:
  {{- range list "object" "oldObject" }}
  {{- include "platform.named" (dict "object" . "mode" $.Values.mode) | nindent 2 }}
  {{- end }}
  - name: keda
    expression: >-
      has(object.metadata.annotations) && 'serving.kserve.io/autoscalerClass' in object.metadata.annotations
      && object.metadata.annotations['serving.kserve.io/autoscalerClass'] == 'keda'
  - name: containers
    expression: 'has(object.spec.predictor.containers) ? object.spec.predictor.containers : []'
  # The one that is named; or, of those that name none, the one that KServe chooses among ours.
  - name: runtime
    expression: >-
      !has(object.spec.predictor.model) ? '' : has(object.spec.predictor.model.runtime) ? object.spec.predictor.model.runtime
      : object.spec.predictor.model.modelFormat.name == 'onnx' ? '{{ $chosen }}' : ''
  # What is there already may be mended, so what the object before had too does not count.
  - name: long
    expression: >-
      variables.objectLabels.filter(l, size(l) > 63 && (oldObject == null || !(l in variables.oldObjectLabels)))
validations:
  {{- range list "predictor" "transformer" }}
  {{- $there := printf "has(object.spec.%s)" . }}
  - expression: >-
      !{{ $there }} || !has(object.spec.{{ . }}.canaryTrafficPercent)
      || (object.spec.{{ . }}.canaryTrafficPercent >= 0 && object.spec.{{ . }}.canaryTrafficPercent <= 100)
    messageExpression: >-
      'spec.{{ . }}.canaryTrafficPercent is ' + string(object.spec.{{ . }}.canaryTrafficPercent) + ': a share of the traffic is 0 to 100.'
  - expression: '!{{ $there }} || !has(object.spec.{{ . }}.canaryTrafficPercent) || !variables.objectStandard'
    message: >-
      spec.{{ . }}.canaryTrafficPercent is ignored in Standard mode: all pods would be replaced at once. Use spec.canary, or Knative mode.
  - expression: >-
      !{{ $there }} || !has(object.spec.{{ . }}.maxReplicas) || object.spec.{{ . }}.maxReplicas == 0
      || (has(object.spec.{{ . }}.minReplicas) ? object.spec.{{ . }}.minReplicas : 1) <= object.spec.{{ . }}.maxReplicas
    messageExpression: >-
      'spec.{{ . }}.minReplicas is ' + (has(object.spec.{{ . }}.minReplicas) ? string(object.spec.{{ . }}.minReplicas) : '1 (where it is not set)')
      + ', which is more than its maxReplicas, ' + string(object.spec.{{ . }}.maxReplicas) + ': lower the one or raise the other.'
  {{- end }}
  - expression: size(variables.objectCanaries) == 0 || !has(object.spec.transformer)
    message: >-
      spec.canary together with spec.transformer: a canary is of the predictor alone, and the transformer would ask the stable one for every
      picture. Use the runtime kserve-vision, whose pods hold both, or compare two InferenceServices.
  - expression: >-
      !variables.objectCanaries.exists(c, has(c.predictor.maxReplicas) || has(c.predictor.scaleTarget) || has(c.predictor.scaleMetric)
      || has(c.predictor.scaleMetricType) || has(c.predictor.autoScaling))
    messageExpression: >-
      'The canary ' + variables.objectCanaries.filter(c, has(c.predictor.maxReplicas) || has(c.predictor.scaleTarget)
      || has(c.predictor.scaleMetric) || has(c.predictor.scaleMetricType) || has(c.predictor.autoScaling))
      .map(c, has(c.predictor.name) ? c.predictor.name : 'without a name').join(', ')
      + ' has autoscaling fields: a canary has as many replicas as its minReplicas or its share says. '
      + 'Leave out maxReplicas, scaleTarget, scaleMetric, scaleMetricType and autoScaling.'
  - expression: size(variables.objectCanaries) == 0 || !variables.keda
    message: >-
      spec.canary together with serving.kserve.io/autoscalerClass: keda: KServe would give the canary an autoscaler without a trigger, which KEDA
      refuses. Use hpa or none while there is a canary.
  - expression: >-
      !has(object.spec.predictor.model) || !variables.containers.exists(c, c.name == 'kserve-container'
      || (has(c.image) && {{ $predictor }}))
    message: >-
      spec.predictor.containers holds a second predictor beside spec.predictor.model: KServe makes kserve-container of the runtime. Tune that one
      with spec.predictor.model.env, args and resources; spec.predictor.containers is for transformer-container.
  - expression: >-
      has(object.spec.predictor.model) || size(variables.containers) == 0 || variables.containers[0].name == 'kserve-container'
    messageExpression: >-
      'The first of spec.predictor.containers is ' + variables.containers[0].name
      + ': KServe takes the first one for the predictor, and it must be called kserve-container.'
  - expression: >-
      !has(object.spec.transformer) || !(variables.runtime in ['kserve-vision', 'kserve-vision-gpu'])
    messageExpression: >-
      'spec.transformer together with the runtime ' + variables.runtime
      + ', whose pods have a transformer of their own. Leave out spec.transformer, or use the runtime '
      + variables.runtime.replace('kserve-vision', 'kserve-vision-predictor') + '.'
  - expression: size(variables.long) == 0
    messageExpression: >-
      'The name ' + object.metadata.name + ' is too long: KServe makes ' + variables.long[0] + ' of it, which has '
      + string(size(variables.long[0])) + ' characters, and a label or a part of a host name has 63 at most.'
  - expression: oldObject != null || object.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')
    messageExpression: >-
      'The name ' + object.metadata.name + ' is none for an InferenceService: it begins with a letter a to z, and goes on with letters, digits and hyphens.'
{{- end }}

{{/*
The variables that tell what KServe makes of an object's names, `object` or `oldObject`, in front of each variable's name. Takes a dict:
object, mode.
*/}}
{{- define "platform.named" -}}
{{- $o := .object -}}
# KServe 0.16 to 0.20 write the annotation themselves in a Standard cluster; the value `mode` speaks where there is none.
- name: {{ $o }}Standard
  expression: >-
    (has({{ $o }}.metadata.annotations) && 'serving.kserve.io/deploymentMode' in {{ $o }}.metadata.annotations
    ? {{ $o }}.metadata.annotations['serving.kserve.io/deploymentMode'] : '{{ .mode }}') in ['Standard', 'RawDeployment']
- name: {{ $o }}Canaries
  expression: 'has({{ $o }}.spec.canary) ? {{ $o }}.spec.canary : []'
# What KServe calls the Deployments or Knative Services.
- name: {{ $o }}Workloads
  expression: >-
    [{{ $o }}.spec.predictor].map(p, string({{ $o }}.metadata.name)
    + (has(p.name) && p.name != '' ? '-' + string(p.name) : '') + '-predictor')
    + (has({{ $o }}.spec.transformer) ? [string({{ $o }}.metadata.name) + '-transformer'] : [])
    + variables.{{ $o }}Canaries.map(c, string({{ $o }}.metadata.name)
    + (has(c.predictor.name) && c.predictor.name != '' ? '-' + string(c.predictor.name) : '') + '-predictor')
- name: {{ $o }}Tagged
  expression: >-
    has({{ $o }}.metadata.annotations) && 'serving.kserve.io/enable-tag-routing' in {{ $o }}.metadata.annotations
    && {{ $o }}.metadata.annotations['serving.kserve.io/enable-tag-routing'] == 'true'
# Of those: the label `app` and a host's first part in Standard mode; a Knative Service, or the host of its tag.
- name: {{ $o }}Labels
  expression: >-
    variables.{{ $o }}Standard
    ? variables.{{ $o }}Workloads.map(w, 'isvc.' + w)
    + variables.{{ $o }}Workloads.map(w, w + '-' + string({{ $o }}.metadata.namespace))
    : variables.{{ $o }}Workloads.map(w, (variables.{{ $o }}Tagged ? 'latest-' : '') + w)
{{- end }}

{{/* CEL: whether the container c runs an image of that name, whatever its registry and tag. Takes the name. */}}
{{- define "platform.isImage" -}}
c.image.matches({{ printf "(^|/)%s([:@]|$)" (regexQuoteMeta .) | toJson }})
{{- end }}
