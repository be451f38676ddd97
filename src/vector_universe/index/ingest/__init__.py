"""Bringing a table up to date: embedding, committing, and what follows once the items are there."""
