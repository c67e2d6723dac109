"""Who speaks for the agents: one provider a file. ``scripted`` is the default without a key."""
