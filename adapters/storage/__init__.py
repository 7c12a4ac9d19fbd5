"""Where events, views and product events are kept."""
