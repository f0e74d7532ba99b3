"""The store: rounds, answers and votes in SQLite."""
