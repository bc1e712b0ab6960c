"""Redis and the database, as orchestrators see them."""

from monitoring.panels import Board, Lines, Query, quantiles

BUS_AND_DATABASE = Board(
    "bus_and_database",
    "multi-agent: bus and database",
    "Redis and the database as orchestrators see them, and who serves which part of the work.",
    (
        Lines(
            "Away",
            "1 while an orchestrator waits for Redis or the database.",
            (Query("max by (what) (multi_agent_away)", "{{what}}"),),
            "bring it back; nothing is lost, and work goes on by itself.",
            red_from=1,
        ),
        Lines(
            "Outages",
            "How often either went away.",
            (Query("sum by (what) (increase(multi_agent_outages_total[$__rate_interval]))", "{{what}}"),),
            "see the network between, and the server's own log.",
        ),
        Lines(
            "Redis: time of a question",
            "One a second from each orchestrator.",
            quantiles("multi_agent_bus_seconds"),
            "see memory, slow log and clients of Redis.",
            "s",
            0.25,
        ),
        Lines(
            "Database: time of a transaction",
            "Of a batch of up to 256 messages.",
            quantiles("multi_agent_commit_seconds"),
            "see the disk of the database, its locks and its connections.",
            "s",
            0.25,
        ),
        Lines(
            "Transactions",
            "Batches that were committed.",
            (Query("sum(rate(multi_agent_commit_seconds_count[$__rate_interval]))", "batches"),),
            "none while tasks are open means that the orchestrator or the database is stuck.",
            "ops",
        ),
        Lines(
            "Last turn",
            "How long ago an orchestrator went round its loop.",
            (Query("time() - max(multi_agent_last_turn_timestamp_seconds)", "seconds"),),
            "start an orchestrator, or bring its database back.",
            "s",
            30,
        ),
        Lines(
            "Shards held",
            "Of 64, by each process; together 64 in health.",
            (Query("multi_agent_shards_held", "{{instance}}"), Query("sum(multi_agent_shards_held)", "all")),
            "below 64 for longer than a lease, some workflows have no orchestrator.",
        ),
        Lines(
            "State read again",
            "After a change of shards or an outage of the database.",
            (Query("sum(increase(multi_agent_recoveries_total[$__rate_interval]))", "times"),),
            "often without outages means that orchestrators lose their leases: see their hosts' load.",
        ),
        Lines(
            "Dispatches and tasks in flight",
            "What is published on Redis, and what is out.",
            (
                Query("sum(rate(multi_agent_dispatches_total[$__rate_interval]))", "dispatched a second"),
                Query("sum(multi_agent_dispatched_tasks)", "in flight"),
            ),
            "where much is in flight and nothing dispatched, workers are slow or gone: open Agents.",
        ),
        Lines(
            "Dead letters",
            "Tasks that took their workers down, and messages nobody could read.",
            (Query("sum by (kind) (increase(multi_agent_dead_letters_total[1h]))", "{{kind}}"),),
            "`multi-agent dead-letters list`.",
            red_from=1,
        ),
    ),
)
