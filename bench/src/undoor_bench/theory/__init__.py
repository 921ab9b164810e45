"""The theorem behind the corrections as an experiment."""
