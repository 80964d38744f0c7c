"""Events in, effects out: the table of routes, the dispatcher, and one file of steps per event family."""
