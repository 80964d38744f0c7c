"""What we start towards people: when it may reach them, how often, who gets it, and whether it helped."""
