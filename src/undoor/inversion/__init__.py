"""The search engine: every trigger of every class is searched for as one batch."""
