"""What lies between Textual and the terminal: the difference of two screens, and when it is sent."""
