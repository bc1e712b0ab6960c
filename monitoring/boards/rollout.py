"""Which versions run."""

from monitoring.panels import Board, Lines, Query

ROLLOUT = Board(
    "rollout",
    "multi-agent: rollout",
    "Which versions run, and whether a new one does worse.",
    (
        Lines(
            "Processes by version",
            "Living ones.",
            (Query("sum by (process, version) (multi_agent_build_info)", "{{process}} {{version}}"),),
            "two versions for longer than a rollout takes mean that some process was forgotten.",
        ),
        Lines(
            "Scraped",
            "1 for each process that Prometheus reaches.",
            (Query('up{job="multi-agent"}', "{{instance}}"),),
            "see whether the process runs, and whether its `--metrics-port` is reachable.",
            red_from=1,
            red_below=True,
        ),
    ),
)
