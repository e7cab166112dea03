{{/* A moment as a cron line of its day: Helm's date layout 4 15 2 1 is minute, hour, day, month. */}}
{{- define "chuangwen.cron" -}}
{{- $at := toDate "2006-01-02T15:04:05Z07:00" .at | dateModify (printf "-%dm" (int .before)) -}}
{{- dateInZone "4 15 2 1 *" $at .zone -}}
{{- end -}}

{{- define "chuangwen.unixtime" -}}
{{- toDate "2006-01-02T15:04:05Z07:00" .at | dateModify (printf "-%dm" (int .before)) | unixEpoch -}}
{{- end -}}

{{/* Up at once, down late: each change of a consumer group stops the whole group for a moment. */}}
{{- define "chuangwen.behavior" -}}
scaleUp:
  stabilizationWindowSeconds: {{ ternary 30 0 (eq .role "worker") }}
  policies: [{type: Percent, value: 100, periodSeconds: 60}, {type: Pods, value: 2, periodSeconds: 60}]
scaleDown:
  stabilizationWindowSeconds: {{ ternary 900 300 (eq .role "worker") }}
  policies: [{type: Percent, value: 25, periodSeconds: 300}]
{{- end -}}
