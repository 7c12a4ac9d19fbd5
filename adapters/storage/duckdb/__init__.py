"""Product events and the query engine in DuckDB."""
