"""The embedded demo models and their card."""
