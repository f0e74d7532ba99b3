"""Ratings: from raw votes to a leaderboard that is honest at thirty votes."""
