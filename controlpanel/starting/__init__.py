"""What happens when a process starts: whether its keys fit its database, and who acts in a terminal."""
