{{/* The limits of alerts as series, so that an assessment window may set others while it lasts. */}}
{{- define "chuangwen.thresholds" -}}
{{- $v := .Values -}}
{{- $windows := $v.assessment.windows -}}
- name: chuangwen-thresholds
  interval: 30s
  rules:
    - record: chuangwen:assessment_window:active
      expr: >-
        {{- range $windows }}
        (vector(1) and on () (vector(time()) >= {{ include "chuangwen.unixtime" (dict "at" .from "before" .prescaleMinutes) }} < {{ include "chuangwen.unixtime" (dict "at" .to "before" 0) }})) or
        {{- end }}
        vector(0)
    {{- range $name, $limit := $v.monitoring.thresholds }}
    - record: {{ printf "chuangwen:threshold:%s" (snakecase $name) }}
      expr: >-
        {{- range $windows }}
        {{- if hasKey (.alerts | default dict) $name }}
        (vector({{ get .alerts $name }}) and on () (vector(time()) >= {{ include "chuangwen.unixtime" (dict "at" .from "before" 0) }} < {{ include "chuangwen.unixtime" (dict "at" .to "before" 0) }})) or
        {{- end }}
        {{- end }}
        vector({{ $limit }})
    {{- end }}
{{- end -}}
