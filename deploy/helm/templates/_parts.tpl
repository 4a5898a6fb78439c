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

{{/* (dict "root" $ "process" "web" "secrets" (list "common" "app") "own" (dict "EASEL_POOLS" "default"))
`own` is for this kind of process alone; it stands above `environment`, which stands above what is usual. */}}
{{- define "easel.environment" -}}
{{- $usual := dict "EASEL_SCREENING_URL" (printf "http://%s-screening:8002" .root.Release.Name) }}
{{- if ne .process "manage" }}
{{- $usual = merge $usual (dict "EASEL_METRICS_PORT" .root.Values.metrics.port "EASEL_METRICS_BIND" "0.0.0.0") }}
{{- end }}
{{- if has .process (list "web" "staff") }}
{{- /* two processes behind one port: their metrics are added up */}}
{{- $usual = merge $usual (dict "PROMETHEUS_MULTIPROC_DIR" "/srv/easel/var/run") }}
{{- end }}
{{- $own := merge (dict "EASEL_PROCESS" .process) (.own | default dict) }}
env:
  {{- range $name, $value := merge $own .root.Values.environment $usual }}
  {{- if and (kindIs "float64" $value) (eq (floor $value) $value) }}
  {{- /* a number of a values file, which would be written as 1.6777216e+07 */}}
  {{- $value = int64 $value }}
  {{- end }}
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
