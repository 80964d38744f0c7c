"""Persons, their identities, their relations to reps, and their story."""
