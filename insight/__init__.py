"""Numbers and names about people: segments, compiled to one SQL statement each, and the life cycle."""
