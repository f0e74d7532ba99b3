"""The engine room: plays rounds in a thread of its own, with exact time stamps."""
