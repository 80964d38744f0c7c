"""What happens by the clock and what leaves the house: the timetable, the loop, the outbox sender, the first fill."""
