{{/* The release's name, in front of every object's. */}}
{{- define "chasqui.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 45 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 45 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Labels by which pods are selected: chasqui.selector (list $ "replica") */}}
{{- define "chasqui.selector" -}}
app.kubernetes.io/name: chasqui
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "chasqui.labels" -}}
{{ include "chasqui.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end }}

{{- define "chasqui.image" -}}
{{- $values := (index . 0).Values -}}
{{ $values.images.registry }}{{ index . 1 }}:{{ $values.images.tag }}
{{- end }}

{{- define "chasqui.serverImage" -}}
{{- $default := eq .Values.engine "tensorrt-llm" | ternary "chasqui/server-gpu" "chasqui/server" -}}
{{ include "chasqui.image" (list . (.Values.images.server | default $default)) }}
{{- end }}

{{/* What every container is denied. */}}
{{- define "chasqui.securityContext" -}}
allowPrivilegeEscalation: false
capabilities: { drop: [ALL] }
readOnlyRootFilesystem: {{ . }}
{{- end }}

{{/* What every pod is: of a user of its own, with nothing of the cluster's API. Takes the user's number. */}}
{{- define "chasqui.podSecurity" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ . }}
  runAsGroup: {{ . }}
  fsGroup: {{ . }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* Where pods go, and how they are spread: chasqui.placement (list $ "replica") */}}
{{- define "chasqui.placement" -}}
{{- $values := (index . 0).Values -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: { matchLabels: {{ include "chasqui.selector" . | fromYaml | toJson }} }
{{- with $values.images.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with $values.affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* host:port of every edge worker, by the name that all replicas share, for Envoy. */}}
{{- define "chasqui.edgeAddresses" -}}
{{- $name := include "chasqui.name" . -}}
{{- $addresses := list -}}
{{- range until (int .Values.edge.workers) }}{{ $addresses = append $addresses (printf "%s-replicas:%d" $name (add 8000 .)) }}{{ end -}}
{{ join "," $addresses }}
{{- end }}

{{/* The claim of the files. */}}
{{- define "chasqui.filesClaim" -}}
{{ .Values.batches.existingClaim | default (printf "%s-files" (include "chasqui.name" .)) }}
{{- end }}

{{/* Not empty if the files of batches are on a claim: with batches, and without a bucket. */}}
{{- define "chasqui.filesOnClaim" -}}
{{- if and .Values.batches.enabled (not .Values.batches.bucket) }}true{{ end -}}
{{- end }}

{{/* Containers that show metrics, beside the server: the edge workers, and the runner of batches. */}}
{{- define "chasqui.beside" -}}
{{ add (int .Values.edge.workers) (ternary 1 0 .Values.batches.enabled) }}
{{- end }}

{{/* Variables of server, edge and runner alike. */}}
{{- define "chasqui.partEnvironment" -}}
- { name: CHASQUI_RELAY_ADDRESS, value: "unix:/run/chasqui/relay.sock" }
- { name: CHASQUI_GRACE_PERIOD, value: {{ .Values.gracePeriodSeconds | quote }} }
{{- with .Values.secrets.accounts }}
- name: CHASQUI_ACCOUNTS
  valueFrom: { secretKeyRef: { name: {{ . }}, key: url } }
# Of this pod alone, as /tmp is.
- { name: CHASQUI_ACCOUNTS_JOURNAL, value: /tmp/chasqui-ledger }
{{- end }}
{{- if .Values.batches.enabled }}
- { name: CHASQUI_FILES, value: {{ .Values.batches.bucket | default "/var/lib/chasqui/files" | quote }} }
{{- if include "chasqui.filesOnClaim" . }}
# Uploads are kept there until their lines are checked.
- { name: TMPDIR, value: /var/lib/chasqui }
{{- end }}
{{- with .Values.secrets.bucket }}
{{- range $name := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" "AWS_DEFAULT_REGION" "AWS_ENDPOINT_URL" }}
- name: {{ $name }}
  valueFrom: { secretKeyRef: { name: {{ $.Values.secrets.bucket }}, key: {{ $name }}, optional: true } }
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.tracesEndpoint }}
- { name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ quote . }} }
- { name: OTEL_METRICS_EXPORTER, value: none }
{{- end }}
{{- range $name, $value := .Values.settings }}
- { name: {{ $name }}, value: {{ $value | toString | quote }} }
{{- end }}
{{- end }}
