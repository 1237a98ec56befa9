"""Shows the timelines of sagas, which a state machine keeps: the API of an add-on that has a stack of its own."""
