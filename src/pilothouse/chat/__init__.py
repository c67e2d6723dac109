"""The chat in a terminal, without the terminal: what was said, what it means, what is answered (FACE-3, INT-1).

It translates words into calls of the facade and decides nothing. A line that the deterministic parser understands is an
order; a question is answered from the ledger; anything else goes to a model, where there is one, and what a model
proposes is shown as an order that the person starts. Nothing here can approve: the word is the terminal's business.
"""
