"""The books of points: double entry in whole points, added to and never changed (loyalty.md §2)."""
