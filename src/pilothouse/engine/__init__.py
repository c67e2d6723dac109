"""The engine: ``advance`` folds, decides, performs and records, until a run must wait or is done."""
