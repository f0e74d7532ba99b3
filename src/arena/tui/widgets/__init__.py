"""Widgets: they show core values and never see the Arena facade."""
