{{- define "portcullis.labels" -}}
app.kubernetes.io/name: portcullis
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The image, by digest if there is one. */}}
{{- define "portcullis.image" -}}
{{- $image := .Values.image -}}
{{- $repository := required "image.repository: where is the module?" $image.repository -}}
{{- if $image.digest -}}
{{ $repository }}@{{ $image.digest }}
{{- else -}}
{{ $repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Which proxies of Istio. What is nowhere said would be all of the namespace, or of the mesh. */}}
{{- define "portcullis.proxies" -}}
{{- if eq .Values.proxy "waypoint" -}}
{{- if .Values.selector }}{{ fail "selector: waypoints are chosen by targetRefs" }}{{ end -}}
{{- if not .Values.targetRefs }}{{ fail "targetRefs: which waypoint?" }}{{ end -}}
targetRefs:
{{- range .Values.targetRefs }}
- {{ toJson . }}
{{- end }}
{{- else if .Values.targetRefs -}}
{{- if .Values.selector }}{{ fail "selector and targetRefs: Istio takes one of them" }}{{ end -}}
targetRefs:
{{- range .Values.targetRefs }}
- {{ toJson . }}
{{- end }}
{{- else -}}
selector:
  matchLabels:
    {{- include "portcullis.selector" . | nindent 4 }}
{{- end -}}
{{- end }}

{{/* `required` takes an empty map for one. */}}
{{- define "portcullis.selector" -}}
{{- if not .Values.selector }}{{ fail "selector: which pods? Without it, every proxy of the namespace would have the filter" }}{{ end -}}
{{- toYaml .Values.selector }}
{{- end }}

{{/* A sidecar judges what its workload receives, not what it sends. */}}
{{- define "portcullis.match" -}}
{{- if eq .Values.proxy "sidecar" }}
match:
- mode: SERVER
{{- end }}
{{- end }}

{{/* The module as Istio's APIs have it. failStrategy is no value: there is none that is safe but this one. */}}
{{- define "portcullis.wasm" -}}
url: {{ printf "oci://%s" (include "portcullis.image" .) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- with .Values.image.pullSecret }}
imagePullSecret: {{ . | quote }}
{{- end }}
pluginName: portcullis
# If a VM dies, its requests are refused with 503 until the proxy has made a new one.
failStrategy: FAIL_RELOAD
{{- with .Values.env }}
vmConfig:
  env:
  {{- range . }}
  - name: {{ .name | quote }}
    {{- if hasKey . "value" }}
    valueFrom: INLINE
    value: {{ .value | quote }}
    {{- else }}
    valueFrom: HOST
    {{- end }}
  {{- end }}
{{- end }}
pluginConfig:
  {{- toYaml .Values.document | nindent 2 }}
{{- end }}

{{/* The filter's configuration as Envoy has it, and where it gets the module. */}}
{{- define "portcullis.filter" -}}
"@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
config:
  name: portcullis
  root_id: portcullis
  # If a VM dies, its requests are refused with 503 until the proxy has made a new one.
  failure_policy: FAIL_RELOAD
  # Allows the module to hold the head of a request until its body has been judged.
  allow_on_headers_stop_iteration: true
  vm_config:
    vm_id: portcullis
    runtime: envoy.wasm.runtime.v8
    code:
      {{- if eq .Values.target "ConfigMap" }}
      local: { filename: {{ .Values.module | quote }} }
      {{- else }}
      remote:
        http_uri:
          uri: {{ printf "oci://%s" (include "portcullis.image" .) | quote }}
          timeout: 30s
      {{- end }}
    {{- with .Values.env }}
    environment_variables:
      {{- $host := list }}
      {{- $values := dict }}
      {{- range . }}
      {{- if hasKey . "value" }}{{ $_ := set $values .name .value }}{{ else }}{{ $host = append $host .name }}{{ end }}
      {{- end }}
      {{- with $host }}
      host_env_keys: {{ toJson . }}
      {{- end }}
      {{- with $values }}
      key_values: {{ toJson . }}
      {{- end }}
    {{- end }}
  # A StringValue holding JSON: a Struct would arrive as protobuf and be refused.
  configuration:
    "@type": type.googleapis.com/google.protobuf.StringValue
    value: {{ .Values.document | mustToRawJson | quote }}
{{- end }}

{{/* A container of the Job, which reads what the ConfigMap holds. */}}
{{- define "portcullis.command" -}}
- name: {{ .name }}
  image: {{ required "check.image: which image has the command? Or check.enabled: false" .values.check.image | quote }}
  args: {{ toJson .args }}
  securityContext:
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: { drop: [ALL] }
  resources:
    requests: { cpu: 100m, memory: 64Mi }
    limits: { memory: 256Mi }
  volumeMounts:
  - name: document
    mountPath: /document
    readOnly: true
{{- end }}
