{{/* Names: the release's, with the chart's where it is not in it already. */}}
{{- define "motorisk.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels by which pods are selected: (list $ "component"). They never change in a release's life. */}}
{{- define "motorisk.selector" -}}
{{- $top := index . 0 -}}
app.kubernetes.io/name: {{ default $top.Chart.Name $top.Values.nameOverride }}
app.kubernetes.io/instance: {{ $top.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* All labels of an object: (list $ "component"). */}}
{{- define "motorisk.labels" -}}
{{- $top := index . 0 -}}
{{ include "motorisk.selector" . }}
app.kubernetes.io/part-of: motorisk
app.kubernetes.io/version: {{ $top.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $top.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $top.Chart.Name $top.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* An image's reference: (list $ "webservice"). A digest wins over the tag. */}}
{{- define "motorisk.image" -}}
{{- $top := index . 0 -}}
{{- $name := index . 1 -}}
{{- $image := index $top.Values.images $name -}}
{{- $tag := $image.tag | default $top.Chart.AppVersion -}}
{{- if eq $tag "latest" -}}
{{- fail (printf "images.%s.tag: `latest` names no version, and could be another one on every node; name the version, or give a digest" $name) -}}
{{- end -}}
{{- $repository := $image.repository -}}
{{- with $top.Values.images.registry -}}{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository -}}{{- end -}}
{{- if $image.digest -}}{{ printf "%s@%s" $repository $image.digest }}{{- else -}}{{ printf "%s:%s" $repository $tag }}{{- end -}}
{{- end -}}

{{/* What all pods have in common: (list $ "component" "image" part-of-the-values). */}}
{{- define "motorisk.pod" -}}
{{- $top := index . 0 -}}
{{- $image := index $top.Values.images (index . 2) -}}
{{- $values := index . 3 -}}
serviceAccountName: {{ include "motorisk.serviceAccount" (list $top (index . 1)) }}
automountServiceAccountToken: false
enableServiceLinks: false # their variables could be taken for settings
securityContext:
  runAsNonRoot: true
  runAsUser: {{ $image.uid }}
  runAsGroup: {{ $image.gid }}
  fsGroup: {{ $image.gid }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with $top.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What all containers have in common: (list $ "image"). */}}
{{- define "motorisk.container" -}}
{{- $top := index . 0 -}}
image: {{ include "motorisk.image" . }}
imagePullPolicy: {{ $top.Values.images.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- define "motorisk.serviceAccount" -}}
{{ include "motorisk.fullname" (index . 0) }}-{{ index . 1 }}
{{- end -}}

{{/* The Secret with the addresses of the database. */}}
{{- define "motorisk.databaseSecret" -}}
{{- .Values.database.existingSecret | default (printf "%s-database" (include "motorisk.fullname" .)) -}}
{{- end -}}

{{/* The variable with a role's address: (list $ "quotes"). */}}
{{- define "motorisk.databaseUrl" -}}
{{- $top := index . 0 -}}
- name: MOTORISK_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "motorisk.databaseSecret" $top }}
      key: {{ index $top.Values.database.secretKeys (index . 1) }}
{{- end -}}

{{/* More settings of a part: a map of variables. */}}
{{- define "motorisk.settings" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{/* The claim with snapshots, reports and archives, which Airflow's tasks write. */}}
{{- define "motorisk.filesClaim" -}}
{{- .Values.files.existingClaim | default (printf "%s-files" (include "motorisk.fullname" .)) -}}
{{- end -}}
