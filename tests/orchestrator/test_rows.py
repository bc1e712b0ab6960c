"""The statements that write rows."""

from __future__ import annotations

from orchestrator.storage.tables import dead_letters, shards
from orchestrator.storage.writing import Rows


def test_many_rows_are_given_as_arrays_of_the_columns_types() -> None:
    assert Rows(shards, ("epoch",), ("shard",))._postgres == (
        "UPDATE shards SET epoch = given.epoch "
        "FROM unnest(%s::BIGINT[], %s::INTEGER[]) AS given (epoch, shard) WHERE shards.shard = given.shard"
    )


def test_texts_of_a_limited_length_are_refused_by_the_column_and_not_cut() -> None:
    assert "unnest(%s::TEXT[], %s::DOUBLE PRECISION[])" in Rows(dead_letters, ("stream", "at"))._postgres
