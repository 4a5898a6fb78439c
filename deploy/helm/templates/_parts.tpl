{{- define "easel.labels" -}}
app.kubernetes.io/name: easel
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* What selects one kind of process: (dict "root" $ "part" "web") */}}
{{- define "easel.selector" -}}
app.kubernetes.io/name: easel
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "easel.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "easel.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* (dict "root" $ "process" "web" "secrets" (list "common" "app")) */}}
{{- define "easel.environment" -}}
env:
  - {name: EASEL_PROCESS, value: {{ .process }}}
  {{- if ne .process "manage" }}
  - {name: EASEL_METRICS_PORT, value: {{ .root.Values.metrics.port | quote }}}
  - {name: EASEL_METRICS_BIND, value: "0.0.0.0"}
  {{- end }}
  {{- if eq .process "web" }}
  - {name: PROMETHEUS_MULTIPROC_DIR, value: /srv/easel/var/run}
  {{- end }}
  - {name: EASEL_SCREENING_URL, value: "http://{{ .root.Release.Name }}-screening:8002"}
  {{- range $name, $value := .root.Values.environment }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
envFrom:
  {{- range .secrets }}
  - secretRef: {name: {{ index $.root.Values.secrets . }}}
  {{- end }}
{{- end }}

{{- define "easel.volumes" -}}
- {name: run, emptyDir: {medium: Memory, sizeLimit: 64Mi}}
- {name: tmp, emptyDir: {sizeLimit: 2Gi}}
{{- end }}

{{- define "easel.mounts" -}}
- {name: run, mountPath: /srv/easel/var/run}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "easel.image" -}}
{{ .repository }}:{{ .tag }}
{{- end }}
