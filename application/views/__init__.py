"""Projections: from domain events to the rows that are read."""
