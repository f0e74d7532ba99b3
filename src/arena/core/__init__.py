"""The nouns of arena. Standard library only; every other room may import from here."""
