"""Dashboards as code, and what Prometheus and Grafana need to show them. Not installed with multi-agent.

`boards` says what is shown, in queries and words; `grafana` makes Grafana's JSON of it.
"""
