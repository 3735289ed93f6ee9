"""Associative-memory theory as code: energies, and what they say of memories and networks."""
